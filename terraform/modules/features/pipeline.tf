# The feature query as state machines: one runs after each delivery of the bill. With flow logs, another one runs every hour
# and estimates the hours that the bill does not have yet.

module "deliveries" {
  source = "../query_machine"

  name               = local.machine
  tags               = var.tags
  roles              = var.roles
  comment            = "Makes files of features of the newest days of the billing export."
  words              = { query = "The feature query", consequence = "No new hours are scored.", subject = "${var.name}: no new features" }
  sql_dir            = var.sql_dir
  months             = var.pipeline.months
  alert_tags         = var.pipeline.alert_tags
  bucket             = var.bucket
  kms_key_arn        = var.kms_key_arn
  workgroup          = { name = aws_athena_workgroup.this.name, arn = aws_athena_workgroup.this.arn }
  database           = aws_glue_catalog_database.this.name
  explainer          = var.explainer
  topic_arn          = var.topic_arn
  log_retention_days = var.log_retention_days

  defaults = { days = var.pipeline.days, flow_days = 0, prefix = var.features_prefix, notify = true }
  if_empty = "the export ${var.export_name} has no line of egress in the last ${var.pipeline.months} months; is it delivered to s3://${var.bucket}/exports/${var.export_name}/data/?"
  keeps    = var.flow_logs == null ? null : { step = "line_hours", table = local.billed, columns = local.billed_columns }

  reads = {
    tables       = ["cur_2_0"]
    object_arns  = ["${local.bucket_arn}/exports/${var.export_name}/*"]
    bucket_arns  = []
    kms_key_arns = []
  }
  writes_prefixes = [var.features_prefix, var.history_prefix]
}

moved {
  from = aws_cloudwatch_log_group.machine
  to   = module.deliveries.aws_cloudwatch_log_group.machine
}

moved {
  from = aws_sfn_state_machine.this
  to   = module.deliveries.aws_sfn_state_machine.this
}

moved {
  from = aws_iam_role.machine
  to   = module.deliveries.aws_iam_role.machine
}

moved {
  from = aws_iam_role_policy.machine
  to   = module.deliveries.aws_iam_role_policy.machine
}

# Data Exports writes a manifest under metadata/ once all files of a delivery are there.
resource "aws_cloudwatch_event_rule" "export" {
  name        = "${local.machine}-export"
  description = "A billing export was delivered."
  tags        = var.tags

  event_pattern = jsonencode({
    source      = ["aws.s3"]
    detail-type = ["Object Created"]
    detail = {
      bucket = { name = [var.bucket] }
      object = { key = [{ prefix = "exports/${var.export_name}/metadata/" }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "export" {
  rule     = aws_cloudwatch_event_rule.export.name
  arn      = module.deliveries.state_machine_arn
  role_arn = aws_iam_role.start.arn
}

# EventBridge starts the machine.
resource "aws_iam_role" "start" {
  name                 = "${local.machine}-start${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "events.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "start" {
  name = "start"
  role = aws_iam_role.start.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Start"
      Effect   = "Allow"
      Action   = "states:StartExecution"
      Resource = module.deliveries.state_machine_arn
    }]
  })
}
