provider "aws" {
  region = var.region
}

# Instances that are always on: autoscaling, data capture, and a canary that rolls back by itself; on request the flow logs
# of VPCs, for the hours that the bill has not reached.
module "egress_sentinel" {
  source = "../../"

  serverless        = null
  realtime          = { instance_type = "ml.m5.large", instance_count = 1, max_instance_count = 3 }
  flow_logs         = length(var.flow_log_vpc_ids) == 0 ? null : { vpc_ids = var.flow_log_vpc_ids, account_ids = var.flow_log_account_ids }
  data_capture      = { sampling_percentage = 10 }
  model_artifact    = var.model_artifact
  model_package_arn = var.model_package_arn
  force_destroy     = var.force_destroy
}
