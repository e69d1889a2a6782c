output "database" {
  description = "Name of the Glue database."
  value       = aws_glue_catalog_database.this.name
}

output "columns" {
  description = "Columns of a feature row, with their types in Glue."
  value       = local.hours
}

output "workgroup" {
  description = "Name of the Athena workgroup."
  value       = aws_athena_workgroup.this.name
}

output "state_machine_arn" {
  description = "ARN of the state machine that makes files of features; its input may have days, prefix and notify."
  value       = module.deliveries.state_machine_arn
}

output "flow_hours_state_machine_arn" {
  description = "ARN of the state machine that estimates hours from flow logs; null without them."
  value       = try(module.flow_hours["this"].state_machine_arn, null)
}
