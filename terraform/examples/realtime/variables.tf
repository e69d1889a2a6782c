variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "flow_log_vpc_ids" {
  description = "VPCs whose flow logs are switched on."
  type        = list(string)
  default     = []
}

variable "flow_log_account_ids" {
  description = "Other accounts that deliver flow logs to the same bucket."
  type        = list(string)
  default     = []
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
