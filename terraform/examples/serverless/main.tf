provider "aws" {
  region = var.region
}

# The smallest one: a serverless endpoint, nothing to pay while nothing is scored.
module "egress_sentinel" {
  source = "../../"

  data_export       = var.data_export_name == null ? null : { name = var.data_export_name }
  model_artifact    = var.model_artifact
  model_package_arn = var.model_package_arn
  subscriptions     = { emails = var.emails }
  force_destroy     = var.force_destroy
}
