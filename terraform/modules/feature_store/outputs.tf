output "group" {
  description = "Name and ARN of the feature group."
  value       = { name = aws_sagemaker_feature_group.this.feature_group_name, arn = aws_sagemaker_feature_group.this.arn }
}
