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
  description = "Endpoint whose model scores; null for the model of `model`."
  type        = string
}

variable "model" {
  description = "The model that scores where there is no endpoint, and what models of other packages are made with: their role, their group, and their subnets, security groups and isolation, if any."
  type = object({
    name     = string
    role_arn = string
    group    = string
    network = optional(object({
      subnet_ids               = list(string)
      security_group_ids       = list(string)
      enable_network_isolation = bool
    }))
  })
}

variable "large_files" {
  description = "AWS Batch for files of at least from_mb and at most max_mb: its queue and job definition; null for none."
  type = object({
    from_mb            = number
    max_mb             = number
    queue_arn          = string
    job_definition     = string
    job_definition_arn = string
  })
  default = null
}

variable "topic_arn" {
  description = "Who is notified of a failure."
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
