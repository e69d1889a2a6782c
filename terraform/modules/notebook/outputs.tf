output "notebook_name" {
  description = "Name of the notebook instance."
  value       = aws_sagemaker_notebook_instance.this.name
}
