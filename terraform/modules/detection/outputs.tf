output "function_name" {
  description = "Name of the Lambda function."
  value       = one(module.function[*].name)
}

output "digest_function_name" {
  description = "Name of the digest's Lambda function."
  value       = one(module.digest[*].name)
}

output "alerts_table" {
  description = "Name of the alerts table."
  value       = one(aws_dynamodb_table.alerts[*].name)
}

output "alerts_table_arn" {
  description = "ARN of the alerts table."
  value       = one(aws_dynamodb_table.alerts[*].arn)
}

output "planned_events_key" {
  description = "Object in the bucket with the calendar of planned events."
  value       = one(aws_s3_object.planned_events[*].key)
}

output "topic_arn" {
  description = "ARN of the topic."
  value       = aws_sns_topic.this.arn
}

output "chat_topic_arns" {
  description = "ARN of each chat's topic, by name; the one of subscriptions.slack and teams is chat."
  value       = { for name, topic in aws_sns_topic.chat : name => topic.arn }
}

output "forwarder_function_names" {
  description = "The functions that forward notifications, by destination."
  value       = { for name, forwarder in module.forwarder : name => forwarder.function_name }
}

output "dead_letter_queue" {
  description = "Name of the dead-letter queue."
  value       = one(module.function[*].dead_letter_queue)
}

output "log_group" {
  description = "The function's log group."
  value       = one(module.function[*].log_group)
}

output "layer_arn" {
  description = "The layer with pyarrow and numpy, for other functions."
  value       = aws_lambda_layer_version.this.arn
}

output "environment" {
  description = "The function's environment variables."
  value       = one(module.function[*].environment)
}
