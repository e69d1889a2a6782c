variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "emails" {
  description = "Who is notified of alerts."
  type        = list(string)
  default     = []
}

variable "data_export_name" {
  description = "A CUR 2.0 export to create and to make features of; null for none. Data Exports live in us-east-1."
  type        = string
  default     = null
}

variable "model_artifact" {
  description = "Another model than the starting one: s3://BUCKET/KEY.tar.gz or a .tar.gz on this machine."
  type        = string
  default     = null
}

variable "model_package_arn" {
  description = "A registered and approved model to serve in place of model_artifact, as `egress-sentinel models promote` sets it."
  type        = string
  default     = null
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may remove alerts and a bucket that holds objects."
  type        = bool
  default     = false
}
