resource "aws_iam_role" "this" {
  name                 = "${var.name}${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  # checkov:skip=CKV_AWS_290:the reason for each statement on "*" is beside it
  # checkov:skip=CKV_AWS_355:the reason for each statement on "*" is beside it
  name = var.policy.name
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        for sid, statement in var.policy.statements : merge(
          { Sid = sid, Effect = "Allow", Action = statement.actions, Resource = statement.resources },
          statement.condition == null ? {} : { Condition = statement.condition },
        )
      ],
      [
        for queue in aws_sqs_queue.dead_letters : {
          Sid      = "DeadLetters"
          Effect   = "Allow"
          Action   = ["sqs:SendMessage"]
          Resource = [queue.arn]
        }
      ],
      [
        {
          Sid      = "Log"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${aws_cloudwatch_log_group.this.arn}:*"]
        },
        {
          Sid      = "Encryption"
          Effect   = "Allow"
          Action   = concat(["kms:Decrypt", "kms:GenerateDataKey"], var.policy.more_kms_actions)
          Resource = [var.kms_key_arn]
        },
        {
          # X-Ray has no resources for these.
          Sid      = "Trace"
          Effect   = "Allow"
          Action   = ["xray:PutTelemetryRecords", "xray:PutTraceSegments"]
          Resource = "*"
        },
      ],
    )
  })
}
