# Alarms, and the operator's dashboard.

data "aws_region" "current" {}

locals {
  metrics = { namespace = "EgressSentinel", dimensions = { service = var.function_name } }

  alarms = {
    errors = {
      description = "The detector failed, so hours are not scored. The reason is in its log. Lambda retries twice."
      namespace   = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = var.function_name }
      statistic   = "Sum", period = 300, periods = 1, threshold = 1, missing = "notBreaching"
      comparison  = "GreaterThanOrEqualToThreshold"
    }
    dead-letters = {
      description = "An event failed after all retries. Fix the cause, and then send the event again. The steps are in the runbook."
      namespace   = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = var.dead_letter_queue }
      statistic   = "Maximum", period = 300, periods = 1, threshold = 1, missing = "notBreaching"
      comparison  = "GreaterThanOrEqualToThreshold"
    }
    dollars-at-stake = {
      description = format("Open incidents cost $%d a day or more above expected.", var.usd_per_day_at_stake)
      namespace   = local.metrics.namespace, metric = "DollarsAtStake", dimensions = local.metrics.dimensions
      statistic   = "Maximum", period = 3600, periods = 1, threshold = var.usd_per_day_at_stake, missing = "notBreaching"
      comparison  = "GreaterThanOrEqualToThreshold"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  threshold           = each.value.threshold
  comparison_operator = each.value.comparison
  treat_missing_data  = each.value.missing
  alarm_actions       = [var.topic_arn]
  ok_actions          = [var.topic_arn]
  tags                = var.tags
}

# Only hours with rows are data points. Without data points, the alarm's state is INSUFFICIENT_DATA: from the start until the
# first row is scored, and again when scoring stops. CloudWatch runs actions when a state changes, so only the latter
# notifies.
resource "aws_cloudwatch_metric_alarm" "no_data" {
  alarm_name                = "${var.name}-no-data"
  alarm_description         = "INSUFFICIENT_DATA: no hour was scored in the last ${var.no_data_hours} hours. Exports, features or the detector have stopped or not started."
  evaluation_periods        = var.no_data_hours
  threshold                 = 1
  comparison_operator       = "LessThanThreshold"
  treat_missing_data        = "missing"
  insufficient_data_actions = [var.topic_arn]
  ok_actions                = [var.topic_arn]
  tags                      = var.tags

  metric_query {
    id = "rows"

    metric {
      namespace   = local.metrics.namespace
      metric_name = "RowsScored"
      dimensions  = local.metrics.dimensions
      period      = 3600
      stat        = "Sum"
    }
  }

  metric_query {
    id          = "scored"
    label       = "Rows scored, in hours that have any"
    expression  = "IF(rows > 0, rows)"
    return_data = true
  }
}

moved {
  from = aws_cloudwatch_metric_alarm.this["no-data"]
  to   = aws_cloudwatch_metric_alarm.no_data
}

resource "aws_cloudwatch_dashboard" "this" {
  # Dashboards and budgets belong to the account, not to a region.
  dashboard_name = "${var.name}-${data.aws_region.current.id}"

  dashboard_body = jsonencode({
    widgets = [
      for index, widget in concat(local.widgets, local.drift_widgets) : {
        type   = widget.type
        x      = index % 2 * 12
        y      = floor(index / 2) * 6
        width  = 12
        height = 6
        properties = merge({ region = data.aws_region.current.id, title = widget.title }, {
          for key, value in {
            metrics = try(widget.metrics, null), stat = try(widget.stat, null), period = try(widget.period, null)
            alarms  = try(widget.alarms, null), query = try(widget.query, null), view = try(widget.view, null)
          } : key => value if value != null
        })
      }
    ]
  })
}

locals {
  endpoint = ["EndpointName", var.endpoint_name, "VariantName", var.variant_name]
  service  = ["service", var.function_name]

  widgets = [
    {
      type   = "alarm", title = "Alarms"
      alarms = concat(values(aws_cloudwatch_metric_alarm.this)[*].arn, [aws_cloudwatch_metric_alarm.no_data.arn], var.endpoint_alarm_arns, var.drift_alarm_arns)
    },
    {
      type    = "metric", title = "Dollars a day at stake", stat = "Maximum", period = 3600, view = "timeSeries"
      metrics = [concat(["EgressSentinel", "DollarsAtStake"], local.service)]
    },
    {
      type = "metric", title = "Hours scored and new alerts", stat = "Sum", period = 3600, view = "timeSeries"
      metrics = [
        concat(["EgressSentinel", "RowsScored"], local.service),
        concat(["EgressSentinel", "NewAlerts"], local.service, [{ yAxis = "right" }]),
      ]
    },
    {
      type = "metric", title = "Detector", stat = "Sum", period = 300, view = "timeSeries"
      metrics = [
        ["AWS/Lambda", "Invocations", "FunctionName", var.function_name],
        ["AWS/Lambda", "Errors", "FunctionName", var.function_name],
        ["AWS/Lambda", "Throttles", "FunctionName", var.function_name],
        ["AWS/Lambda", "Duration", "FunctionName", var.function_name, { stat = "Maximum", yAxis = "right" }],
      ]
    },
    {
      type = "metric", title = "Endpoint", stat = "Sum", period = 300, view = "timeSeries"
      metrics = [
        concat(["AWS/SageMaker", "Invocations"], local.endpoint),
        concat(["AWS/SageMaker", "Invocation4XXErrors"], local.endpoint),
        concat(["AWS/SageMaker", "Invocation5XXErrors"], local.endpoint),
        concat(["AWS/SageMaker", "ModelLatency"], local.endpoint, [{ stat = "p90", yAxis = "right" }]),
      ]
    },
    {
      type  = "log", title = "Latest log lines of the detector", view = "table"
      query = "SOURCE '${var.log_group}' | fields @timestamp, level, message, rows_scored, window | sort @timestamp desc | limit 20"
    },
  ]
}

locals {
  drift_widgets = [
    for name in compact([var.drift_function_name]) : {
      type = "metric", title = "Drift: largest measure in limits, and drifted features", stat = "Maximum", period = 86400, view = "timeSeries"
      metrics = [
        ["EgressSentinel", "WorstDrift", "service", name],
        ["EgressSentinel", "DriftedFeatures", "service", name, { yAxis = "right" }],
      ]
    }
  ]
}

resource "aws_budgets_budget" "this" {
  count = var.monthly_budget_usd == null ? 0 : 1

  name         = "${var.name}-own-cost-${data.aws_region.current.id}"
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"
  tags         = var.tags

  cost_filter {
    name   = "TagKeyValue"
    values = [format("user:Project$%s", var.project_tag)]
  }

  notification {
    comparison_operator       = "GREATER_THAN"
    threshold                 = 80
    threshold_type            = "PERCENTAGE"
    notification_type         = "ACTUAL"
    subscriber_sns_topic_arns = [var.topic_arn]
  }
}
