locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  bucket_arn = "arn:${local.partition}:s3:::${var.bucket}"
  glue       = "arn:${local.partition}:glue:${local.region}:${local.account_id}"
  catalog    = ["${local.glue}:catalog", "${local.glue}:database/${var.database}"]
  run_tables = [for step in local.steps : "${local.glue}:table/${var.database}/${step.name}_*"]

  # Permissions that only some machines require.
  more_statements = concat(
    [
      for keeps in var.keeps[*] : {
        Sid      = "KeepTable"
        Effect   = "Allow"
        Action   = ["glue:UpdateTable"]
        Resource = concat(local.catalog, ["${local.glue}:table/${var.database}/${keeps.table}"])
      }
    ],
    [
      for _ in var.network_prefix[*] : {
        # EC2 describes all interfaces or none: the action has no resource.
        Sid      = "ListInterfaces"
        Effect   = "Allow"
        Action   = ["ec2:DescribeNetworkInterfaces"]
        Resource = "*"
      }
    ],
    length(var.reads.kms_key_arns) == 0 ? [] : [{
      Sid      = "Decrypt"
      Effect   = "Allow"
      Action   = ["kms:Decrypt"]
      Resource = var.reads.kms_key_arns
    }],
  )
}

resource "aws_iam_role" "machine" {
  name                 = "${var.name}${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "states.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

# Athena reads and writes with the caller's permissions.
resource "aws_iam_role_policy" "machine" {
  # checkov:skip=CKV_AWS_290:the statement on "*" has its reason beside it
  # checkov:skip=CKV_AWS_355:the statement on "*" has its reason beside it
  # checkov:skip=CKV_AWS_289:the statement on "*" has its reason beside it
  name = "make-features"
  role = aws_iam_role.machine.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid      = "Query"
        Effect   = "Allow"
        Action   = ["athena:GetQueryExecution", "athena:StartQueryExecution", "athena:StopQueryExecution"]
        Resource = var.workgroup.arn
      },
      {
        # Athena requires these before it runs any query. In a new account, it creates the default database.
        Sid      = "UseCatalog"
        Effect   = "Allow"
        Action   = ["athena:GetDataCatalog", "glue:CreateDatabase", "glue:GetDatabase"]
        Resource = ["arn:${local.partition}:athena:${local.region}:${local.account_id}:datacatalog/AwsDataCatalog", "${local.glue}:catalog", "${local.glue}:database/default"]
      },
      {
        Sid      = "ReadTables"
        Effect   = "Allow"
        Action   = ["glue:GetDatabase", "glue:GetPartitions", "glue:GetTable"]
        Resource = concat(local.catalog, [for table in var.reads.tables : "${local.glue}:table/${var.database}/${table}"], local.run_tables)
      },
      {
        Sid      = "MakeTables"
        Effect   = "Allow"
        Action   = ["glue:BatchCreatePartition", "glue:BatchDeleteTable", "glue:CreateTable"]
        Resource = concat(local.catalog, local.run_tables)
      },
      {
        Sid      = "FindFiles"
        Effect   = "Allow"
        Action   = ["s3:GetBucketLocation", "s3:ListBucket"]
        Resource = concat([local.bucket_arn], var.reads.bucket_arns)
      },
      {
        Sid      = "ReadFiles"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = concat(var.reads.object_arns, ["${local.bucket_arn}/athena/*"])
      },
      {
        Sid      = "WriteTablesAndFeatures"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts", "s3:PutObject"]
        Resource = [for prefix in concat(["athena/"], var.writes_prefixes, var.network_prefix[*]) : "${local.bucket_arn}/${prefix}*"]
      },
      {
        Sid      = "Explain"
        Effect   = "Allow"
        Action   = "lambda:InvokeFunction"
        Resource = var.explainer.arn
      },
      {
        Sid      = "Notify"
        Effect   = "Allow"
        Action   = "sns:Publish"
        Resource = var.topic_arn
      },
      {
        Sid      = "Encryption"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
      },
      {
        # CloudWatch Logs has no resources for vended logs' delivery, nor X-Ray for traces.
        Sid    = "LogAndTrace"
        Effect = "Allow"
        Action = [
          "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
          "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
          "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
        ]
        Resource = "*"
      },
    ], local.more_statements)
  })
}
