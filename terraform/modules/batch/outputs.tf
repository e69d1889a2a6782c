output "function_name" {
  description = "Name of the Lambda function."
  value       = module.function.name
}

output "jobs_table" {
  description = "Name of the job table."
  value       = aws_dynamodb_table.jobs.name
}
