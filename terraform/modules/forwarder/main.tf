# One destination of notifications that SNS cannot reach in its own format: a function that forwards what the topic
# delivers to PagerDuty, to a webhook, or to the topic of a chat.

locals {
  read_secret = {
    for arn in var.secret_arn[*] : "ReadSecret" => { actions = ["secretsmanager:GetSecretValue"], resources = [arn] }
  }
  decrypt_secret = {
    for arn in var.secret_kms_key_arn[*] : "DecryptSecret" => { actions = ["kms:Decrypt"], resources = [arn] }
  }
  publish = {
    for arn in var.chat_topic_arn[*] : "Publish" => { actions = ["sns:Publish"], resources = [arn] }
  }
  settings = {
    DESTINATION = var.destination
    SECRET_ARN  = var.secret_arn
    TOPIC_ARN   = var.chat_topic_arn
  }
}

module "function" {
  source = "../function"

  name               = var.name
  tags               = var.tags
  roles              = var.roles
  description        = "Forwards notifications of egress to ${var.destination}."
  zip                = var.function_zip
  handler            = "notification_forwarder.handler.lambda_handler"
  memory_mb          = 256
  timeout_seconds    = 300
  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days
  environment        = { for name, value in local.settings : name => value if value != null }

  policy = {
    name       = "forward"
    statements = merge(local.read_secret, local.decrypt_secret, local.publish)
  }

  dead_letter_alarm = {
    description = "A notification did not reach ${var.destination}: it is in the dead-letter queue of ${var.name}, and the reason is in its log."
    topic_arn   = var.topic_arn
  }
}

resource "aws_lambda_permission" "this" {
  statement_id  = "notifications"
  action        = "lambda:InvokeFunction"
  function_name = module.function.name
  principal     = "sns.amazonaws.com"
  source_arn    = var.topic_arn
}

resource "aws_sns_topic_subscription" "this" {
  topic_arn     = var.topic_arn
  protocol      = "lambda"
  endpoint      = module.function.arn
  filter_policy = var.filter_policy

  depends_on = [aws_lambda_permission.this]
}
