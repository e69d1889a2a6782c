resource "aws_dynamodb_table" "alerts" {
  count = local.detects

  name                        = "${var.name}-alerts"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "alert_id"
  deletion_protection_enabled = var.deletion_protection
  tags                        = var.tags

  attribute {
    name = "alert_id"
    type = "S"
  }

  attribute {
    name = "account_region"
    type = "S"
  }

  attribute {
    name = "end_hour_utc"
    type = "S"
  }

  global_secondary_index {
    name            = "account-region"
    hash_key        = "account_region"
    range_key       = "end_hour_utc"
    projection_type = "ALL"
  }

  # Only items with an expiry time expire. Alerts are small, and are kept to compare years.
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

resource "aws_sns_topic" "this" {
  name              = "${var.name}-alerts"
  display_name      = "Egress Sentinel"
  kms_master_key_id = var.kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "AlarmsAndBudget"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
      },
      {
        Sid       = "TlsOnly"
        Effect    = "Deny"
        Principal = "*"
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      },
    ]
  })
}
