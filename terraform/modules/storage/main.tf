# One bucket, with prefixes: exports/, features/, history/, scored/, alerts/, models/, batch/, athena/, config/. One
# customer-managed key for all that rests. Either may exist already: then its owner configures it.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id

  own_bucket  = var.existing.bucket == null ? 1 : 0
  own_key     = var.existing.kms_key_arn == null ? 1 : 0
  bucket      = one(concat(aws_s3_bucket.this[*].id, var.existing.bucket[*]))
  bucket_arn  = one(concat(aws_s3_bucket.this[*].arn, [for name in var.existing.bucket[*] : "arn:${local.partition}:s3:::${name}"]))
  kms_key_arn = one(concat(aws_kms_key.this[*].arn, var.existing.kms_key_arn[*]))

  # Services that write encrypted data for this deployment, each only for resources of this account.
  services = merge({
    "cloudwatch.amazonaws.com" = "alarms publish to the topic"
    "events.amazonaws.com"     = "EventBridge puts undelivered events into the queue"
    "budgets.amazonaws.com"    = "the budget publishes to the topic"
    }, var.data_export == null ? {} : {
    "bcm-data-exports.amazonaws.com" = "Data Exports writes the export"
    "billingreports.amazonaws.com"   = "Data Exports writes the export"
  })

  # Statements that the key's policy requires, also of an existing key. In a key's policy "*" is this key.
  kms_key_statements = concat(
    [
      {
        Sid       = "AccountByIam"
        Effect    = "Allow"
        Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
        Action    = "kms:*"
        Resource  = "*"
      },
      {
        Sid       = "LogGroups"
        Effect    = "Allow"
        Principal = { Service = "logs.${local.region}.${data.aws_partition.current.dns_suffix}" }
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
        Resource  = "*"
        Condition = {
          ArnLike = { "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:*" }
        }
      },
    ],
    [
      for service, why in local.services : {
        Sid       = replace(title(replace(service, ".", " ")), " ", "")
        Effect    = "Allow"
        Principal = { Service = service }
        Action    = ["kms:Decrypt", "kms:GenerateDataKey*"]
        Resource  = "*"
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      }
    ],
    # Flow logs into a bucket that this key encrypts.
    var.log_delivery == null ? [] : [{
      Sid       = "LogDelivery"
      Effect    = "Allow"
      Principal = { Service = "delivery.logs.amazonaws.com" }
      Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:ReEncrypt*"]
      Resource  = "*"
      Condition = {
        StringEquals = { "aws:SourceAccount" = var.log_delivery.account_ids }
        ArnLike = {
          "aws:SourceArn" = [
            for pair in setproduct(var.log_delivery.regions, var.log_delivery.account_ids) : "arn:${local.partition}:logs:${pair[0]}:${pair[1]}:*"
          ]
        }
      }
    }],
  )

  # Statements that the bucket's policy requires, also of an existing bucket.
  bucket_statements = concat(
    [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "s3:*"
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }],
    # AWS's own statement, since Data Exports compares the policy with it:
    # https://docs.aws.amazon.com/cur/latest/userguide/dataexports-s3-bucket.html
    var.data_export == null ? [] : [{
      Sid       = "EnableAWSDataExportsToWriteToS3AndCheckPolicy"
      Effect    = "Allow"
      Principal = { Service = ["billingreports.amazonaws.com", "bcm-data-exports.amazonaws.com"] }
      Action    = ["s3:PutObject", "s3:GetBucketPolicy"]
      Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
      Condition = {
        StringLike = {
          "aws:SourceAccount" = local.account_id
          "aws:SourceArn" = [
            "arn:${local.partition}:cur:us-east-1:${local.account_id}:definition/*",
            "arn:${local.partition}:bcm-data-exports:us-east-1:${local.account_id}:export/*",
          ]
        }
      }
    }],
  )
}

resource "aws_kms_key" "this" {
  count = local.own_key

  description             = "${var.name}: bucket, tables, topic, queue, logs and the endpoint's storage"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  tags                    = var.tags

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.kms_key_statements
  })
}

resource "aws_kms_alias" "this" {
  count = local.own_key

  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this[0].key_id
}

resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV_AWS_18:server access logs need a second bucket; CloudTrail data events are the account's choice
  # checkov:skip=CKV_AWS_144:all data in the bucket can be created again from the billing exports
  count = local.own_bucket

  bucket        = "${var.name}-${local.account_id}-${local.region}"
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_versioning" "this" {
  count = local.own_bucket

  bucket = aws_s3_bucket.this[0].id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  count = local.own_bucket

  bucket = aws_s3_bucket.this[0].id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = local.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  count = local.own_bucket

  bucket                  = aws_s3_bucket.this[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  count = local.own_bucket

  bucket = aws_s3_bucket.this[0].id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  count = local.own_bucket

  bucket = aws_s3_bucket.this[0].id

  rule {
    id     = "old-versions-and-broken-uploads"
    status = "Enabled"

    filter {}

    noncurrent_version_expiration {
      noncurrent_days = 30
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }

  rule {
    id     = "batch-jobs"
    status = "Enabled"

    filter {
      prefix = "batch/jobs/"
    }

    expiration {
      days = 7
    }
  }

  # Results of queries, and the tables of a run of the feature query.
  rule {
    id     = "athena"
    status = "Enabled"

    filter {
      prefix = "athena/"
    }

    expiration {
      days = 7
    }
  }

  rule {
    id     = "scored-rows"
    status = "Enabled"

    filter {
      prefix = var.scored_prefix
    }

    expiration {
      days = var.scored_retention_days
    }
  }

  # Lists that were too long for an alert or a notification.
  rule {
    id     = "alert-lists"
    status = "Enabled"

    filter {
      prefix = var.alerts_prefix
    }

    expiration {
      days = var.scored_retention_days
    }
  }
}

resource "aws_s3_bucket_notification" "this" {
  count = local.own_bucket

  bucket      = aws_s3_bucket.this[0].id
  eventbridge = true
}

resource "aws_s3_bucket_policy" "this" {
  count = local.own_bucket

  bucket = aws_s3_bucket.this[0].id

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.bucket_statements
  })

  depends_on = [aws_s3_bucket_public_access_block.this]
}

# A CUR 2.0 export, for accounts without a billing export. Data Exports are in us-east-1.
resource "aws_bcmdataexports_export" "this" {
  count = var.data_export == null ? 0 : 1

  export {
    name = var.data_export.name

    data_query {
      query_statement = "SELECT ${join(", ", local.cur_2_0_columns)} FROM COST_AND_USAGE_REPORT"
      table_configurations = {
        COST_AND_USAGE_REPORT = {
          # AWS adds it when it is missing; the provider then fails with "inconsistent result after apply".
          BILLING_VIEW_ARN                      = "arn:${local.partition}:billing::${local.account_id}:billingview/primary"
          TIME_GRANULARITY                      = "HOURLY"
          INCLUDE_RESOURCES                     = "TRUE"
          INCLUDE_MANUAL_DISCOUNT_COMPATIBILITY = "FALSE"
          INCLUDE_SPLIT_COST_ALLOCATION_DATA    = "FALSE"
        }
      }
    }

    destination_configurations {
      s3_destination {
        s3_bucket = local.bucket
        s3_prefix = "exports"
        s3_region = local.region

        s3_output_configurations {
          overwrite   = "OVERWRITE_REPORT"
          format      = "PARQUET"
          compression = "PARQUET"
          output_type = "CUSTOM"
        }
      }
    }

    refresh_cadence {
      frequency = "SYNCHRONOUS"
    }
  }

  depends_on = [aws_s3_bucket_policy.this]
  tags       = var.tags
}

locals {
  cur_2_0_columns = [
    "bill_invoice_id", "bill_billing_period_start_date", "bill_payer_account_id", "cost_category", "identity_line_item_id",
    "identity_time_interval", "line_item_currency_code", "line_item_line_item_type", "line_item_operation",
    "line_item_net_unblended_cost", "line_item_product_code", "line_item_resource_id", "line_item_unblended_cost", "line_item_usage_account_id",
    "line_item_usage_account_name",
    "line_item_usage_amount", "line_item_usage_end_date", "line_item_usage_start_date", "line_item_usage_type",
    "product", "product_from_location", "product_from_region_code", "product_product_family", "product_region_code",
    "product_servicecode", "product_to_location", "product_to_region_code", "resource_tags",
  ]
}
