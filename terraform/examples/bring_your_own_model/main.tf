provider "aws" {
  region = var.region

  default_tags {
    tags = { Project = "egress-sentinel" }
  }
}

# Your own container and artifact behind the same alerts: it answers text/csv;output=scores with is_anomaly and
# anomaly_score.
module "egress_sentinel" {
  source = "../../"

  image_uri      = var.image_uri
  model_artifact = var.model_artifact
  environment    = { LOG_LEVEL = "info" }
  force_destroy  = var.force_destroy
}
