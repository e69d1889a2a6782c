# States from before modules/function hold the function's resources at these addresses.

moved {
  from = aws_cloudwatch_log_group.this
  to   = module.function[0].aws_cloudwatch_log_group.this
}

moved {
  from = aws_iam_role.this
  to   = module.function[0].aws_iam_role.this
}

moved {
  from = aws_iam_role_policy.this
  to   = module.function[0].aws_iam_role_policy.this
}

moved {
  from = aws_lambda_function.this
  to   = module.function[0].aws_lambda_function.this
}

moved {
  from = aws_cloudwatch_event_rule.this
  to   = module.function[0].aws_cloudwatch_event_rule.this
}

moved {
  from = aws_cloudwatch_event_target.this
  to   = module.function[0].aws_cloudwatch_event_target.this
}

moved {
  from = aws_lambda_permission.this
  to   = module.function[0].aws_lambda_permission.this
}

moved {
  from = aws_lambda_function_event_invoke_config.this
  to   = module.function[0].aws_lambda_function_event_invoke_config.this[0]
}

moved {
  from = aws_sqs_queue_policy.dead_letters
  to   = module.function[0].aws_sqs_queue_policy.dead_letters[0]
}

moved {
  from = aws_sqs_queue.dead_letters
  to   = module.function[0].aws_sqs_queue.dead_letters[0]
}

# States from before `endpoint = null` was possible.

moved {
  from = module.function
  to   = module.function[0]
}

moved {
  from = aws_dynamodb_table.alerts
  to   = aws_dynamodb_table.alerts[0]
}

moved {
  from = aws_s3_object.planned_events
  to   = aws_s3_object.planned_events[0]
}

# States from before `subscriptions.chats`.

moved {
  from = aws_chatbot_slack_channel_configuration.this[0]
  to   = aws_chatbot_slack_channel_configuration.this["chat"]
}
