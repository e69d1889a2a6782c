output "image_uri" {
  description = "The image that a build pushes."
  value       = "${aws_ecr_repository.this.repository_url}:${local.tag}"
}

output "project_name" {
  description = "Name of the CodeBuild project."
  value       = aws_codebuild_project.this.name
}
