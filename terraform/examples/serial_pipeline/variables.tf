variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "preprocessor_artifact" {
  description = "The preprocessor.tar.gz that `egress-sentinel series-train` wrote."
  type        = string
}

variable "model_artifact" {
  description = "The model.tar.gz that it wrote beside it."
  type        = string
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may remove a bucket that holds objects."
  type        = bool
  default     = false
}
