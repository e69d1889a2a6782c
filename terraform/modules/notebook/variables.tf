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
