variable "name" {
  description = "Name of the repository, and prefix of every other name."
  type        = string
}

variable "source_zip" {
  description = "Path of the sources on this machine: the repository's Dockerfile and code, as `make package` zips them."
  type        = string
}

variable "base_image" {
  description = "Image to build on: SageMaker's, an ECR address with a tag."
  type        = string
}

variable "bucket" {
  description = "Bucket of code/."
  type        = string
}

variable "bucket_arn" {
  description = "Its ARN."
  type        = string
}

variable "force_destroy" {
  description = "Whether destroying may remove a repository that still holds images."
  type        = bool
}

variable "kms_key_arn" {
  description = "Key of the repository, the source and the log group."
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
