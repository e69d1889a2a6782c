# Builds features every hour from the lines of the bill's last delivery and, for later hours, from estimates of flow logs.

locals {
  flow_machine = "${var.name}-flow-hours"
  flow         = var.flow_logs == null ? {} : { this = var.flow_logs }
  network      = "network/"

  # The lines by series and hour from the last delivery's run (`sql/line_hours.sql`).
  billed = "billed_line_hours"
  billed_columns = [
    { name = "hour_utc", type = "timestamp" }, { name = "service", type = "string" }, { name = "account_id", type = "string" },
    { name = "region", type = "string" }, { name = "egress_class", type = "string" }, { name = "is_processing_fee", type = "boolean" },
    { name = "resource_id", type = "string" }, { name = "usage_type", type = "string" }, { name = "operation", type = "string" },
    { name = "account_name", type = "string" }, { name = "tags", type = "string" },
    { name = "usage_amount", type = "decimal(38,12)" }, { name = "cost_usd", type = "decimal(38,12)" },
    { name = "is_provisional", type = "int" }, { name = "has_invoice", type = "int" }, { name = "lines", type = "bigint" },
  ]
}

module "flow_hours" {
  source   = "../query_machine"
  for_each = local.flow

  name               = local.flow_machine
  tags               = var.tags
  roles              = var.roles
  comment            = "Makes files of features of the hours that the bill has not reached, from flow logs."
  words              = { query = "The query of flow logs", consequence = "No new hours are estimated.", subject = "${var.name}: no new estimates" }
  sql_dir            = var.flow_sql_dir
  months             = var.pipeline.months
  alert_tags         = var.pipeline.alert_tags
  bucket             = var.bucket
  kms_key_arn        = var.kms_key_arn
  workgroup          = { name = aws_athena_workgroup.this.name, arn = aws_athena_workgroup.this.arn }
  database           = aws_glue_catalog_database.this.name
  explainer          = var.explainer
  topic_arn          = var.topic_arn
  log_retention_days = var.log_retention_days

  # Today's file and yesterday's. An alarm notifies of failures, because a notification every hour would be too many.
  defaults       = { days = 2, flow_days = each.value.days, prefix = var.features_prefix, notify = false }
  network_prefix = local.network

  reads = {
    tables       = ["flow_logs", "network", local.billed]
    object_arns  = ["arn:${local.partition}:s3:::${each.value.bucket}/${each.value.prefix}AWSLogs/*", "${local.bucket_arn}/${local.network}*"]
    bucket_arns  = ["arn:${local.partition}:s3:::${each.value.bucket}"]
    kms_key_arns = each.value.kms_key_arn[*]
  }
  writes_prefixes = [var.features_prefix]
}

# Each delivery's run sets its location to the new files. Before the first run, it is empty.
resource "aws_glue_catalog_table" "billed" {
  for_each = local.flow

  name          = local.billed
  database_name = aws_glue_catalog_database.this.name
  table_type    = "EXTERNAL_TABLE"
  parameters    = { "EXTERNAL" = "TRUE", "classification" = "parquet" }

  storage_descriptor {
    location      = "s3://${var.bucket}/athena/tables/no-delivery-yet/"
    input_format  = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"

    ser_de_info {
      serialization_library = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
    }

    dynamic "columns" {
      for_each = local.billed_columns

      content {
        name = columns.value.name
        type = columns.value.type
      }
    }
  }

  lifecycle {
    ignore_changes = [storage_descriptor, parameters]
  }
}

# EC2's descriptions of the interfaces of NAT gateways and load balancers, one line of JSON per file. For other accounts and
# regions, their owners put files there.
resource "aws_glue_catalog_table" "network" {
  for_each = local.flow

  name          = "network"
  database_name = aws_glue_catalog_database.this.name
  table_type    = "EXTERNAL_TABLE"
  parameters    = { "EXTERNAL" = "TRUE", "classification" = "json" }

  storage_descriptor {
    location      = "s3://${var.bucket}/${local.network}"
    input_format  = "org.apache.hadoop.mapred.TextInputFormat"
    output_format = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"

    ser_de_info {
      serialization_library = "org.openx.data.jsonserde.JsonSerDe"
    }

    dynamic "columns" {
      for_each = ["interface_ids", "descriptions", "interface_types", "zones", "owners"]

      content {
        name = columns.value
        type = "array<string>"
      }
    }
  }
}

resource "aws_scheduler_schedule" "flow_hours" {
  for_each = local.flow

  name                = local.flow_machine
  description         = "Estimates the hours that the bill has not reached."
  schedule_expression = each.value.schedule_expression
  kms_key_arn         = var.kms_key_arn

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = module.flow_hours[each.key].state_machine_arn
    role_arn = aws_iam_role.start_flow_hours[each.key].arn
    input    = jsonencode({ started_by = "schedule" })

    retry_policy {
      maximum_retry_attempts = 3
    }
  }
}

resource "aws_iam_role" "start_flow_hours" {
  for_each = local.flow

  name                 = "${local.flow_machine}-start${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "scheduler.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "start_flow_hours" {
  for_each = local.flow

  name = "start"
  role = aws_iam_role.start_flow_hours[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Start"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = module.flow_hours[each.key].state_machine_arn
      },
      {
        Sid      = "Decrypt"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.kms_key_arn
      },
    ]
  })
}

resource "aws_cloudwatch_metric_alarm" "flow_hours" {
  for_each = local.flow

  alarm_name          = local.flow_machine
  alarm_description   = "The estimates from flow logs failed twice in a row. The hours of the bill are still scored. The reason is in the machine's last execution."
  namespace           = "AWS/States"
  metric_name         = "ExecutionsFailed"
  dimensions          = { StateMachineArn = module.flow_hours[each.key].state_machine_arn }
  statistic           = "Sum"
  period              = 3600
  evaluation_periods  = 2
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
  tags                = var.tags
}
