output "bucket" {
  description = "Name of the bucket."
  value       = local.bucket
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = local.bucket_arn
}

output "kms_key_arn" {
  description = "ARN of the key."
  value       = local.kms_key_arn
}

output "account_id" {
  description = "The account."
  value       = local.account_id
}

output "required_statements" {
  description = "Statements that the policies of an existing key and an existing bucket need, as JSON."
  value = {
    kms_key = jsonencode(local.kms_key_statements)
    bucket  = jsonencode(local.bucket_statements)
  }
}
