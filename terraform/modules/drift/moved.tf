# States from before modules/function hold the function's resources at these addresses.

moved {
  from = aws_cloudwatch_log_group.this
  to   = module.function.aws_cloudwatch_log_group.this
}

moved {
  from = aws_iam_role.this
  to   = module.function.aws_iam_role.this
}

moved {
  from = aws_iam_role_policy.this
  to   = module.function.aws_iam_role_policy.this
}

moved {
  from = aws_lambda_function.this
  to   = module.function.aws_lambda_function.this
}

moved {
  from = aws_sqs_queue.dead_letters
  to   = module.function.aws_sqs_queue.dead_letters[0]
}

moved {
  from = aws_cloudwatch_metric_alarm.dead_letters
  to   = module.function.aws_cloudwatch_metric_alarm.dead_letters[0]
}
