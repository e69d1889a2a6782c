output "egress_sentinel" {
  description = "The outputs of the module; `egress-sentinel verify` reads them."
  value       = module.egress_sentinel
}
