output "queue_arn" {
  description = "ARN of the job queue."
  value       = aws_batch_job_queue.this.arn
}

output "job_definition" {
  description = "Name of the job definition; jobs run its newest revision."
  value       = aws_batch_job_definition.this.name
}

output "job_definition_arn" {
  description = "ARN of the job definition without its revision."
  value       = aws_batch_job_definition.this.arn_prefix
}

output "repository_arn" {
  description = "ARN of the ECR repository of the job's image, which may be in another account."
  value       = local.repository_arn
}
