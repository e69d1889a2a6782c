output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "subnet_ids" {
  description = "Ids of the private subnets, one for each zone."
  value       = aws_subnet.this[*].id

  # A workload that starts before its endpoints and rules are there finds no service.
  depends_on = [
    aws_route_table_association.this, aws_vpc_endpoint.interface, aws_vpc_endpoint.s3,
    aws_vpc_security_group_egress_rule.to_endpoints, aws_vpc_security_group_egress_rule.to_s3,
    aws_vpc_security_group_ingress_rule.from_workloads,
  ]
}

output "security_group_id" {
  description = "Id of the security group of models and jobs."
  value       = aws_security_group.workloads.id
}
