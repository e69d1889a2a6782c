output "endpoint_name" {
  description = "Name of the endpoint."
  value       = one(aws_sagemaker_endpoint.this[*].name)
}

output "endpoint_arn" {
  description = "ARN of the endpoint."
  value       = one(aws_sagemaker_endpoint.this[*].arn)
}

output "endpoint_config_name" {
  description = "Name of the configuration that the endpoint should serve."
  value       = one(aws_sagemaker_endpoint_configuration.this[*].name)
}

output "model_name" {
  description = "Name of the model that the endpoint should serve."
  value       = aws_sagemaker_model.this.name
}

output "variant_name" {
  description = "Name of the production variant."
  value       = local.variant_name
}

output "alarm_arns" {
  description = "ARNs of the endpoint's alarms."
  value       = concat(aws_cloudwatch_metric_alarm.errors[*].arn, aws_cloudwatch_metric_alarm.latency[*].arn)
}

output "network" {
  description = "Subnets and security groups of the model; null if it has none."
  value       = var.network
}

output "role_arn" {
  description = "ARN of the role under which the model runs, in an endpoint and in batch jobs."
  value       = aws_iam_role.this.arn
}
