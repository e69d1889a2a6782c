# Switches on VPC Flow Logs in hourly parquet files, in a separate bucket. When a flow log is created, AWS may change the
# policy of its bucket, which must not happen to the bucket of exports and features.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  bucket    = "${var.name}-flow-logs-${data.aws_caller_identity.current.account_id}-${data.aws_region.current.id}"

  # The fields that egress_features/flow_logs reads (versions 2 to 5). Other fields are not recorded and cannot be added later.
  fields = [
    "version", "account-id", "region", "vpc-id", "az-id", "instance-id", "interface-id", "srcaddr", "dstaddr", "packets",
    "bytes", "start", "end", "action", "log-status", "pkt-srcaddr", "pkt-dstaddr", "pkt-src-aws-service",
    "pkt-dst-aws-service", "flow-direction", "traffic-path",
  ]

  # Indexed by position, since ids of resources that the same apply creates are not known at plan time.
  vpcs    = { for place, id in var.vpc_ids : "vpc-${place}" => { vpc_id = id, subnet_id = null } }
  subnets = { for place, id in var.subnet_ids : "subnet-${place}" => { vpc_id = null, subnet_id = id } }

  delivered_for = {
    StringEquals = { "aws:SourceAccount" = var.account_ids }
    ArnLike = {
      "aws:SourceArn" = [for pair in setproduct(var.regions, var.account_ids) : "arn:${local.partition}:logs:${pair[0]}:${pair[1]}:*"]
    }
  }
}

resource "aws_flow_log" "this" {
  for_each = merge(local.vpcs, local.subnets)

  vpc_id                   = each.value.vpc_id
  subnet_id                = each.value.subnet_id
  traffic_type             = "ACCEPT"
  log_destination_type     = "s3"
  log_destination          = aws_s3_bucket.this.arn
  log_format               = join(" ", [for field in local.fields : "$${${field}}"])
  max_aggregation_interval = var.max_aggregation_seconds

  destination_options {
    file_format                = "parquet"
    hive_compatible_partitions = true
    per_hour_partition         = true
  }

  tags = merge(var.tags, { Name = "${var.name}-${each.key}" })

  depends_on = [aws_s3_bucket_policy.this, aws_s3_bucket_ownership_controls.this]
}

resource "aws_s3_bucket" "this" {
  # checkov:skip=CKV_AWS_18:server access logs need yet another bucket; CloudTrail data events are the account's choice
  # checkov:skip=CKV_AWS_21:each file is written once and expires; a version of it has nothing to add
  # checkov:skip=CKV_AWS_144:the logs are kept some days for estimates that the bill replaces
  # checkov:skip=CKV2_AWS_62:a schedule reads what has arrived; nothing starts with a file
  bucket        = local.bucket
  force_destroy = var.force_destroy
  tags          = var.tags
}

resource "aws_s3_bucket_server_side_encryption_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_public_access_block" "this" {
  bucket                  = aws_s3_bucket.this.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "this" {
  bucket = aws_s3_bucket.this.id

  rule {
    id     = "flow-logs"
    status = "Enabled"

    filter {}

    expiration {
      days = var.retention_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

# The two statements for log delivery are AWS's own, so that it finds nothing to add:
# https://docs.aws.amazon.com/vpc/latest/userguide/flow-logs-s3-permissions.html
resource "aws_s3_bucket_policy" "this" {
  bucket = aws_s3_bucket.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [aws_s3_bucket.this.arn, "${aws_s3_bucket.this.arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
      {
        Sid       = "AWSLogDeliveryWrite"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = [for id in var.account_ids : "${aws_s3_bucket.this.arn}/AWSLogs/aws-account-id=${id}/*"]
        Condition = merge(local.delivered_for, {
          StringEquals = merge(local.delivered_for.StringEquals, { "s3:x-amz-acl" = "bucket-owner-full-control" })
        })
      },
      {
        # AWS's pages differ on whether deliveries to a bucket without ACLs carry this header.
        Sid       = "AWSLogDeliveryWriteWithoutAcl"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = "s3:PutObject"
        Resource  = [for id in var.account_ids : "${aws_s3_bucket.this.arn}/AWSLogs/aws-account-id=${id}/*"]
        Condition = local.delivered_for
      },
      {
        Sid       = "AWSLogDeliveryAclCheck"
        Effect    = "Allow"
        Principal = { Service = "delivery.logs.amazonaws.com" }
        Action    = ["s3:GetBucketAcl", "s3:ListBucket"]
        Resource  = aws_s3_bucket.this.arn
        Condition = local.delivered_for
      },
    ]
  })

  depends_on = [aws_s3_bucket_public_access_block.this]
}
