output "egress_sentinel" {
  description = "The outputs of the module; `egress-sentinel verify` reads them."
  value = {
    endpoint_name                = module.endpoint.endpoint_name
    endpoint_arn                 = module.endpoint.endpoint_arn
    endpoint_config_name         = module.endpoint.endpoint_config_name
    model_name                   = module.endpoint.model_name
    model_image                  = data.aws_sagemaker_prebuilt_ecr_image.this.registry_path
    model_artifact               = "s3://${aws_s3_object.artifact["forest"].bucket}/${aws_s3_object.artifact["forest"].key}"
    model_artifact_sha256        = aws_s3_object.artifact["forest"].source_hash
    preprocessor_artifact        = "s3://${aws_s3_object.artifact["preprocessor"].bucket}/${aws_s3_object.artifact["preprocessor"].key}"
    preprocessor_artifact_sha256 = aws_s3_object.artifact["preprocessor"].source_hash
    region                       = var.region
  }
}
