locals {
  # Artifacts in other buckets, by the bucket's ARN. The training job lists their keys.
  other_buckets = {
    for arn in var.model_object_arns : split("/", arn)[0] => "${join("/", slice(split("/", arn), 1, length(split("/", arn))))}*"...
    if split("/", arn)[0] != var.bucket_arn
  }

  registry = regex("^(?P<account>[0-9]{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[^/]+/(?P<repository>[^:@]+)", var.image)
}

resource "aws_iam_role" "machine" {
  name                 = "${local.name}${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "states.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "machine" {
  # checkov:skip=CKV_AWS_290:the statements on "*" have their reasons beside them
  # checkov:skip=CKV_AWS_355:the statements on "*" have their reasons beside them
  # checkov:skip=CKV_AWS_289:the statements on "*" have their reasons beside them
  name = "retrain"
  role = aws_iam_role.machine.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "CallRegistrar"
          Effect   = "Allow"
          Action   = "lambda:InvokeFunction"
          Resource = var.registrar_arn
        },
        {
          Sid      = "Train"
          Effect   = "Allow"
          Action   = ["sagemaker:CreateTrainingJob", "sagemaker:DescribeTrainingJob", "sagemaker:StopTrainingJob"]
          Resource = "${local.sagemaker}:training-job/${local.name}-*"
        },
        {
          # Step Functions tags the jobs that it starts.
          Sid      = "TagJobs"
          Effect   = "Allow"
          Action   = "sagemaker:AddTags"
          Resource = "${local.sagemaker}:training-job/${local.name}-*"
        },
        {
          Sid       = "GiveTheJobItsRole"
          Effect    = "Allow"
          Action    = "iam:PassRole"
          Resource  = aws_iam_role.training.arn
          Condition = { StringEquals = { "iam:PassedToService" = "sagemaker.amazonaws.com" } }
        },
        {
          # The rule that notifies Step Functions of the end of a training job.
          Sid      = "HearOfItsEnd"
          Effect   = "Allow"
          Action   = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]
          Resource = "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/StepFunctionsGetEventsForSageMakerTrainingJobsRule"
        },
        {
          Sid      = "Notify"
          Effect   = "Allow"
          Action   = "sns:Publish"
          Resource = var.topic_arn
        },
        {
          Sid      = "Encryption"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = var.kms_key_arn
        },
        {
          Sid       = "EncryptTheJobsVolume"
          Effect    = "Allow"
          Action    = "kms:CreateGrant"
          Resource  = var.kms_key_arn
          Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
        },
        {
          # CloudWatch Logs has no resources for vended logs' delivery, nor X-Ray for traces.
          Sid    = "LogAndTrace"
          Effect = "Allow"
          Action = [
            "logs:CreateLogDelivery", "logs:DeleteLogDelivery", "logs:DescribeLogGroups", "logs:DescribeResourcePolicies",
            "logs:GetLogDelivery", "logs:ListLogDeliveries", "logs:PutResourcePolicy", "logs:UpdateLogDelivery",
            "xray:GetSamplingRules", "xray:GetSamplingTargets", "xray:PutTelemetryRecords", "xray:PutTraceSegments",
          ]
          Resource = "*"
        },
      ],
      flatten([for machine in local.features : [
        {
          Sid      = "MakeFeatures"
          Effect   = "Allow"
          Action   = "states:StartExecution"
          Resource = machine.state_machine_arn
        },
        {
          Sid      = "WaitForThem"
          Effect   = "Allow"
          Action   = ["states:DescribeExecution", "states:StopExecution"]
          Resource = "${replace(machine.state_machine_arn, ":stateMachine:", ":execution:")}:*"
        },
        {
          # The rule that notifies Step Functions of the end of the other machine.
          Sid      = "HearOfThem"
          Effect   = "Allow"
          Action   = ["events:DescribeRule", "events:PutRule", "events:PutTargets"]
          Resource = "arn:${local.partition}:events:${local.region}:${local.account_id}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"
        },
      ]]),
    )
  })
}

# The permissions of the training job.
resource "aws_iam_role" "training" {
  name                 = "${local.name}-job${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "sagemaker.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "training" {
  # checkov:skip=CKV_AWS_290:the one statement on "*" has its reason beside it
  # checkov:skip=CKV_AWS_355:the one statement on "*" has its reason beside it
  name = "train"
  role = aws_iam_role.training.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat([
      {
        Sid    = "ReadFeaturesCodeAndModels"
        Effect = "Allow"
        Action = "s3:GetObject"
        Resource = concat(
          ["${var.bucket_arn}/${var.training_prefix}*", "${var.bucket_arn}/${var.exclude_prefix}*", "${var.bucket_arn}/code/*"],
          var.model_object_arns,
        )
      },
      {
        Sid       = "ListChannels"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = var.bucket_arn
        Condition = { StringLike = { "s3:prefix" = ["${var.training_prefix}*", "${var.exclude_prefix}*", "models/*"] } }
      },
      {
        Sid      = "WriteModels"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${var.bucket_arn}/models/training/*"
      },
      {
        Sid      = "Encryption"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource = var.kms_key_arn
      },
      {
        # ECR has no resource for this one.
        Sid      = "EcrLogin"
        Effect   = "Allow"
        Action   = "ecr:GetAuthorizationToken"
        Resource = "*"
      },
      {
        Sid      = "PullImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = "arn:${local.partition}:ecr:${local.registry.region}:${local.registry.account}:repository/${local.registry.repository}"
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/aws/sagemaker/TrainingJobs:*"
      },
      {
        # Metrics have no resources in CloudWatch. The job's log names the metrics.
        Sid       = "PublishMetrics"
        Effect    = "Allow"
        Action    = "cloudwatch:PutMetricData"
        Resource  = "*"
        Condition = { StringLike = { "cloudwatch:namespace" = "/aws/sagemaker/*" } }
      },
      {
        Sid       = "EncryptVolumes"
        Effect    = "Allow"
        Action    = "kms:CreateGrant"
        Resource  = var.kms_key_arn
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
      ],
      # The channel `serving` lists the artifact's key, wherever it is.
      [for bucket, prefixes in local.other_buckets : {
        Sid       = "ListServingModel"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = bucket
        Condition = { StringLike = { "s3:prefix" = prefixes } }
      }],
      [for key in var.model_kms_key_arn[*] : {
        Sid      = "DecryptModel"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = key
      }],
    )
  })
}

# The triggers of the machine: the schedule and the alarm.
resource "aws_iam_role" "start" {
  name                 = "${local.name}-start${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = ["scheduler.amazonaws.com", "events.amazonaws.com"] }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "start" {
  name = "start"
  role = aws_iam_role.start.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "Start"
        Effect   = "Allow"
        Action   = "states:StartExecution"
        Resource = aws_sfn_state_machine.this.arn
      },
      {
        Sid      = "Decrypt"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = var.kms_key_arn
      },
    ]
  })
}
