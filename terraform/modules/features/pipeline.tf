# The feature query as a state machine: the export's lines become files of features, one for each day. Each step makes a
# table of this run in Athena; the last one's files take their place under features/ and start the detector; the tables
# are dropped. The SQL is what `make package` renders from egress_features.

locals {
  machine = "${var.name}-features"
}

resource "aws_cloudwatch_log_group" "machine" {
  name              = "/aws/vendedlogs/states/${local.machine}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
}

resource "aws_sfn_state_machine" "this" {
  name       = local.machine
  role_arn   = aws_iam_role.machine.arn
  definition = jsonencode(local.definition)

  logging_configuration {
    level                  = "ERROR"
    include_execution_data = true
    log_destination        = "${aws_cloudwatch_log_group.machine.arn}:*"
  }

  tracing_configuration {
    enabled = true
  }

  depends_on = [aws_iam_role_policy.machine]
}

# Data Exports writes a manifest under metadata/ once all files of a delivery are there.
resource "aws_cloudwatch_event_rule" "export" {
  name        = "${local.machine}-export"
  description = "A billing export was delivered."

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
  arn      = aws_sfn_state_machine.this.arn
  role_arn = aws_iam_role.start.arn
}
