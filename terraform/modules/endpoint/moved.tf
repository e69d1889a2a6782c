# States from before `endpoint = null` was possible.

moved {
  from = aws_sagemaker_endpoint_configuration.this
  to   = aws_sagemaker_endpoint_configuration.this[0]
}

moved {
  from = aws_sagemaker_endpoint.this
  to   = aws_sagemaker_endpoint.this[0]
}

moved {
  from = aws_cloudwatch_metric_alarm.errors
  to   = aws_cloudwatch_metric_alarm.errors[0]
}

moved {
  from = aws_cloudwatch_metric_alarm.latency
  to   = aws_cloudwatch_metric_alarm.latency[0]
}

moved {
  from = aws_cloudwatch_log_group.this
  to   = aws_cloudwatch_log_group.this[0]
}
