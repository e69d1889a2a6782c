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
  name = "register"
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
        Sid      = "ReadArtifacts"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = var.model_object_arns
      },
      {
        Sid      = "WriteDocuments"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.bucket_arn}/models/registry/*"
      },
      {
        Sid      = "ReadAlertsAndVerdicts"
        Effect   = "Allow"
        Action   = "dynamodb:Scan"
        Resource = var.alerts_table_arn
      },
      {
        Sid      = "ReadPlannedEvents"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${var.bucket_arn}/${var.planned_events_key}"
      },
      {
        Sid      = "WriteWhatTrainingLeavesOut"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.bucket_arn}/${var.exclude_prefix}*"
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
        Sid      = "Register"
        Effect   = "Allow"
        Action   = "sagemaker:CreateModelPackage"
        Resource = [aws_sagemaker_model_package_group.this.arn, "${local.sagemaker}:model-package/${var.name}/*"]
      },
      {
        # Why a training job failed stands in its log alone.
        Sid      = "ReadTrainingLog"
        Effect   = "Allow"
        Action   = "logs:FilterLogEvents"
        Resource = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:${local.training}:*"
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
