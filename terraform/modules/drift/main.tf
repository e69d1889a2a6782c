# Drift: once a day, the rows of two days before against the days that the serving model was trained on.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  name       = "${var.name}-drift"
  sagemaker  = "arn:${local.partition}:sagemaker:${local.region}:${local.account_id}"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_117:it speaks to AWS services alone; a VPC would add endpoints to pay and nothing to protect
  # checkov:skip=CKV_AWS_272:signing is the account's choice; the zip's hash is in the state
  # checkov:skip=CKV_AWS_115:reserved concurrency fails on new accounts; judging a day twice writes the same files
  function_name    = local.name
  description      = "Holds each day's rows against the days that the model was trained on."
  role             = aws_iam_role.this.arn
  filename         = var.function_zip
  source_code_hash = filebase64sha256(var.function_zip)
  handler          = "drift_monitor.handler.lambda_handler"
  runtime          = "python3.12"
  architectures    = ["x86_64"]
  layers           = [var.layer_arn]
  memory_size      = 1769 # one whole CPU
  timeout          = 900
  kms_key_arn      = var.kms_key_arn

  environment {
    variables = merge({
      BUCKET        = var.bucket
      SCORED_PREFIX = var.scored_prefix
      DRIFT_PREFIX  = var.drift_prefix
      ENDPOINT_NAME = var.endpoint_name
      TOPIC_ARN     = var.topic_arn
      LIMITS = jsonencode({
        for feature, limits in var.limits : feature => { for name, limit in limits : name => limit if limit != null }
      })
      POWERTOOLS_SERVICE_NAME      = local.name
      POWERTOOLS_METRICS_NAMESPACE = "EgressSentinel"
    }, var.capture_prefix == null ? {} : { CAPTURE_PREFIX = var.capture_prefix })
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  dead_letter_config {
    target_arn = aws_sqs_queue.dead_letters.arn
  }

  tracing_config {
    mode = "Active"
  }

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_sqs_queue" "dead_letters" {
  name                              = "${local.name}-dead-letters"
  message_retention_seconds         = 1209600
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = 3600
}

resource "aws_scheduler_schedule" "this" {
  name                = local.name
  description         = "Judges the day two days before, which the bill has settled by then."
  schedule_expression = var.schedule_expression
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_lambda_function.this.arn
    role_arn = aws_iam_role.start.arn
    # Not by jsonencode, which would write the brackets as escapes that the scheduler does not know.
    input = "{\"time\": \"<aws.scheduler.scheduled-time>\"}"

    retry_policy {
      maximum_retry_attempts = 3
    }
  }
}

# The function itself sends the message that says what has drifted; this one starts retraining, and is on the dashboard.
resource "aws_cloudwatch_metric_alarm" "drift" {
  alarm_name          = local.name
  alarm_description   = "The model's inputs or outputs are not what it was trained on. The message of that day says which; the runbook says what to do."
  namespace           = "EgressSentinel"
  metric_name         = "DriftedFeatures"
  dimensions          = { service = local.name }
  statistic           = "Maximum"
  period              = 86400
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${local.name}-dead-letters"
  alarm_description   = "A day was not judged for drift, after every retry. The function's log says why; invoke it with {\"day\": \"YYYY-MM-DD\"}."
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
}
