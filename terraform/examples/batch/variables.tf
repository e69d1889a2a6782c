variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "emails" {
  description = "E-mail addresses that are notified of files that cannot be scored."
  type        = list(string)
  default     = []
}

variable "model_artifact" {
  description = "Another model than the starting one: s3://BUCKET/KEY.tar.gz or a .tar.gz on this machine."
  type        = string
  default     = null
}

variable "model_package_arn" {
  description = "A registered and approved model to score with in place of model_artifact, as `egress-sentinel models promote` sets it."
  type        = string
  default     = null
}

variable "large_file_mb" {
  description = "MB from which AWS Batch scores a file, in a VPC and with a custom image; null for transform jobs alone."
  type        = number
  default     = null
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may remove a bucket that holds objects."
  type        = bool
  default     = false
}
