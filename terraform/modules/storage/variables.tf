variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "scored_prefix" {
  description = "Where scored rows lie in the bucket."
  type        = string
}

variable "alerts_prefix" {
  description = "Where lists lie in the bucket that are too long for an alert or a notification."
  type        = string
}

variable "scored_retention_days" {
  description = "Days after which scored rows and the lists of alerts are removed."
  type        = number
}

variable "data_export" {
  description = "A CUR 2.0 export to create, hourly and with resource ids; null where there is one already."
  type        = object({ name = string })
}

variable "force_destroy" {
  description = "Whether destroying may remove a bucket that still holds objects."
  type        = bool
}

variable "log_delivery" {
  description = "Accounts and regions whose flow logs are encrypted with the key; null for none."
  type        = object({ account_ids = list(string), regions = list(string) })
  default     = null
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}

variable "existing" {
  description = "The name of a bucket and the ARN of a KMS key that exist already; null for one of the module's."
  type        = object({ bucket = optional(string), kms_key_arn = optional(string) })
  default     = {}
}
