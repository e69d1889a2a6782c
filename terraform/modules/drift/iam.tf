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
  name = "judge-drift"
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
        # Captured files are listed; and without it S3 answers 403, not 404, for a day without rows.
        Sid      = "ListBucket"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = var.bucket_arn
      },
      {
        Sid      = "ReadRows"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${var.bucket_arn}/${coalesce(var.capture_prefix, var.scored_prefix)}*"
      },
      {
        Sid      = "ReadWhatTheModelWasTrainedOn"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = var.model_object_arns
      },
      {
        Sid      = "WriteStatistics"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.bucket_arn}/${var.drift_prefix}*"
      },
      {
        Sid      = "FindTheCurrentModel"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeEndpoint"
        Resource = "${local.sagemaker}:endpoint/${var.endpoint_name}"
      },
      {
        Sid      = "FindItsConfiguration"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeEndpointConfig"
        Resource = "${local.sagemaker}:endpoint-config/${var.name}-*"
      },
      {
        Sid      = "FindItsArtifact"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeModel"
        Resource = "${local.sagemaker}:model/${var.name}-*"
      },
      {
        Sid      = "FindItsPackage"
        Effect   = "Allow"
        Action   = "sagemaker:DescribeModelPackage"
        Resource = "${local.sagemaker}:model-package/${var.name}/*"
      },
      {
        Sid      = "Tell"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = var.topic_arn
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

# What the schedule may do.
resource "aws_iam_role" "start" {
  name = "${local.name}-start"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "start" {
  name = "start"
  role = aws_iam_role.start.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Start"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = aws_lambda_function.this.arn
      },
      {
        Sid      = "Decrypt"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.kms_key_arn
      },
    ]
  })
}
