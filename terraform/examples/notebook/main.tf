provider "aws" {
  region = var.region
}

# The serverless service and a SageMaker notebook instance beside it.
module "egress_sentinel" {
  source = "../../"

  notebook       = { repository_url = var.repository_url }
  model_artifact = var.model_artifact
  force_destroy  = var.force_destroy
}
