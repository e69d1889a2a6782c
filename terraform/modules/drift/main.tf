# Drift: compares the rows of the day two days ago, or of the last hour, with the training rows of the serving model.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  name       = "${var.name}-drift"
  sagemaker  = "arn:${local.partition}:sagemaker:${local.region}:${local.account_id}"

  decrypt_model = { for key in var.model_kms_key_arn[*] : "DecryptModel" => { actions = ["kms:Decrypt"], resources = [key] } }
}

module "function" {
  source = "../function"

  name               = local.name
  tags               = var.tags
  roles              = var.roles
  description        = "Compares the rows of each day or hour with the model's training rows."
  zip                = var.function_zip
  handler            = "drift_monitor.handler.lambda_handler"
  layer_arns         = [var.layer_arn]
  memory_mb          = 1769 # one whole CPU
  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days

  environment = merge({
    BUCKET        = var.bucket
    SCORED_PREFIX = var.scored_prefix
    DRIFT_PREFIX  = var.drift_prefix
    ENDPOINT_NAME = var.endpoint_name
    TOPIC_ARN     = var.topic_arn
    WINDOW        = var.window
    LIMITS = jsonencode({
      for feature, limits in var.limits : feature => { for name, limit in limits : name => limit if limit != null }
    })
    POWERTOOLS_METRICS_NAMESPACE = "EgressSentinel"
    },
    var.capture_prefix == null ? {} : { CAPTURE_PREFIX = var.capture_prefix },
    var.feature_metrics ? { FEATURE_METRICS = "true" } : {},
  )

  policy = {
    name = "judge-drift"
    statements = merge(local.decrypt_model, {
      # Lists captured files. Without this, S3 returns 403 instead of 404 for a day without rows.
      ListBucket                   = { actions = ["s3:ListBucket"], resources = [var.bucket_arn] }
      ReadRows                     = { actions = ["s3:GetObject"], resources = ["${var.bucket_arn}/${coalesce(var.capture_prefix, var.scored_prefix)}*"] }
      ReadWhatTheModelWasTrainedOn = { actions = ["s3:GetObject"], resources = var.model_object_arns }
      ReadPublishedMessages        = { actions = ["s3:GetObject"], resources = ["${var.bucket_arn}/${var.drift_prefix}*/message.txt"] }
      ReadLatestMeasures           = { actions = ["s3:GetObject"], resources = ["${var.bucket_arn}/${var.drift_prefix}latest/measures.json"] }
      WriteStatistics              = { actions = ["s3:PutObject"], resources = ["${var.bucket_arn}/${var.drift_prefix}*"] }
      FindTheCurrentModel          = { actions = ["sagemaker:DescribeEndpoint"], resources = ["${local.sagemaker}:endpoint/${var.endpoint_name}"] }
      FindItsConfiguration         = { actions = ["sagemaker:DescribeEndpointConfig"], resources = ["${local.sagemaker}:endpoint-config/${var.name}-*"] }
      FindItsArtifact              = { actions = ["sagemaker:DescribeModel"], resources = ["${local.sagemaker}:model/${var.name}-*"] }
      FindItsPackage               = { actions = ["sagemaker:DescribeModelPackage"], resources = ["${local.sagemaker}:model-package/${var.name}/*"] }
      Notify                       = { actions = ["sns:Publish"], resources = [var.topic_arn] }
    })
  }

  dead_letter_alarm = {
    description = "The drift check of a day failed after all retries. The reason is in the function's log. Fix it and invoke the function with {\"day\": \"YYYY-MM-DD\"}."
    topic_arn   = var.topic_arn
  }
}

resource "aws_scheduler_schedule" "this" {
  name                = local.name
  description         = var.window == "hour" ? "Checks the last hour for drift." : "Checks the day two days ago, whose bill lines are complete by then, for drift."
  schedule_expression = var.schedule_expression
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.function.arn
    role_arn = aws_iam_role.start.arn
    # Not with jsonencode, which would escape the angle brackets of the scheduler's placeholders.
    input = "{\"time\": \"<aws.scheduler.scheduled-time>\"}"

    retry_policy {
      maximum_retry_attempts = 3
    }
  }
}

# The function sends the notification with the drifted features. This alarm starts retraining and is on the dashboard.
resource "aws_cloudwatch_metric_alarm" "drift" {
  alarm_name          = local.name
  alarm_description   = "The model's inputs or outputs differ from its training rows. The notification of that day names them. See the runbook for the next steps."
  namespace           = "EgressSentinel"
  metric_name         = "DriftedFeatures"
  dimensions          = { service = local.name }
  statistic           = "Maximum"
  period              = 86400
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  tags                = var.tags
}
