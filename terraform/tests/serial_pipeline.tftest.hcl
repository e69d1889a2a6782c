# What the endpoint's module refuses and makes of several containers, without AWS: the provider is mocked.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "111122223333" }
  }

  mock_data "aws_region" {
    defaults = { id = "eu-west-1" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/series" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/sagemaker/Endpoints/series" }
  }

  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:series" }
  }
}

variables {
  name              = "series"
  image             = null
  model_data_url    = null
  model_object_arns = ["arn:aws:s3:::bucket/models/*"]
  bucket_arn        = "arn:aws:s3:::bucket"
  model_package_arn = null
  environment       = {}
  containers = [
    {
      image          = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
      model_data_url = "s3://bucket/models/preprocessor.tar.gz"
      environment    = { SAGEMAKER_PROGRAM = "anomaly_detection.series_preprocessor" }
    },
    {
      image          = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/mine:1"
      model_data_url = "s3://bucket/models/forest.tar.gz"
      environment    = {}
    },
  ]
  serverless = null
  realtime = {
    instance_type            = "ml.m5.large"
    instance_count           = 1
    invocations_per_instance = 600
    deployment               = { type = "canary", step_percent = 50, bake_seconds = 300 }
  }
  network            = null
  data_capture       = null
  kms_key_arn        = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
  log_retention_days = 365
  max_latency_ms     = 10000
  alarm_actions      = []
}

run "containers_in_their_order" {
  command = apply

  module {
    source = "./modules/endpoint"
  }

  assert {
    condition     = aws_sagemaker_model.this.container[*].model_data_url == tolist(["s3://bucket/models/preprocessor.tar.gz", "s3://bucket/models/forest.tar.gz"])
    error_message = "The containers are not those that were given, in their order."
  }

  assert {
    condition     = aws_sagemaker_model.this.inference_execution_config[0].mode == "Serial" && length(aws_sagemaker_model.this.primary_container) == 0
    error_message = "The model is no serial pipeline."
  }

  assert {
    condition = alltrue([for repository in ["141502667606:repository/sagemaker-scikit-learn", "111122223333:repository/mine"] :
      strcontains(aws_iam_role_policy.this.policy, "arn:aws:ecr:eu-west-1:${repository}")
    ])
    error_message = "The role may not pull both images."
  }
}

run "refuses_serverless" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    serverless = { memory_mb = 2048, max_concurrency = 5 }
    realtime   = null
  }

  expect_failures = [var.containers]
}

run "refuses_one_container_alone" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    containers = [{ image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/mine:1", model_data_url = "s3://b/k.tar.gz", environment = {} }]
  }

  expect_failures = [var.containers]
}

run "refuses_an_image_beside_containers" {
  command = plan

  module {
    source = "./modules/endpoint"
  }

  variables {
    image = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/mine:1"
  }

  expect_failures = [var.containers]
}
