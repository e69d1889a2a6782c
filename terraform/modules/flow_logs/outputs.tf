output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.bucket
}

output "writers" {
  description = "Accounts whose flow logs may be delivered to the bucket."
  value       = var.account_ids
}

output "log_format" {
  description = "The fields of a record, as a flow log takes them."
  value       = join(" ", [for field in local.fields : "$${${field}}"])
}
