provider "aws" {
  region = var.region
}

# One real-time endpoint for raw timestamp,value lines: a preprocessor makes features of them, the forest behind it scores
# them. `egress-sentinel series-train` writes both artifacts.
locals {
  name = "egress-sentinel-series"
  tags = { Project = "egress-sentinel" }
  artifacts = {
    preprocessor = var.preprocessor_artifact
    forest       = var.model_artifact
  }
  containers = {
    preprocessor = { SAGEMAKER_PROGRAM = "anomaly_detection.series_preprocessor" }
    # Clients of Random Cut Forest pipelines expect its answers.
    forest = { SAGEMAKER_PROGRAM = "anomaly_detection.inference_script", DEFAULT_OUTPUT = "random-cut-forest" }
  }
  environment = {
    SAGEMAKER_SUBMIT_DIRECTORY    = "/opt/ml/model/code"
    SAGEMAKER_CONTAINER_LOG_LEVEL = "20"
    SAGEMAKER_REGION              = var.region
    # The container installs the model's code at start; without a route to PyPI pip must not look for build tools.
    PIP_NO_BUILD_ISOLATION = "0"
  }
}

data "aws_sagemaker_prebuilt_ecr_image" "this" {
  repository_name = "sagemaker-scikit-learn"
  image_tag       = "1.9-0-cpu-py3"
}

module "storage" {
  source = "../../modules/storage"

  name                  = local.name
  tags                  = local.tags
  scored_prefix         = "scored/"
  alerts_prefix         = "alerts/"
  scored_retention_days = 400
  data_export           = null
  force_destroy         = var.force_destroy
}

# The key carries the content's hash: another artifact is another object, and so another model.
resource "aws_s3_object" "artifact" {
  for_each = local.artifacts

  bucket      = module.storage.bucket
  key         = "models/${substr(filesha256(each.value), 0, 16)}/${each.key}.tar.gz"
  source      = each.value
  source_hash = filesha256(each.value)

  # The model that serves until the new one does still needs its artifact.
  lifecycle {
    create_before_destroy = true
  }
}

module "endpoint" {
  source = "../../modules/endpoint"

  name  = local.name
  tags  = local.tags
  roles = { suffix = "-${var.region}" }
  containers = [
    for name in ["preprocessor", "forest"] : {
      hostname       = name
      image          = data.aws_sagemaker_prebuilt_ecr_image.this.registry_path
      model_data_url = "s3://${aws_s3_object.artifact[name].bucket}/${aws_s3_object.artifact[name].key}"
      environment    = merge(local.environment, local.containers[name])
    }
  ]
  image             = null
  model_data_url    = null
  model_package_arn = null
  environment       = {}
  model_object_arns = ["${module.storage.bucket_arn}/models/*"]
  bucket_arn        = module.storage.bucket_arn
  serverless        = null
  realtime = {
    instance_type            = "ml.m5.large"
    instance_count           = 1
    invocations_per_instance = 600
    deployment               = { type = "canary", step_percent = 50, bake_seconds = 300 }
  }
  network            = null
  data_capture       = null
  kms_key_arn        = module.storage.kms_key_arn
  log_retention_days = 365
  max_latency_ms     = 10000
  alarm_actions      = []
}
