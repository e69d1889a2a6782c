output "egress_sentinel" {
  description = "Names of everything, for `egress-sentinel batch` and `models`."
  value       = module.egress_sentinel
}
