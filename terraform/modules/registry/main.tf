# The registry: a model package group, and the function that registers the models of training jobs.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  name       = "${var.name}-registrar"
  sagemaker  = "arn:${local.partition}:sagemaker:${local.region}:${local.account_id}"

  decrypt_model = { for key in var.model_kms_key_arn[*] : "DecryptModel" => { actions = ["kms:Decrypt"], resources = [key] } }
  training      = "/aws/sagemaker/TrainingJobs"

  # Retraining compares a new model with the serving model, and leaves out the hours of alerts. Both require an endpoint.
  prepares_training = var.endpoint_name != null
  of_retraining = {
    ReadAlertsAndVerdicts      = { actions = ["dynamodb:Scan"], resources = [var.alerts_table_arn] }
    ReadPlannedEvents          = { actions = ["s3:GetObject"], resources = ["${var.bucket_arn}/${coalesce(var.planned_events_key, "none")}"] }
    WriteWhatTrainingLeavesOut = { actions = ["s3:PutObject"], resources = ["${var.bucket_arn}/${var.exclude_prefix}*"] }
    FindTheCurrentModel        = { actions = ["sagemaker:DescribeEndpoint"], resources = ["${local.sagemaker}:endpoint/${coalesce(var.endpoint_name, "none")}"] }
    FindItsConfiguration       = { actions = ["sagemaker:DescribeEndpointConfig"], resources = ["${local.sagemaker}:endpoint-config/${var.name}-*"] }
    FindItsArtifact            = { actions = ["sagemaker:DescribeModel"], resources = ["${local.sagemaker}:model/${var.name}-*"] }
    FindItsPackage             = { actions = ["sagemaker:DescribeModelPackage"], resources = ["${local.sagemaker}:model-package/${var.name}/*"] }
    # Only the log of a training job has the reason for its failure.
    ReadTrainingLog = {
      actions   = ["logs:FilterLogEvents"]
      resources = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${local.training}:*"]
    }
  }
}

resource "aws_sagemaker_model_package_group" "this" {
  model_package_group_name        = var.name
  model_package_group_description = "Models of ${var.name}: each model, its training data, and who approved it."
  tags                            = var.tags
}

module "function" {
  source = "../function"

  name               = local.name
  tags               = var.tags
  roles              = var.roles
  description        = "Registers the model of a training job as a model package that waits for approval."
  zip                = var.function_zip
  handler            = "model_registrar.handler.lambda_handler"
  memory_mb          = 512
  timeout_seconds    = 300
  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
  # The caller, a state machine or a person, waits for the result.
  has_dead_letter_queue = false

  environment = {
    BUCKET                = var.bucket
    MODEL_PACKAGE_GROUP   = aws_sagemaker_model_package_group.this.model_package_group_name
    ENDPOINT_NAME         = local.prepares_training ? var.endpoint_name : ""
    IMAGE                 = var.image
    CONTAINER_ENVIRONMENT = jsonencode(var.environment)
    TRAINING_JOB_PREFIX   = var.training_job_prefix
    ALERTS_TABLE          = local.prepares_training ? var.alerts_table : ""
    PLANNED_EVENTS_KEY    = local.prepares_training ? var.planned_events_key : ""
    EXCLUDE_PREFIX        = var.exclude_prefix
  }

  policy = {
    name = "register"
    statements = merge(local.decrypt_model, local.prepares_training ? local.of_retraining : {}, {
      ReadArtifacts  = { actions = ["s3:GetObject"], resources = var.model_object_arns }
      WriteDocuments = { actions = ["s3:PutObject"], resources = ["${var.bucket_arn}/models/registry/*"] }
      Register = {
        actions   = ["sagemaker:CreateModelPackage"]
        resources = [aws_sagemaker_model_package_group.this.arn, "${local.sagemaker}:model-package/${var.name}/*"]
      }
    })
  }
}
