variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "function_name" {
  description = "The detector's function."
  type        = string
}

variable "log_group" {
  description = "The detector's log group."
  type        = string
}

variable "dead_letter_queue" {
  description = "Name of the dead-letter queue."
  type        = string
}

variable "endpoint_name" {
  description = "The endpoint."
  type        = string
}

variable "variant_name" {
  description = "Its variant."
  type        = string
}

variable "endpoint_alarm_arns" {
  description = "ARNs of the endpoint's own alarms, for the dashboard."
  type        = list(string)
}

variable "drift_function_name" {
  description = "The drift monitor's function; null where there is none."
  type        = string
}

variable "drift_alarm_arns" {
  description = "ARNs of its alarms, for the dashboard."
  type        = list(string)
}

variable "topic_arn" {
  description = "Topic that the alarms notify."
  type        = string
}

variable "no_data_hours" {
  description = "Hours without a scored row after which the alarm rings."
  type        = number
}

variable "usd_per_day_at_stake" {
  description = "Dollars a day above expected from which the alarm rings."
  type        = number
}

variable "monthly_budget_usd" {
  description = "Budget for the service's own cost; null for none."
  type        = number
}

variable "project_tag" {
  description = "Value of the tag Project by which the budget finds the service's own cost."
  type        = string
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}
