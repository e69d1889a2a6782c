variable "name" {
  description = "Prefix of every name, models and configurations included."
  type        = string
}

variable "function_zip" {
  description = "The function's zip on this machine."
  type        = string
}

variable "layer_arn" {
  description = "The layer with pyarrow and numpy."
  type        = string
}

variable "bucket" {
  description = "Bucket of batch/input/, batch/output/, batch/failed/ and batch/jobs/."
  type        = string
}

variable "bucket_arn" {
  description = "Its ARN."
  type        = string
}

variable "model_object_arns" {
  description = "S3 objects that may be a model's artifact."
  type        = list(string)
}

variable "model_kms_key_arn" {
  description = "Key of artifacts that another key than the bucket's encrypts; null for none."
  type        = string
  default     = null
}

variable "endpoint_name" {
  description = "Endpoint whose model scores."
  type        = string
}

variable "topic_arn" {
  description = "Who is told of a failure."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of table, queue, environment, logs and the jobs' volumes."
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
