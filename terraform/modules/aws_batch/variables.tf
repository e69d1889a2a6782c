variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "image" {
  description = "Image with the project's code: an ECR address with a tag."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the jobs, with a route to S3, ECR and CloudWatch Logs."
  type        = list(string)
}

variable "security_group_ids" {
  description = "Security groups of the jobs."
  type        = list(string)
}

variable "vcpus" {
  description = "CPUs of a job."
  type        = number
}

variable "memory_mb" {
  description = "Memory of a job in MB, one of those that Fargate has for its CPUs."
  type        = number
}

variable "disk_gb" {
  description = "Disk of a job in GiB."
  type        = number
}

variable "max_vcpus" {
  description = "CPUs of all jobs that run at the same time."
  type        = number
}

variable "timeout_seconds" {
  description = "Longest attempt of a job."
  type        = number
}

variable "bucket_arn" {
  description = "Bucket of batch/input/, batch/output/ and batch/jobs/."
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

variable "kms_key_arn" {
  description = "Key of the bucket and the log group."
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
