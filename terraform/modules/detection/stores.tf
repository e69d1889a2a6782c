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

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.subscriptions.emails)

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.value
}

resource "aws_sns_topic_subscription" "https" {
  for_each = toset(var.subscriptions.https_urls)

  topic_arn              = aws_sns_topic.this.arn
  protocol               = "https"
  endpoint               = each.value
  endpoint_auto_confirms = true
}

# Amazon Q Developer in chat applications (AWS Chatbot) shows CloudWatch alarms; plain texts it leaves out.
resource "aws_chatbot_slack_channel_configuration" "this" {
  count = var.subscriptions.slack == null ? 0 : 1

  configuration_name = "${var.name}${var.roles.suffix}" # unique in an account, as roles are
  slack_team_id      = var.subscriptions.slack.team_id
  slack_channel_id   = var.subscriptions.slack.channel_id
  sns_topic_arns     = [aws_sns_topic.this.arn]
  iam_role_arn       = aws_iam_role.chatbot[0].arn
  logging_level      = "ERROR"
  # The channel may look at alarms and do nothing else.
  guardrail_policy_arns = ["arn:${local.partition}:iam::aws:policy/CloudWatchReadOnlyAccess"]
  tags                  = var.tags
}

resource "aws_iam_role" "chatbot" {
  count = var.subscriptions.slack == null ? 0 : 1

  name                 = "${var.name}-chatbot${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "chatbot.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}
