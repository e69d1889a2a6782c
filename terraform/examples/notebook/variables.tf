variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "repository_url" {
  description = "Where the notebook clones this project from."
  type        = string
}

variable "model_artifact" {
  description = "Another model than the starting one: s3://BUCKET/KEY.tar.gz or a .tar.gz on this machine."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may remove alerts and a bucket that holds objects."
  type        = bool
  default     = false
}
