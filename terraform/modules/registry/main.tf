# The registry: a group of model packages, and the function that registers what a training job made.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  name       = "${var.name}-registrar"
  sagemaker  = "arn:${local.partition}:sagemaker:${local.region}:${local.account_id}"
  training   = "/aws/sagemaker/TrainingJobs"
}

resource "aws_sagemaker_model_package_group" "this" {
  model_package_group_name        = var.name
  model_package_group_description = "Models of ${var.name}: what was trained, on which data, and who let it serve."
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_117:it speaks to AWS services alone; a VPC would add endpoints to pay and nothing to protect
  # checkov:skip=CKV_AWS_272:signing is the account's choice; the zip's hash is in the state
  # checkov:skip=CKV_AWS_115:reserved concurrency fails on new accounts; one execution at a time calls it
  # checkov:skip=CKV_AWS_116:it is called and waited for by the state machine or a person; nothing comes asynchronously
  function_name    = local.name
  description      = "Registers what a training job made as a model package that waits for approval."
  role             = aws_iam_role.this.arn
  filename         = var.function_zip
  source_code_hash = filebase64sha256(var.function_zip)
  handler          = "model_registrar.handler.lambda_handler"
  runtime          = "python3.12"
  architectures    = ["x86_64"]
  memory_size      = 512
  timeout          = 300
  kms_key_arn      = var.kms_key_arn

  environment {
    variables = {
      BUCKET                  = var.bucket
      MODEL_PACKAGE_GROUP     = aws_sagemaker_model_package_group.this.model_package_group_name
      ENDPOINT_NAME           = var.endpoint_name
      IMAGE                   = var.image
      CONTAINER_ENVIRONMENT   = jsonencode(var.environment)
      TRAINING_JOB_PREFIX     = var.training_job_prefix
      ALERTS_TABLE            = var.alerts_table
      PLANNED_EVENTS_KEY      = var.planned_events_key
      EXCLUDE_PREFIX          = var.exclude_prefix
      POWERTOOLS_SERVICE_NAME = local.name
    }
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  tracing_config {
    mode = "Active"
  }

  depends_on = [aws_iam_role_policy.this]
}
