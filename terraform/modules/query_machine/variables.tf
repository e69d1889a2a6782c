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
  description = "Function that puts the reason for a failed step into a sentence."
  type        = object({ name = string, arn = string })
}

variable "topic_arn" {
  description = "Topic that hears of a run that failed."
  type        = string
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "defaults" {
  description = "Defaults of a run's input: days to write, days of flow logs to read, the prefix to write to, and tells (whether a failure is notified)."
  type        = object({ days = number, flow_days = number, prefix = string, tells = bool })
}

variable "if_empty" {
  description = "Why there may be no rows, where that is a failure; null where it is none."
  type        = string
  default     = null
}

variable "keeps" {
  description = "A step whose files another table shall show until the next run, with that table's columns; null for none."
  type        = object({ step = string, table = string, columns = list(object({ name = string, type = string })) })
  default     = null
}

variable "network_prefix" {
  description = "Where the machine writes EC2's descriptions of the interfaces of NAT gateways and load balancers, before it queries; null where it does not."
  type        = string
  default     = null
}

variable "reads" {
  description = "What the statements read: tables, objects, buckets besides the one of the tables, and keys besides its key."
  type        = object({ tables = list(string), object_arns = list(string), bucket_arns = list(string), kms_key_arns = list(string) })
}

variable "writes_prefixes" {
  description = "Where in the bucket a run may write files of features."
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
