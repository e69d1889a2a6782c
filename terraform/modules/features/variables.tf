variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "bucket" {
  description = "The bucket."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of the query results."
  type        = string
}

variable "features_prefix" {
  description = "Where feature files lie in the bucket."
  type        = string
}

variable "scored_prefix" {
  description = "Where scored rows lie in the bucket."
  type        = string
}

variable "flow_sql_dir" {
  description = "Folder of the statements over flow logs that `make package` rendered for Athena."
  type        = string
}

variable "flow_logs" {
  description = "Where flow logs lie: bucket, prefix before AWSLogs/, their key if it is another one, accounts and regions; how many days of them are read, and when; null for none."
  type = object({
    days                = number
    schedule_expression = string
    bucket              = string
    prefix              = string
    kms_key_arn         = string
    account_ids         = list(string)
    regions             = list(string)
  })
}

variable "export_name" {
  description = "Name of the CUR 2.0 export whose files lie under exports/NAME/data/."
  type        = string
}

variable "max_scanned_gb" {
  description = "GB that a query may scan before Athena stops it."
  type        = number
}

variable "sql_dir" {
  description = "Folder of the statements that `make package` rendered for Athena."
  type        = string
}

variable "pipeline" {
  description = "Days that a run writes anew, months of the export that it reads, and names of the tags that it keeps."
  type        = object({ days = number, months = number, alert_tags = list(string) })
}

variable "history_prefix" {
  description = "Another prefix under which a run may write, for days that are not scored."
  type        = string
}

variable "explainer" {
  description = "Function that explains a failed step in one sentence."
  type        = object({ name = string, arn = string })
}

variable "topic_arn" {
  description = "Topic that is notified of a failed run."
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
