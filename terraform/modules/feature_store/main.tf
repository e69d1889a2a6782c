# A feature group with the latest features of each series, read by key; on request, with their history.

data "aws_caller_identity" "current" {}

locals {
  types = { string = "String", timestamp = "String", boolean = "Integral", double = "Fractional", float = "Fractional" }
  features = concat(
    [for name in ["series", "event_time"] : { name = name, type = "String" }],
    [for column in var.columns : { name = column.name, type = local.types[column.type] }],
  )
  offline_prefix = "feature-store/"
}

# The provider requires a role even without an offline store. The online store needs no permissions.
resource "aws_iam_role" "this" {
  name                 = "${var.name}-feature-store${var.roles.suffix}"
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
  count = var.offline ? 1 : 0

  name = "write-history"
  role = aws_iam_role.this.id

  # As AWS's AmazonSageMakerFeatureStoreAccess, for one prefix.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "CheckBucket"
        Effect   = "Allow"
        Action   = "s3:GetBucketAcl"
        Resource = var.bucket_arn
      },
      {
        Sid      = "WriteHistory"
        Effect   = "Allow"
        Action   = ["s3:PutObject", "s3:PutObjectAcl"]
        Resource = "${var.bucket_arn}/${local.offline_prefix}*"
      },
      {
        Sid      = "Encryption"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
      },
    ]
  })
}

resource "aws_sagemaker_feature_group" "this" {
  feature_group_name             = var.name
  description                    = "The latest features of each series of data transfer."
  record_identifier_feature_name = "series"
  event_time_feature_name        = "event_time"
  role_arn                       = aws_iam_role.this.arn
  tags                           = var.tags

  dynamic "feature_definition" {
    for_each = local.features

    content {
      feature_name = feature_definition.value.name
      feature_type = feature_definition.value.type
    }
  }

  online_store_config {
    enable_online_store = true

    security_config {
      kms_key_id = var.kms_key_arn
    }

    # Removes a series that is no longer billed.
    ttl_duration {
      unit  = "Days"
      value = var.ttl_days
    }
  }

  dynamic "offline_store_config" {
    for_each = var.offline ? [true] : []

    content {
      # SageMaker would create the table in a Glue database of its choice, with the permissions of the user who applies.
      disable_glue_table_creation = true

      s3_storage_config {
        s3_uri     = "s3://${var.bucket}/${local.offline_prefix}"
        kms_key_id = var.kms_key_arn
      }
    }
  }

  depends_on = [aws_iam_role_policy.this]
}
