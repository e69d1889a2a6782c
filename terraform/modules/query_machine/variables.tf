variable "name" {
  description = "Name of the machine and its role."
  type        = string
}

variable "comment" {
  description = "What the machine does, in a sentence."
  type        = string
}

variable "words" {
  description = "Words of a message about a failure: the query's name, the consequence, and the subject."
  type        = object({ query = string, consequence = string, subject = string })
}

variable "sql_dir" {
  description = "Folder of the statements that `make package` rendered for Athena, numbered in their order."
  type        = string
}

variable "months" {
  description = "Months of the export that the statements read."
  type        = number
}

variable "alert_tags" {
  description = "Names of the resource tags that the statements keep."
  type        = list(string)
}

variable "bucket" {
  description = "The bucket of tables and features."
  type        = string
}

variable "kms_key_arn" {
  description = "The bucket's key."
  type        = string
}

variable "workgroup" {
  description = "The Athena workgroup."
  type        = object({ name = string, arn = string })
}

variable "database" {
  description = "The Glue database."
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

variable "defaults" {
  description = "Defaults of a run's input: days to write, days of flow logs to read, the prefix to write to, and notify (whether the topic is notified of a failure)."
  type        = object({ days = number, flow_days = number, prefix = string, notify = bool })
}

variable "if_empty" {
  description = "Likely reason for an empty result, if that is a failure; null if it is not."
  type        = string
  default     = null
}

variable "keeps" {
  description = "A step whose files another table shows until the next run, and that table's columns; null for none."
  type        = object({ step = string, table = string, columns = list(object({ name = string, type = string })) })
  default     = null
}

variable "network_prefix" {
  description = "Prefix for EC2's descriptions of the interfaces of NAT gateways and load balancers, written before the queries; null for none."
  type        = string
  default     = null
}

variable "reads" {
  description = "Resources that the statements read: tables, objects, other buckets, and other keys."
  type        = object({ tables = list(string), object_arns = list(string), bucket_arns = list(string), kms_key_arns = list(string) })
}

variable "writes_prefixes" {
  description = "Prefixes in the bucket under which a run may write files of features."
  type        = list(string)
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
