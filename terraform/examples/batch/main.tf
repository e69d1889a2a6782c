provider "aws" {
  region = var.region

  default_tags {
    tags = { Project = "egress-sentinel" }
  }
}

# Batch without an endpoint: storage, registry and batch alone. Files under batch/input/ are scored by the model of
# model_package_arn, or by the approved package that they name.
module "egress_sentinel" {
  source = "../../"

  endpoint          = null
  model_artifact    = var.model_artifact
  model_package_arn = var.model_package_arn
  subscriptions     = { emails = var.emails }
  force_destroy     = var.force_destroy
}
