output "function_name" {
  description = "Name of the Lambda function."
  value       = module.function.name
}

output "alarm_name" {
  description = "Name of the alarm that rings on drift."
  value       = local.name
}

output "alarm_arns" {
  description = "ARNs of both alarms, for the dashboard."
  value       = [aws_cloudwatch_metric_alarm.drift.arn, module.function.dead_letter_alarm_arn]
}
