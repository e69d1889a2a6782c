# Who gets which notifications. Alerts have message attributes; alarms, budget and drift messages have none.

locals {
  has_chat = var.subscriptions.slack != null || var.subscriptions.teams != null
  chats = merge(
    local.has_chat ? { chat = { slack = var.subscriptions.slack, teams = var.subscriptions.teams, filter_policy = null } } : {},
    var.subscriptions.chats,
  )
  chat_suffix = { for name in keys(local.chats) : name => name == "chat" ? "" : "-${name}" }
  # The first chat also gets the alarms.
  chat_topics = {
    for name, topic in aws_sns_topic.chat : name => name == "chat" ? [aws_sns_topic.this.arn, topic.arn] : [topic.arn]
  }
  # A filter that also lets through what has no attribute, as {"team": [{"exists": false}]}, would let alarms through.
  only_alerts = { severity = [{ exists = true }] }

  forwarders = merge(
    { for name, each in local.chats : name => { destination = "chat", secret_arn = null, secret_kms_key_arn = null, filter_policy = each.filter_policy } },
    { for name, each in var.subscriptions.pagerduty : name => merge(each, { destination = "pagerduty" }) },
    { for name, each in var.subscriptions.webhooks : name => merge(each, { destination = "webhook" }) },
  )
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

resource "aws_sns_topic_subscription" "filtered" {
  for_each = { for each in var.subscriptions.filtered : "${each.protocol} ${each.endpoint}" => each }

  topic_arn              = aws_sns_topic.this.arn
  protocol               = each.value.protocol
  endpoint               = each.value.endpoint
  filter_policy          = each.value.filter_policy == null ? null : jsonencode(merge(local.only_alerts, jsondecode(each.value.filter_policy)))
  raw_message_delivery   = each.value.raw_message_delivery
  endpoint_auto_confirms = each.value.protocol == "https"
  subscription_role_arn  = each.value.subscription_role_arn
}

module "forwarder" {
  source   = "../forwarder"
  for_each = local.forwarders

  name               = "${var.name}-to-${each.key}"
  tags               = var.tags
  roles              = var.roles
  destination        = each.value.destination
  function_zip       = var.forwarder_zip
  topic_arn          = aws_sns_topic.this.arn
  filter_policy      = jsonencode(merge(local.only_alerts, try(jsondecode(each.value.filter_policy), {})))
  secret_arn         = each.value.secret_arn
  secret_kms_key_arn = each.value.secret_kms_key_arn
  chat_topic_arn     = each.value.destination == "chat" ? aws_sns_topic.chat[each.key].arn : null
  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
}

# Amazon Q Developer in chat applications (AWS Chatbot) shows CloudWatch alarms and custom notifications, and leaves plain
# texts out. So each chat has a topic with nothing but custom notifications.
resource "aws_sns_topic" "chat" {
  for_each = local.chats

  name              = "${var.name}-chat${local.chat_suffix[each.key]}"
  display_name      = "Egress Sentinel"
  kms_master_key_id = var.kms_key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "chat" {
  for_each = aws_sns_topic.chat

  arn = each.value.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "TlsOnly"
      Effect    = "Deny"
      Principal = "*"
      Action    = "sns:Publish"
      Resource  = each.value.arn
      Condition = { Bool = { "aws:SecureTransport" = "false" } }
    }]
  })
}

resource "aws_chatbot_slack_channel_configuration" "this" {
  for_each = { for name, each in local.chats : name => each.slack if each.slack != null }

  # Unique in an account, as the names of roles are.
  configuration_name = "${var.name}${local.chat_suffix[each.key]}${var.roles.suffix}"
  slack_team_id      = each.value.team_id
  slack_channel_id   = each.value.channel_id
  sns_topic_arns     = local.chat_topics[each.key]
  iam_role_arn       = aws_iam_role.chatbot[0].arn
  logging_level      = "ERROR"
  # The channel may look at alarms and do nothing else.
  guardrail_policy_arns = ["arn:${local.partition}:iam::aws:policy/CloudWatchReadOnlyAccess"]
  tags                  = var.tags
}

resource "aws_chatbot_teams_channel_configuration" "this" {
  for_each = { for name, each in local.chats : name => each.teams if each.teams != null }

  configuration_name    = "${var.name}${local.chat_suffix[each.key]}-teams${var.roles.suffix}"
  tenant_id             = each.value.tenant_id
  team_id               = each.value.team_id
  channel_id            = each.value.channel_id
  sns_topic_arns        = local.chat_topics[each.key]
  iam_role_arn          = aws_iam_role.chatbot[0].arn
  logging_level         = "ERROR"
  guardrail_policy_arns = ["arn:${local.partition}:iam::aws:policy/CloudWatchReadOnlyAccess"]
  tags                  = var.tags
}

resource "aws_iam_role" "chatbot" {
  count = length(local.chats) > 0 ? 1 : 0

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
