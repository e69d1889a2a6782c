# What AWS requires of the modules and a mocked provider does not check: statements, principals and conditions of policies,
# and values that depend on each other.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { id = "cn-north-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws-cn", dns_suffix = "amazonaws.com.cn" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws-cn:s3:::egress-sentinel-111122223333-cn-north-1" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/11111111-2222-3333-4444-555555555555" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws-cn:iam::111122223333:role/egress-sentinel" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws-cn:logs:cn-north-1:111122223333:log-group:/aws/egress-sentinel" }
  }

  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws-cn:cloudwatch:cn-north-1:111122223333:alarm:egress-sentinel" }
  }

  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws-cn:states:cn-north-1:111122223333:stateMachine:egress-sentinel" }
  }
}

variables {
  name               = "egress-sentinel"
  kms_key_arn        = "arn:aws-cn:kms:cn-north-1:111122223333:key/11111111-2222-3333-4444-555555555555"
  bucket             = "egress-sentinel-111122223333-cn-north-1"
  bucket_arn         = "arn:aws-cn:s3:::egress-sentinel-111122223333-cn-north-1"
  topic_arn          = "arn:aws-cn:sns:cn-north-1:111122223333:egress-sentinel-alerts"
  log_retention_days = 365
}

run "data_export_may_write_the_encrypted_bucket" {
  module {
    source = "./modules/storage"
  }

  variables {
    scored_prefix         = "scored/"
    alerts_prefix         = "alerts/"
    scored_retention_days = 400
    data_export           = { name = "egress" }
    force_destroy         = false
  }

  assert {
    condition = [
      for s in jsondecode(aws_s3_bucket_policy.this[0].policy).Statement : [s.Resource, s.Condition]
      if s.Sid == "EnableAWSDataExportsToWriteToS3AndCheckPolicy"
      ] == [[
        ["arn:aws-cn:s3:::egress-sentinel-111122223333-cn-north-1", "arn:aws-cn:s3:::egress-sentinel-111122223333-cn-north-1/*"],
        { StringLike = {
          "aws:SourceAccount" = "111122223333"
          "aws:SourceArn"     = ["arn:aws-cn:cur:us-east-1:111122223333:definition/*", "arn:aws-cn:bcm-data-exports:us-east-1:111122223333:export/*"]
        } },
    ]]
    error_message = "The bucket's policy must have the statement of AWS's page on Data Exports."
  }

  assert {
    condition = toset([
      for s in jsondecode(aws_kms_key.this[0].policy).Statement : s.Principal.Service
      if can(s.Principal.Service) && try(s.Condition.StringEquals["aws:SourceAccount"], "") == "111122223333" && contains(flatten([s.Action]), "kms:GenerateDataKey*")
    ]) == toset(["bcm-data-exports.amazonaws.com", "billingreports.amazonaws.com", "budgets.amazonaws.com", "cloudwatch.amazonaws.com", "events.amazonaws.com"])
    error_message = "The key's policy must let Data Exports encrypt."
  }

  assert {
    condition     = [for s in jsondecode(aws_kms_key.this[0].policy).Statement : s.Principal.Service if s.Sid == "LogGroups"] == ["logs.cn-north-1.amazonaws.com.cn"]
    error_message = "CloudWatch Logs has the partition's own suffix."
  }
}

run "flow_logs_are_accepted_with_and_without_an_acl" {
  module {
    source = "./modules/flow_logs"
  }

  variables {
    vpc_ids                 = ["vpc-0a1b2c3d"]
    subnet_ids              = []
    max_aggregation_seconds = 600
    retention_days          = 14
    account_ids             = ["111122223333"]
    regions                 = ["cn-north-1"]
    force_destroy           = false
  }

  assert {
    condition = [
      for s in jsondecode(aws_s3_bucket_policy.this.policy).Statement : try(s.Condition.StringEquals["s3:x-amz-acl"], "none")
      if s.Effect == "Allow" && s.Action == "s3:PutObject"
    ] == ["bucket-owner-full-control", "none"]
    error_message = "Log delivery must be allowed to write with the ACL's header and without it."
  }
}

run "notebook" {
  module {
    source = "./modules/notebook"
  }

  variables {
    notebook       = { instance_type = "ml.t3.medium", volume_gb = 20, security_group_ids = [] }
    repository_url = "https://example.com/egress-sentinel.git"
    endpoint_arn   = "arn:aws-cn:sagemaker:cn-north-1:111122223333:endpoint/egress-sentinel"
  }

  assert {
    condition     = !startswith(coalesce(aws_sagemaker_notebook_instance.this.platform_identifier, "default"), "notebook-al2-")
    error_message = "Amazon Linux 2 has ended: the notebook must have AWS's default platform."
  }

  assert {
    condition = anytrue([
      for s in jsondecode(aws_iam_role_policy.this.policy).Statement :
      try(contains(s.Action, "logs:PutLogEvents"), false) && s.Resource == "arn:aws-cn:logs:cn-north-1:111122223333:log-group:/aws/sagemaker/NotebookInstances:*"
    ])
    error_message = "The start-up script's log must be written."
  }

  assert {
    condition = [
      for s in jsondecode(aws_iam_role_policy.this.policy).Statement : try(s.Condition.Bool["kms:GrantIsForAWSResource"], "")
      if contains(flatten([s.Action]), "kms:CreateGrant")
    ] == ["true"]
    error_message = "Grants are for AWS's own use of the key alone."
  }
}

run "training_with_an_artifact_of_another_bucket" {
  module {
    source = "./modules/retraining"
  }

  variables {
    schedule_expression  = null
    start_alarm_names    = []
    source_bundle        = "../build/sourcedir.tar.gz"
    image                = "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn/mine:1"
    instance_type        = "ml.m5d.large"
    max_training_seconds = 3600
    hyperparameters      = {}
    holdout_share        = 0.2
    features             = null
    training_prefix      = "features/"
    exclude_prefix       = "training/exclude/"
    registrar_name       = "egress-sentinel-registrar"
    registrar_arn        = "arn:aws-cn:lambda:cn-north-1:111122223333:function:egress-sentinel-registrar"
    model_object_arns    = ["arn:aws-cn:s3:::egress-sentinel-111122223333-cn-north-1/models/*", "arn:aws-cn:s3:::models-of-ours/egress/model.tar.gz"]
    model_kms_key_arn    = "arn:aws-cn:kms:cn-north-1:111122223333:key/of-the-models"
  }

  assert {
    condition = [
      for s in jsondecode(aws_iam_role_policy.training.policy).Statement : [s.Resource, s.Condition.StringLike["s3:prefix"]]
      if s.Sid == "ListServingModel"
    ] == [["arn:aws-cn:s3:::models-of-ours", ["egress/model.tar.gz*"]]]
    error_message = "The training job must list the artifact in its own bucket."
  }

  assert {
    condition = anytrue([
      for s in jsondecode(aws_iam_role_policy.training.policy).Statement :
      s.Action == "kms:Decrypt" && s.Resource == "arn:aws-cn:kms:cn-north-1:111122223333:key/of-the-models"
    ])
    error_message = "The training job must read the artifact with its own key."
  }

  assert {
    condition = alltrue([
      for action in ["cloudwatch:PutMetricData", "kms:CreateGrant"] :
      anytrue([for s in jsondecode(aws_iam_role_policy.training.policy).Statement : contains(flatten([s.Action]), action)])
    ])
    error_message = "The training job must publish its metrics and encrypt its volume."
  }

  assert {
    condition     = !can(jsondecode(aws_sfn_state_machine.this.definition).States.Train.Parameters.ResourceConfig.VolumeKmsKeyId)
    error_message = "Instances with local NVMe storage take no key."
  }
}

run "training_on_an_instance_with_a_volume" {
  module {
    source = "./modules/retraining"
  }

  variables {
    schedule_expression  = null
    start_alarm_names    = []
    source_bundle        = "../build/sourcedir.tar.gz"
    image                = "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn/mine:1"
    instance_type        = "ml.m5.large"
    max_training_seconds = 3600
    hyperparameters      = {}
    holdout_share        = 0.2
    features             = null
    training_prefix      = "features/"
    exclude_prefix       = "training/exclude/"
    registrar_name       = "egress-sentinel-registrar"
    registrar_arn        = "arn:aws-cn:lambda:cn-north-1:111122223333:function:egress-sentinel-registrar"
    model_object_arns    = ["arn:aws-cn:s3:::egress-sentinel-111122223333-cn-north-1/models/*"]
  }

  assert {
    condition     = jsondecode(aws_sfn_state_machine.this.definition).States.Train.Parameters.ResourceConfig.VolumeKmsKeyId == var.kms_key_arn
    error_message = "The training job's volume is encrypted."
  }

  assert {
    condition     = !anytrue([for s in jsondecode(aws_iam_role_policy.training.policy).Statement : contains(["ListServingModel", "DecryptModel"], s.Sid)])
    error_message = "Without another bucket and key there is no right to them."
  }
}

run "alarm_on_missing_rows" {
  module {
    source = "./modules/monitoring"
  }

  variables {
    function_name        = "egress-sentinel-detector"
    log_group            = "/aws/lambda/egress-sentinel-detector"
    dead_letter_queue    = "egress-sentinel-detector-dead-letters"
    endpoint_name        = "egress-sentinel"
    variant_name         = "AllTraffic"
    endpoint_alarm_arns  = []
    drift_function_name  = null
    drift_alarm_arns     = []
    no_data_hours        = 24
    usd_per_day_at_stake = 500
    monthly_budget_usd   = null
    project_tag          = "egress-sentinel"
  }

  # A new alarm has the state INSUFFICIENT_DATA, which is no change and notifies nobody.
  assert {
    condition = (
      aws_cloudwatch_metric_alarm.no_data.treat_missing_data == "missing" &&
      aws_cloudwatch_metric_alarm.no_data.insufficient_data_actions == toset([var.topic_arn]) &&
      aws_cloudwatch_metric_alarm.no_data.alarm_actions == null
    )
    error_message = "Before the first row is scored the alarm must be silent, and notify once rows stop."
  }
}

run "serverless_endpoint" {
  module {
    source = "./modules/endpoint"
  }

  variables {
    image             = "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn/mine:1"
    model_data_url    = "s3://models-of-ours/egress/model.tar.gz"
    model_object_arns = ["arn:aws-cn:s3:::models-of-ours/egress/model.tar.gz"]
    model_kms_key_arn = "arn:aws-cn:kms:cn-north-1:111122223333:key/of-the-models"
    model_package_arn = null
    environment       = {}
    serverless        = { memory_mb = 2048, max_concurrency = 5 }
    realtime          = null
    network           = null
    data_capture      = null
    max_latency_ms    = 10000
    alarm_actions     = []
  }

  assert {
    condition = [
      for s in jsondecode(aws_iam_role_policy.this.policy).Statement : try(s.Condition.Bool["kms:GrantIsForAWSResource"], "")
      if contains(flatten([s.Action]), "kms:CreateGrant")
    ] == ["true"]
    error_message = "A serverless endpoint needs a grant too, for AWS's own use of the key alone."
  }

  assert {
    condition = anytrue([
      for s in jsondecode(aws_iam_role_policy.this.policy).Statement :
      s.Action == "kms:Decrypt" && s.Resource == "arn:aws-cn:kms:cn-north-1:111122223333:key/of-the-models"
    ])
    error_message = "The endpoint must read the artifact with its own key."
  }
}

run "slow_deployment_on_instances_with_local_storage" {
  module {
    source = "./modules/endpoint"
  }

  variables {
    image             = "444455556666.dkr.ecr.cn-north-1.amazonaws.com.cn/mine:1"
    model_data_url    = "s3://models-of-ours/egress/model.tar.gz"
    model_object_arns = ["arn:aws-cn:s3:::models-of-ours/egress/model.tar.gz"]
    model_package_arn = null
    environment       = {}
    serverless        = null
    realtime = {
      instance_type            = "ml.c6gd.xlarge"
      instance_count           = 1
      invocations_per_instance = 600
      deployment               = { type = "linear", step_percent = 10, bake_seconds = 600 }
    }
    network        = null
    data_capture   = null
    max_latency_ms = 10000
    alarm_actions  = []
  }

  assert {
    condition     = aws_sagemaker_endpoint_configuration.this[0].kms_key_arn == null
    error_message = "Instances with local NVMe storage take no key."
  }

  assert {
    condition = (
      aws_sagemaker_endpoint.this[0].deployment_config[0].blue_green_update_policy[0].maximum_execution_timeout_in_seconds
      >= 11 * 600
    )
    error_message = "The timeout must exceed the waits of all steps."
  }
}
