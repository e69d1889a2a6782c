variable "name" {
  description = "The feature group's name."
  type        = string
}

variable "columns" {
  description = "The columns of a feature row, with their types in Glue."
  type        = list(object({ name = string, type = string }))
}

variable "offline" {
  description = "Whether every record is also kept in the bucket."
  type        = bool
}

variable "ttl_days" {
  description = "Days after its last hour that a series stays in the online store."
  type        = number
}

variable "bucket" {
  description = "Bucket of the offline store."
  type        = string
}

variable "bucket_arn" {
  description = "Its ARN."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of both stores."
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
