provider "aws" {
  region = var.region
}

# Your own container and artifact behind the same alerts: for each line of CSV with a header it answers a line of
# is_anomaly,anomaly_score (below 0 is anomalous).
module "egress_sentinel" {
  source = "../../"

  image_uri      = var.image_uri
  model_artifact = var.model_artifact
  environment    = { SAGEMAKER_PROGRAM = var.program }
  force_destroy  = var.force_destroy
}
