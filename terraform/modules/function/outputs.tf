output "name" {
  description = "Name of the function."
  value       = aws_lambda_function.this.function_name
}

output "arn" {
  description = "ARN of the function."
  value       = aws_lambda_function.this.arn
}

output "log_group" {
  description = "Name of the function's log group."
  value       = aws_cloudwatch_log_group.this.name
}

output "environment" {
  description = "Environment variables of the function."
  value       = aws_lambda_function.this.environment[0].variables
}

output "dead_letter_queue" {
  description = "Name of the dead-letter queue. Null without one."
  value       = one(aws_sqs_queue.dead_letters[*].name)
}

output "dead_letter_alarm_arn" {
  description = "ARN of the alarm on the dead-letter queue. Null without one."
  value       = one(aws_cloudwatch_metric_alarm.dead_letters[*].arn)
}
