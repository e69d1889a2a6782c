variable "name" {
  description = "Prefix of every name, and the group's name."
  type        = string
}

variable "function_zip" {
  description = "The function's zip on this machine."
  type        = string
}

variable "bucket" {
  description = "Bucket of models/."
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
  description = "Endpoint whose model a new one is compared with; null without an endpoint or without retraining."
  type        = string
}

variable "image" {
  description = "Image that serves registered models."
  type        = string
}

variable "environment" {
  description = "Environment variables of their container."
  type        = map(string)
}

variable "training_job_prefix" {
  description = "Prefix of the names of training jobs."
  type        = string
}

variable "alerts_table" {
  description = "Table of alerts and verdicts; null without an endpoint."
  type        = string
}

variable "alerts_table_arn" {
  description = "Its ARN."
  type        = string
}

variable "planned_events_key" {
  description = "Object in the bucket with the calendar of planned events; null without an endpoint."
  type        = string
}

variable "exclude_prefix" {
  description = "Prefix in the bucket for the exclusions of each training job."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of the bucket, environment and logs."
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
