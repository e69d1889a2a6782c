# Retraining as a state machine: features, a training job, quality checks, registration of the model and a notification. A
# new model serves only after a person approves and promotes it.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  name       = "${var.name}-retraining"
  features   = var.features == null ? [] : [var.features]
  sagemaker  = "arn:${local.partition}:sagemaker:${local.region}:${local.account_id}"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/vendedlogs/states/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

# The training job's code. Its key has the content's hash, so a running job keeps the code that it started with.
resource "aws_s3_object" "source" {
  bucket      = var.bucket
  key         = "code/sourcedir-${substr(filesha256(var.source_bundle), 0, 16)}.tar.gz"
  source      = var.source_bundle
  source_hash = filesha256(var.source_bundle)
}

resource "aws_sfn_state_machine" "this" {
  name       = local.name
  role_arn   = aws_iam_role.machine.arn
  definition = jsonencode(local.definition)
  tags       = var.tags

  logging_configuration {
    level                  = "ALL"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.this.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  depends_on = [aws_iam_role_policy.machine]
}

resource "aws_scheduler_schedule" "this" {
  count = var.schedule_expression == null ? 0 : 1

  name                = local.name
  description         = "Trains a new model."
  schedule_expression = var.schedule_expression
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode                      = "FLEXIBLE"
    maximum_window_in_minutes = 60
  }

  target {
    arn      = aws_sfn_state_machine.this.arn
    role_arn = aws_iam_role.start.arn
    input    = jsonencode({ started_by = "schedule" })

    retry_policy {
      maximum_retry_attempts = 3
    }
  }
}

# The alarms of var.start_alarm_names also start it.
resource "aws_cloudwatch_event_rule" "alarm" {
  count = length(var.start_alarm_names) == 0 ? 0 : 1

  name        = "${local.name}-alarm"
  description = "An alarm that starts retraining is in the state ALARM."
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.cloudwatch"]
    detail-type = ["CloudWatch Alarm State Change"]
    detail      = { alarmName = var.start_alarm_names, state = { value = ["ALARM"] } }
  })
}

resource "aws_cloudwatch_event_target" "alarm" {
  count = length(aws_cloudwatch_event_rule.alarm)

  rule     = aws_cloudwatch_event_rule.alarm[0].name
  arn      = aws_sfn_state_machine.this.arn
  role_arn = aws_iam_role.start.arn
}
