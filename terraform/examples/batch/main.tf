provider "aws" {
  region = var.region
}

# Batch without an endpoint: storage, registry and batch alone. Files under batch/input/ are scored by the model of
# model_package_arn, or by the approved package that they name. With large_file_mb, AWS Batch scores larger files, with an
# image and a VPC that the module creates.
module "egress_sentinel" {
  source = "../../"

  endpoint          = null
  vpc               = var.large_file_mb == null ? null : {}
  image_build       = var.large_file_mb == null ? null : {}
  batch             = { runner = var.large_file_mb == null ? "sagemaker" : "aws_batch", large_file_mb = coalesce(var.large_file_mb, 1000) }
  model_artifact    = var.model_artifact
  model_package_arn = var.model_package_arn
  subscriptions     = { emails = var.emails }
  force_destroy     = var.force_destroy
}
