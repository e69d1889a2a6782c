variable "region" {
  description = "AWS region."
  type        = string
  default     = "us-east-1"
}

variable "model_artifact" {
  description = "Your artifact: s3://BUCKET/KEY.tar.gz or a .tar.gz on this machine."
  type        = string
}

variable "image_uri" {
  description = "Your image in ECR."
  type        = string
  default     = "111122223333.dkr.ecr.us-east-1.amazonaws.com/my-detector:1.0"
}

variable "program" {
  description = "The script under code/ in your artifact, for images that are built on SageMaker's inference toolkit; others ignore it."
  type        = string
  default     = "serve.py"
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may remove alerts and a bucket that holds objects."
  type        = bool
  default     = false
}
