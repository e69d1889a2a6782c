# One Lambda function: its zip, log group, role, dead-letter queue, and the EventBridge rules that start it.

locals {
  # Rules call the function asynchronously: Lambda queues their events and retries them.
  is_started_by_rules = length(var.event_rules) > 0
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_lambda_function" "this" {
  # checkov:skip=CKV_AWS_117:the functions call AWS services only; a VPC would add endpoints to pay for and protect nothing
  # checkov:skip=CKV_AWS_272:signing is the account's choice; the zip's hash is in the state
  # checkov:skip=CKV_AWS_115:reserved concurrency fails on new accounts; each function is safe when two run at once
  # checkov:skip=CKV_AWS_116:var.has_dead_letter_queue; a function that its caller waits for has no asynchronous events
  function_name    = var.name
  description      = var.description
  role             = aws_iam_role.this.arn
  filename         = var.zip
  source_code_hash = filebase64sha256(var.zip)
  handler          = var.handler
  runtime          = "python3.12"
  architectures    = ["x86_64"]
  layers           = var.layer_arns
  memory_size      = var.memory_mb
  timeout          = var.timeout_seconds
  kms_key_arn      = var.kms_key_arn
  tags             = var.tags

  ephemeral_storage {
    size = var.ephemeral_storage_mb
  }

  environment {
    variables = merge(var.environment, { POWERTOOLS_SERVICE_NAME = var.name })
  }

  logging_config {
    log_format = "JSON"
    log_group  = aws_cloudwatch_log_group.this.name
  }

  dynamic "dead_letter_config" {
    for_each = aws_sqs_queue.dead_letters

    content {
      target_arn = dead_letter_config.value.arn
    }
  }

  tracing_config {
    mode = "Active"
  }

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_lambda_function_event_invoke_config" "this" {
  count = local.is_started_by_rules ? 1 : 0

  function_name                = aws_lambda_function.this.function_name
  maximum_event_age_in_seconds = 21600
  maximum_retry_attempts       = 2
}

# Events that EventBridge could not deliver or that the function failed on after every retry.
resource "aws_sqs_queue" "dead_letters" {
  count = var.has_dead_letter_queue ? 1 : 0

  name                              = "${var.name}-dead-letters"
  message_retention_seconds         = 1209600
  kms_master_key_id                 = var.kms_key_arn
  kms_data_key_reuse_period_seconds = 3600
  tags                              = var.tags
}

resource "aws_sqs_queue_policy" "dead_letters" {
  count = local.is_started_by_rules ? 1 : 0

  queue_url = aws_sqs_queue.dead_letters[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "EventBridge"
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sqs:SendMessage"
      Resource  = aws_sqs_queue.dead_letters[0].arn
      Condition = { ArnEquals = { "aws:SourceArn" = [for rule in aws_cloudwatch_event_rule.this : rule.arn] } }
    }]
  })
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  count = var.dead_letter_alarm == null ? 0 : 1

  alarm_name          = "${var.name}-dead-letters"
  alarm_description   = var.dead_letter_alarm.description
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters[0].name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.dead_letter_alarm.topic_arn]
  ok_actions          = [var.dead_letter_alarm.topic_arn]
  tags                = var.tags
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = var.event_rules

  name                = "${var.name}-${each.key}"
  description         = each.value.description
  event_pattern       = each.value.pattern
  schedule_expression = each.value.schedule
  tags                = var.tags
}

resource "aws_cloudwatch_event_target" "this" {
  for_each = var.event_rules

  rule = aws_cloudwatch_event_rule.this[each.key].name
  arn  = aws_lambda_function.this.arn

  dead_letter_config {
    arn = aws_sqs_queue.dead_letters[0].arn
  }
}

resource "aws_lambda_permission" "this" {
  for_each = var.event_rules

  statement_id  = each.key
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.this.function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.this[each.key].arn
}
