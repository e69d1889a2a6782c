variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "vpc_ids" {
  description = "VPCs whose flow logs are switched on."
  type        = list(string)
}

variable "subnet_ids" {
  description = "Subnets whose flow logs are switched on."
  type        = list(string)
}

variable "max_aggregation_seconds" {
  description = "Longest time that one record spans: 60 or 600."
  type        = number
}

variable "retention_days" {
  description = "Days after which flow logs are removed."
  type        = number
}

variable "account_ids" {
  description = "Accounts whose flow logs may be delivered to the bucket."
  type        = list(string)
}

variable "regions" {
  description = "Regions from which flow logs may be delivered to the bucket."
  type        = list(string)
}

variable "kms_key_arn" {
  description = "Key of the bucket; its policy lets log delivery use it."
  type        = string
}

variable "force_destroy" {
  description = "Whether destroying may remove a bucket that still holds objects."
  type        = bool
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}
