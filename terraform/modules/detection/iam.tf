resource "aws_iam_role" "this" {
  name = local.name

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  # checkov:skip=CKV_AWS_290:the one statement on "*" is argued where it stands
  # checkov:skip=CKV_AWS_355:the one statement on "*" is argued where it stands
  name = "detect"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this.arn}:*"
      },
      {
        # Without it S3 answers 403, not 404, for a day that has not been scored yet.
        Sid      = "ListBucket"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = var.bucket_arn
      },
      {
        Sid      = "ReadHours"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = ["${var.bucket_arn}/${var.features_prefix}*", "${var.bucket_arn}/${var.scored_prefix}*"]
      },
      {
        Sid      = "ReadPlannedEvents"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${var.bucket_arn}/${aws_s3_object.planned_events.key}"
      },
      {
        Sid      = "WriteScoredHours"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.bucket_arn}/${var.scored_prefix}*"
      },
      {
        Sid      = "Score"
        Effect   = "Allow"
        Action   = "sagemaker:InvokeEndpoint"
        Resource = var.endpoint_arn
      },
      {
        Sid      = "WriteAlerts"
        Effect   = "Allow"
        Action   = ["dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.alerts.arn
      },
      {
        Sid      = "FindOpenIncidents"
        Effect   = "Allow"
        Action   = "dynamodb:Query"
        Resource = "${aws_dynamodb_table.alerts.arn}/index/account-region"
      },
      {
        Sid      = "OnceAnEvent"
        Effect   = "Allow"
        Action   = ["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.idempotency.arn
      },
      {
        Sid      = "Tell"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = aws_sns_topic.this.arn
      },
      {
        Sid      = "DeadLetters"
        Effect   = "Allow"
        Action   = "sqs:SendMessage"
        Resource = aws_sqs_queue.dead_letters.arn
      },
      {
        Sid      = "Encryption"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
      },
      {
        # X-Ray has no resources for these.
        Sid      = "Trace"
        Effect   = "Allow"
        Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
        Resource = "*"
      },
    ]
  })
}
