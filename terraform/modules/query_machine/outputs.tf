output "state_machine_arn" {
  description = "ARN of the state machine; its input may have days, flow_days, prefix and notify."
  value       = aws_sfn_state_machine.this.arn
}
