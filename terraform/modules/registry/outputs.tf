output "group" {
  description = "Name of the model package group."
  value       = aws_sagemaker_model_package_group.this.model_package_group_name
}

output "function_name" {
  description = "Name of the function that registers models."
  value       = module.function.name
}

output "function_arn" {
  description = "Its ARN."
  value       = module.function.arn
}
