output "database" {
  description = "Name of the Glue database."
  value       = aws_glue_catalog_database.this.name
}

output "workgroup" {
  description = "Name of the Athena workgroup."
  value       = aws_athena_workgroup.this.name
}

output "state_machine_arn" {
  description = "ARN of the state machine that makes files of features; its input may say days, prefix and tells."
  value       = aws_sfn_state_machine.this.arn
}
