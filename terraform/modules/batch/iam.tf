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
  name = "score-files"
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
        # Without it S3 answers 403, not 404, for a file that was removed meanwhile.
        Sid      = "ListBucket"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = var.bucket_arn
      },
      {
        Sid      = "ReadFilesAndScores"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = ["${var.bucket_arn}/batch/input/*", "${var.bucket_arn}/batch/jobs/*"]
      },
      {
        Sid      = "ReadWhatTheModelTakes"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = var.model_object_arns
      },
      {
        Sid    = "WriteFiles"
        Effect = "Allow"
        Action = "s3:PutObject"
        Resource = [
          "${var.bucket_arn}/batch/failed/*", "${var.bucket_arn}/batch/output/*", "${var.bucket_arn}/batch/jobs/*",
        ]
      },
      {
        Sid      = "MoveFailedFiles"
        Effect   = "Allow"
        Action   = "s3:DeleteObject"
        Resource = "${var.bucket_arn}/batch/input/*"
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
        Sid      = "StartJobs"
        Effect   = "Allow"
        Action   = "sagemaker:CreateTransformJob"
        Resource = "${local.sagemaker}:transform-job/${local.name}-*"
      },
      {
        Sid      = "KeepJobs"
        Effect   = "Allow"
        Action   = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"]
        Resource = aws_dynamodb_table.jobs.arn
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
        Action   = ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
      },
      {
        Sid       = "EncryptTheJobsVolumes"
        Effect    = "Allow"
        Action    = "kms:CreateGrant"
        Resource  = var.kms_key_arn
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
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
