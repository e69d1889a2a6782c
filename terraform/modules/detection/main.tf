# The Lambda that scores new hours, what starts it, and what it writes to.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  name       = "${var.name}-detector"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

# pyarrow and numpy as a layer: with them in the function's zip, each change of a line would upload 47 MB.
resource "aws_s3_object" "layer" {
  bucket      = var.bucket
  key         = "code/pyarrow-layer-${substr(filesha256(var.layer_zip), 0, 16)}.zip"
  source      = var.layer_zip
  source_hash = filesha256(var.layer_zip)
}

resource "aws_lambda_layer_version" "this" {
  layer_name               = "${var.name}-pyarrow"
  description              = "pyarrow and numpy"
  s3_bucket                = aws_s3_object.layer.bucket
  s3_key                   = aws_s3_object.layer.key
  source_code_hash         = filebase64sha256(var.layer_zip)
  compatible_runtimes      = ["python3.12"]
  compatible_architectures = ["x86_64"]
}

# An object and not a variable of the function: it changes often, and has no limit of size.
resource "aws_s3_object" "planned_events" {
  bucket       = var.bucket
  key          = "config/planned_events.json"
  content_type = "application/json"
  content      = jsonencode([for event in var.planned_events : { for name, value in event : name => value if value != null }])
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_117:it speaks to AWS services alone; a VPC would add endpoints to pay and nothing to protect
  # checkov:skip=CKV_AWS_272:signing is the account's choice; the zip's hash is in the state
  # checkov:skip=CKV_AWS_115:reserved concurrency fails on new accounts; conditional writes hold when two run at once
  function_name    = local.name
  description      = "Scores new hours of egress and tells people what is unusual."
  role             = aws_iam_role.this.arn
  filename         = var.function_zip
  source_code_hash = filebase64sha256(var.function_zip)
  handler          = "anomaly_detector.handler.lambda_handler"
  runtime          = "python3.12"
  architectures    = ["x86_64"]
  layers           = [aws_lambda_layer_version.this.arn]
  memory_size      = var.memory_mb
  timeout          = 900
  kms_key_arn      = var.kms_key_arn

  environment {
    variables = {
      BUCKET                       = var.bucket
      FEATURES_PREFIX              = var.features_prefix
      SCORED_PREFIX                = var.scored_prefix
      ENDPOINT_NAME                = var.endpoint_name
      ALERTS_TABLE                 = aws_dynamodb_table.alerts.name
      IDEMPOTENCY_TABLE            = aws_dynamodb_table.idempotency.name
      TOPIC_ARN                    = aws_sns_topic.this.arn
      MAX_BODY_BYTES               = var.max_body_bytes
      MIN_EXCESS_USD               = var.alert_policy.min_excess_usd
      MIN_EXCESS_GB                = var.alert_policy.min_excess_gb
      MIN_EXCESS_PERCENT           = var.alert_policy.min_excess_percent
      MIN_TIMES_USUAL_EXCESS       = var.alert_policy.min_times_usual_excess
      MAX_P_VALUE                  = var.alert_policy.max_p_value
      LASTING_HOURS                = var.alert_policy.lasting_hours
      INCIDENT_GAP_HOURS           = var.alert_policy.incident_gap_hours
      SIBLING_HOURS                = var.alert_policy.sibling_hours
      SEVERITY_USD_PER_DAY         = join(",", var.alert_policy.severity_usd_per_day)
      POLICY_OVERRIDES             = jsonencode([for o in var.alert_policy.overrides : { for k, v in o : k => v if v != null }])
      PLANNED_EVENTS_KEY           = aws_s3_object.planned_events.key
      POWERTOOLS_SERVICE_NAME      = local.name
      POWERTOOLS_METRICS_NAMESPACE = "EgressSentinel"
    }
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

resource "aws_lambda_function_event_invoke_config" "this" {
  function_name                = aws_lambda_function.this.function_name
  maximum_event_age_in_seconds = 21600
  maximum_retry_attempts       = 2
}

# What neither EventBridge could deliver nor the function could do in three attempts.
resource "aws_sqs_queue" "dead_letters" {
  name                              = "${local.name}-dead-letters"
  message_retention_seconds         = 1209600
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = 3600
}

resource "aws_sqs_queue_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventBridge"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.dead_letters.arn
      Condition = { ArnEquals = { "aws:SourceArn" = [for rule in aws_cloudwatch_event_rule.this : rule.arn] } }
    }]
  })
}

locals {
  rules = {
    features = {
      description = "A file of features has arrived."
      schedule    = null
      pattern = jsonencode({
        source      = ["aws.s3"]
        detail-type = ["Object Created"]
        detail      = { bucket = { name = [var.bucket] }, object = { key = [{ prefix = var.features_prefix }] } }
      })
    }
    schedule = {
      description = "The last 48 hours again: bills of the last two days are still being written."
      schedule    = var.schedule_expression
      pattern     = null
    }
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name                = "${local.name}-${each.key}"
  description         = each.value.description
  event_pattern       = each.value.pattern
  schedule_expression = each.value.schedule
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = local.rules

  rule = aws_cloudwatch_event_rule.this[each.key].name
  arn  = aws_lambda_function.this.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters.arn
  }
}

resource "aws_lambda_permission" "this" {
  for_each = local.rules

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this[each.key].arn
}
