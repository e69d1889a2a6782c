# Batch scoring: a file under batch/input/ in the bucket becomes a transform job and a file under batch/output/.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  name       = "${var.name}-batch"
  sagemaker  = "arn:${local.partition}:sagemaker:${local.region}:${local.account_id}"

  follows_endpoint = var.endpoint_name != null
  find_served_model = {
    FindTheCurrentModel  = { actions = ["sagemaker:DescribeEndpoint"], resources = ["${local.sagemaker}:endpoint/${coalesce(var.endpoint_name, "none")}"] }
    FindItsConfiguration = { actions = ["sagemaker:DescribeEndpointConfig"], resources = ["${local.sagemaker}:endpoint-config/${var.name}-*"] }
  }

  run_large_files = {
    for large in var.large_files[*] : "StartJobsOfLargeFiles" => {
      actions   = ["batch:SubmitJob"]
      resources = [large.queue_arn, large.job_definition_arn, "${large.job_definition_arn}:*"]
    }
  }
  large_files_ended = {
    for large in var.large_files[*] : "ended-in-aws-batch" => {
      description = "A job of AWS Batch for an uploaded file has ended."
      pattern = jsonencode({
        source      = ["aws.batch"]
        detail-type = ["Batch Job State Change"]
        detail      = { jobName = [{ prefix = "${local.name}-" }], jobQueue = [large.queue_arn], status = ["SUCCEEDED", "FAILED"] }
      })
    }
  }

  # The VpcConfig and EnableNetworkIsolation of CreateModel.
  model_network = { for network in var.model.network[*] : "network" => {
    VpcConfig              = { Subnets = network.subnet_ids, SecurityGroupIds = network.security_group_ids }
    EnableNetworkIsolation = network.enable_network_isolation
  } }

  decrypt_model = { for key in var.model_kms_key_arn[*] : "DecryptModel" => { actions = ["kms:Decrypt"], resources = [key] } }
}

module "function" {
  source = "../function"

  name        = local.name
  tags        = var.tags
  roles       = var.roles
  description = "Checks uploaded files, starts their transform jobs and joins the scores to their lines."
  zip         = var.function_zip
  handler     = "batch_scorer.handler.lambda_handler"
  layer_arns  = [var.layer_arn]
  memory_mb   = 1769 # one whole CPU
  # Space for a file of 2 GB, its requests and its result.
  ephemeral_storage_mb = 8192
  kms_key_arn          = var.kms_key_arn
  log_retention_days   = var.log_retention_days

  environment = merge({
    BUCKET                       = var.bucket
    ENDPOINT_NAME                = local.follows_endpoint ? var.endpoint_name : ""
    MODEL_NAME                   = local.follows_endpoint ? "" : var.model.name
    MODEL_PACKAGE_GROUP          = var.model.group
    MODEL_ROLE_ARN               = var.model.role_arn
    MODEL_NETWORK                = jsonencode(try(local.model_network.network, {}))
    JOBS_TABLE                   = aws_dynamodb_table.jobs.name
    TOPIC_ARN                    = var.topic_arn
    JOB_NAME_PREFIX              = local.name
    KMS_KEY_ARN                  = var.kms_key_arn
    POWERTOOLS_METRICS_NAMESPACE = "EgressSentinel"
    }, [for large in var.large_files[*] : {
      AWS_BATCH_QUEUE          = large.queue_arn
      AWS_BATCH_JOB_DEFINITION = large.job_definition
      AWS_BATCH_FROM_BYTES     = large.from_mb * 1000000
      AWS_BATCH_MAX_BYTES      = large.max_mb * 1000000
  }]...)

  policy = {
    name = "score-files"
    # For the volumes of the transform jobs.
    more_kms_actions = ["kms:DescribeKey"]
    statements = merge(local.decrypt_model, local.follows_endpoint ? local.find_served_model : {}, local.run_large_files, {
      # Without this, S3 returns 403 instead of 404 for a file that was removed in the meantime.
      ListBucket         = { actions = ["s3:ListBucket"], resources = [var.bucket_arn] }
      ReadFilesAndScores = { actions = ["s3:GetObject"], resources = ["${var.bucket_arn}/batch/input/*", "${var.bucket_arn}/batch/jobs/*"] }
      WriteFiles = {
        actions   = ["s3:PutObject"]
        resources = [for folder in ["failed", "output", "jobs"] : "${var.bucket_arn}/batch/${folder}/*"]
      }
      MoveFailedFiles       = { actions = ["s3:DeleteObject"], resources = ["${var.bucket_arn}/batch/input/*"] }
      ReadWhatTheModelTakes = { actions = ["s3:GetObject"], resources = var.model_object_arns }
      FindItsArtifact       = { actions = ["sagemaker:DescribeModel"], resources = ["${local.sagemaker}:model/${var.name}-*"] }
      FindItsPackage        = { actions = ["sagemaker:DescribeModelPackage"], resources = ["${local.sagemaker}:model-package/${var.name}/*"] }
      # A model for a file that names a model package. It is deleted when the job has ended.
      MakeModelsOfPackages = {
        actions   = ["sagemaker:CreateModel", "sagemaker:DeleteModel"]
        resources = ["${local.sagemaker}:model/${local.name}-*"]
      }
      PassTheModelsRole = {
        actions   = ["iam:PassRole"]
        resources = [var.model.role_arn]
        condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
      }
      StartJobs = { actions = ["sagemaker:CreateTransformJob"], resources = ["${local.sagemaker}:transform-job/${local.name}-*"] }
      KeepJobs  = { actions = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"], resources = [aws_dynamodb_table.jobs.arn] }
      Notify    = { actions = ["sns:Publish"], resources = [var.topic_arn] }
      EncryptTheJobsVolumes = {
        actions   = ["kms:CreateGrant"]
        resources = [var.kms_key_arn]
        condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      }
    })
  }

  event_rules = merge(local.large_files_ended, {
    dropped = {
      description = "A file to score was uploaded."
      pattern = jsonencode({
        source      = ["aws.s3"]
        detail-type = ["Object Created"]
        detail      = { bucket = { name = [var.bucket] }, object = { key = [{ prefix = "batch/input/" }] } }
      })
    }
    ended = {
      description = "A transform job for an uploaded file has ended."
      pattern = jsonencode({
        source      = ["aws.sagemaker"]
        detail-type = ["SageMaker Transform Job State Change"]
        detail = {
          TransformJobName   = [{ prefix = "${local.name}-" }]
          TransformJobStatus = ["Completed", "Failed", "Stopped"]
        }
      })
    }
  })

  dead_letter_alarm = {
    description = "The event of an uploaded file or of an ended transform job failed after all retries. The job table has the reason. Fix it and upload the file again."
    topic_arn   = var.topic_arn
  }
}

resource "aws_dynamodb_table" "jobs" {
  name         = "${local.name}-jobs"
  billing_mode = "PAY_PER_REQUEST"
  hash_key     = "job_id"
  tags         = var.tags

  attribute {
    name = "job_id"
    type = "S"
  }

  ttl {
    attribute_name = "expires_at"
    enabled        = true
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = var.kms_key_arn
  }
}
