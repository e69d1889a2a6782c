output "function_name" {
  description = "Name of the function."
  value       = module.function.name
}

output "dead_letter_queue" {
  description = "Name of the queue with what could not be delivered."
  value       = module.function.dead_letter_queue
}
