output "endpoint_name" {
  description = "Name of the endpoint; null without one."
  value       = module.endpoint.endpoint_name
}

output "endpoint_arn" {
  description = "ARN of the endpoint; null without one."
  value       = module.endpoint.endpoint_arn
}

output "endpoint_config_name" {
  description = "Configuration that the endpoint should serve; null without one."
  value       = module.endpoint.endpoint_config_name
}

output "model_name" {
  description = "Model that the endpoint should serve; without an endpoint, the model that scores files."
  value       = module.endpoint.model_name
}

output "model_image" {
  description = "Image that should serve; null with a model package."
  value       = var.model_package_arn == null ? local.image : null
}

output "model_artifact" {
  description = "Artifact that should be served, as an S3 address; null with a model package."
  value       = local.model_data_url
}

output "model_artifact_sha256" {
  description = "SHA-256 of the artifact, where it was uploaded from here; else null."
  value       = var.model_package_arn == null ? local.artifact_sha256 : null
}

output "bucket" {
  description = "Bucket of exports, features, scored rows and models."
  value       = module.storage.bucket
}

output "alerts_table" {
  description = "DynamoDB table of the alerts; null without an endpoint."
  value       = module.detection.alerts_table
}

output "topic_arn" {
  description = "SNS topic of alerts and alarms."
  value       = module.detection.topic_arn
}

output "chat_topic_arns" {
  description = "SNS topics of Amazon Q Developer in chat applications, by name: chat for subscriptions.slack and teams, then subscriptions.chats."
  value       = module.detection.chat_topic_arns
}

output "forwarder_function_names" {
  description = "The Lambda functions that forward notifications, by destination."
  value       = module.detection.forwarder_function_names
}

output "detector_function_name" {
  description = "The Lambda function that scores new hours; null without an endpoint."
  value       = module.detection.function_name
}

output "digest_function_name" {
  description = "The Lambda function that publishes the weekly digest; null without digest."
  value       = module.detection.digest_function_name
}

output "batch_function_name" {
  description = "The Lambda function that scores files dropped under batch/input/ in the bucket."
  value       = module.batch.function_name
}

output "batch_jobs_table" {
  description = "DynamoDB table of the batch jobs."
  value       = module.batch.jobs_table
}

output "drift_function_name" {
  description = "The Lambda function that judges days for drift; null where there is none."
  value       = one(module.drift[*].function_name)
}

output "model_package_arn" {
  description = "Model package that should be served; null with an artifact."
  value       = var.model_package_arn
}

output "model_package_group" {
  description = "Group of the registered models."
  value       = module.registry.group
}

output "registrar_function_name" {
  description = "The Lambda function that registers models."
  value       = module.registry.function_name
}

output "retraining_state_machine_arn" {
  description = "The state machine that trains and registers a new model; null without retraining."
  value       = one(module.retraining[*].state_machine_arn)
}

output "athena_workgroup" {
  description = "Athena workgroup of the tables features, scored, cur_2_0 and flow_logs; null without an endpoint."
  value       = one(module.features[*].workgroup)
}

output "feature_group" {
  description = "Feature group with the latest features of each series; null without feature_store."
  value       = one(module.feature_store[*].group.name)
}

output "flow_logs_bucket" {
  description = "Bucket of the flow logs, the module's or the existing one; null without flow_logs."
  value       = try(local.flow_logs.bucket, null)
}

output "flow_hours_state_machine_arn" {
  description = "State machine that estimates the hours that the bill has not reached from flow logs; its input may have days (to write) and flow_days (to read). Null without flow_logs."
  value       = one(module.features[*].flow_hours_state_machine_arn)
}

output "flow_log_format" {
  description = "Format of a flow log of another account or region whose destination is the bucket; null where flow logs are not switched on from here."
  value       = one(module.flow_logs[*].log_format)
}

output "dashboard_url" {
  description = "Address of the CloudWatch dashboard; null without an endpoint."
  value       = one(module.monitoring[*].dashboard_url)
}

output "region" {
  description = "Region of everything."
  value       = data.aws_region.current.id
}

output "invoke_command" {
  description = "Scores the rows of a file rows.csv, ready to paste; null without an endpoint."
  value       = !local.has_endpoint ? null : "aws sagemaker-runtime invoke-endpoint --region ${data.aws_region.current.id} --endpoint-name ${var.name} --content-type text/csv --accept 'text/csv;output=scores' --body fileb://rows.csv scores.csv"
}

output "features_state_machine_arn" {
  description = "State machine that makes files of features of the billing export; its input may have days, to write more of them than usual. Null without an endpoint."
  value       = one(module.features[*].state_machine_arn)
}

output "vpc_id" {
  description = "Id of the VPC that was created; null without vpc."
  value       = one(module.vpc[*].vpc_id)
}

output "built_image_uri" {
  description = "Image that a build pushes, for image_uri and for AWS Batch; null without image_build."
  value       = one(module.image_build[*].image_uri)
}

output "image_build_command" {
  description = "Starts a build of the image, ready to paste; null without image_build."
  value       = one([for build in module.image_build : "aws codebuild start-build --region ${data.aws_region.current.id} --project-name ${build.project_name}"])
}

output "batch_queue_arn" {
  description = "Queue of AWS Batch's jobs; null where transform jobs score every file."
  value       = one(module.aws_batch[*].queue_arn)
}

output "required_statements" {
  description = "Statements that the policies of an existing key (kms_key) and an existing bucket (bucket) need, as JSON."
  value       = module.storage.required_statements
}
