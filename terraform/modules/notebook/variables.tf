variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "notebook" {
  description = "The instance."
  type = object({
    instance_type      = string
    volume_gb          = number
    subnet_id          = optional(string)
    security_group_ids = list(string)
  })
}

variable "repository_url" {
  description = "Where the project is cloned from."
  type        = string
}

variable "bucket_arn" {
  description = "Bucket that the notebook reads."
  type        = string
}

variable "endpoint_arn" {
  description = "Endpoint that the notebook may invoke."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of the volume and the bucket."
  type        = string
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
