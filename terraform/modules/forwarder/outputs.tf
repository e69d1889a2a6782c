output "function_name" {
  description = "Name of the function."
  value       = module.function.name
}

output "dead_letter_queue" {
  description = "Name of the queue with the undelivered notifications."
  value       = module.function.dead_letter_queue
}
