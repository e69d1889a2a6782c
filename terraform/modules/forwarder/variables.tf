variable "name" {
  description = "Name of the function."
  type        = string
}

variable "destination" {
  description = "Kind of destination: pagerduty, webhook or chat."
  type        = string

  validation {
    condition     = contains(["pagerduty", "webhook", "chat"], var.destination)
    error_message = "destination must be pagerduty, webhook or chat."
  }
}

variable "function_zip" {
  description = "The function's zip on this machine."
  type        = string
}

variable "topic_arn" {
  description = "Topic whose notifications are forwarded, and which the alarm notifies."
  type        = string
}

variable "filter_policy" {
  description = "SNS filter policy of the subscription, as JSON. Only alerts have the attributes that it names."
  type        = string
}

variable "secret_arn" {
  description = "Secret of PagerDuty or the webhook; null for a chat."
  type        = string
  default     = null
}

variable "secret_kms_key_arn" {
  description = "KMS key of the secret; null if it is AWS's key aws/secretsmanager."
  type        = string
  default     = null
}

variable "chat_topic_arn" {
  description = "Topic of the chat; null for another destination."
  type        = string
  default     = null
}

variable "kms_key_arn" {
  description = "Key of the environment, the logs and the dead-letter queue."
  type        = string
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}

variable "roles" {
  description = "Path of the IAM roles, ARN of their permissions boundary (null for none), and the end of their names, which are unique in an account."
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
    suffix               = optional(string, "")
  })
  default = {}
}
