# The weekly digest, on request: the detector's code with another handler.
module "digest" {
  source = "../function"
  count  = var.digest == null ? 0 : local.detects

  name               = "${var.name}-digest"
  tags               = var.tags
  roles              = var.roles
  description        = "Publishes the digest of the last whole week: incidents, owners, missing verdicts, costs."
  zip                = var.function_zip
  handler            = "anomaly_detector.digest_handler.lambda_handler"
  layer_arns         = [aws_lambda_layer_version.this.arn]
  memory_mb          = var.memory_mb
  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days

  environment = {
    BUCKET        = var.bucket
    SCORED_PREFIX = var.scored_prefix
    DIGEST_PREFIX = local.digest_prefix
    ALERTS_TABLE  = aws_dynamodb_table.alerts[0].name
    TOPIC_ARN     = aws_sns_topic.this.arn
  }

  policy = {
    name = "digest"
    statements = {
      # Without it S3 answers 403, not 404, for a day without rows and for a week without a digest.
      ListBucket     = { actions = ["s3:ListBucket"], resources = [var.bucket_arn] }
      ReadScoredRows = { actions = ["s3:GetObject"], resources = ["${var.bucket_arn}/${var.scored_prefix}*"] }
      KeepDigests    = { actions = ["s3:DeleteObject", "s3:GetObject", "s3:PutObject"], resources = ["${var.bucket_arn}/${local.digest_prefix}*"] }
      FindAlerts     = { actions = ["dynamodb:Query"], resources = ["${aws_dynamodb_table.alerts[0].arn}/index/account-region"] }
      ReadAlerts     = { actions = ["dynamodb:BatchGetItem", "dynamodb:GetItem"], resources = [aws_dynamodb_table.alerts[0].arn] }
      Publish        = { actions = ["sns:Publish"], resources = [aws_sns_topic.this.arn] }
    }
  }

  event_rules = {
    schedule = {
      description = "The last whole week, Monday to Sunday (UTC). A week is published once."
      schedule    = var.digest.schedule_expression
    }
  }

  dead_letter_alarm = {
    description = "Every attempt to publish a weekly digest failed, or it is unknown whether one succeeded. The reason is in the log of the function ${var.name}-digest; the runbook has the next steps."
    topic_arn   = aws_sns_topic.this.arn
  }
}
