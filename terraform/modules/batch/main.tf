# Batch scoring: a file under batch/input/ in the bucket becomes a transform job and a file under batch/output/.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  name       = "${var.name}-batch"
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
  # checkov:skip=CKV_AWS_115:reserved concurrency fails on new accounts; conditional writes hold when two run at once
  function_name    = local.name
  description      = "Checks dropped files, starts their transform jobs and joins the scores to their lines."
  role             = aws_iam_role.this.arn
  filename         = var.function_zip
  source_code_hash = filebase64sha256(var.function_zip)
  handler          = "batch_scorer.handler.lambda_handler"
  runtime          = "python3.12"
  architectures    = ["x86_64"]
  layers           = [var.layer_arn]
  memory_size      = 1769 # one whole CPU
  timeout          = 900
  kms_key_arn      = var.kms_key_arn

  # A file of 2 GB, what is sent of it, and the result.
  ephemeral_storage {
    size = 8192
  }

  environment {
    variables = {
      BUCKET                       = var.bucket
      ENDPOINT_NAME                = var.endpoint_name
      JOBS_TABLE                   = aws_dynamodb_table.jobs.name
      TOPIC_ARN                    = var.topic_arn
      JOB_NAME_PREFIX              = local.name
      KMS_KEY_ARN                  = var.kms_key_arn
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

resource "aws_dynamodb_table" "jobs" {
  name         = "${local.name}-jobs"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "job_id"

  attribute {
    name = "job_id"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}

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
    dropped = {
      description = "A file to score was dropped."
      pattern = {
        source      = ["aws.s3"]
        detail-type = ["Object Created"]
        detail      = { bucket = { name = [var.bucket] }, object = { key = [{ prefix = "batch/input/" }] } }
      }
    }
    ended = {
      description = "A transform job of dropped files has ended."
      pattern = {
        source      = ["aws.sagemaker"]
        detail-type = ["SageMaker Transform Job State Change"]
        detail = {
          TransformJobName   = [{ prefix = "${local.name}-" }]
          TransformJobStatus = ["Completed", "Failed", "Stopped"]
        }
      }
    }
  }
}

resource "aws_cloudwatch_event_rule" "this" {
  for_each = local.rules

  name          = "${local.name}-${each.key}"
  description   = each.value.description
  event_pattern = jsonencode(each.value.pattern)
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

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "${local.name}-dead-letters"
  alarm_description   = "A dropped file or the end of a transform job was given up after every retry. The job table says why; mend it and drop the file again."
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
