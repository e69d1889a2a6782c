# A notebook instance with the project installed, without root and, in a VPC, without direct internet access.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

resource "aws_sagemaker_notebook_instance_lifecycle_configuration" "this" {
  name = "${var.name}-notebook"
  tags = var.tags

  on_start = base64encode(templatefile("${path.module}/on_start.sh.tftpl", { repository_url = var.repository_url }))
}

resource "aws_sagemaker_notebook_instance" "this" {
  # checkov:skip=CKV_AWS_122:without a VPC of the account's own there is no other way to PyPI; with one it is off
  # checkov:skip=CKV_AWS_306:a VPC is an option of whoever has one
  # No platform_identifier: AWS's default is notebook-al2023-v1, which provider 5.100 does not accept as a value.
  name                   = "${var.name}-notebook"
  role_arn               = aws_iam_role.this.arn
  instance_type          = var.notebook.instance_type
  volume_size            = var.notebook.volume_gb
  kms_key_id             = var.kms_key_arn
  root_access            = "Disabled"
  direct_internet_access = var.notebook.subnet_id == null ? "Enabled" : "Disabled"
  subnet_id              = var.notebook.subnet_id
  security_groups        = var.notebook.subnet_id == null ? null : var.notebook.security_group_ids
  lifecycle_config_name  = aws_sagemaker_notebook_instance_lifecycle_configuration.this.name
  tags                   = var.tags

  instance_metadata_service_configuration {
    minimum_instance_metadata_service_version = "2"
  }

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_iam_role" "this" {
  name                 = "${var.name}-notebook${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sagemaker.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  name = "explore"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "List"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = var.bucket_arn
      },
      {
        Sid      = "Read"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${var.bucket_arn}/*"
      },
      {
        Sid      = "Write"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.bucket_arn}/notebooks/*"
      },
      {
        Sid      = "Encryption"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
      },
      {
        Sid       = "EncryptTheVolume"
        Effect    = "Allow"
        Action    = "kms:CreateGrant"
        Resource  = var.kms_key_arn
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
      {
        # The output of the start-up script.
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.id}:${data.aws_caller_identity.current.account_id}:log-group:/aws/sagemaker/NotebookInstances:*"
      },
      {
        Sid      = "Score"
        Effect   = "Allow"
        Action   = "sagemaker:InvokeEndpoint"
        Resource = var.endpoint_arn
      },
    ]
  })
}
