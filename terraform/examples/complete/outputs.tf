output "egress_sentinel" {
  description = "What one needs next; `egress-sentinel verify` reads it."
  value       = module.egress_sentinel
}
