# AWS Batch for large files: a queue and a job definition on Fargate. Fargate has no instances to patch and no instance role,
# costs nothing while no job runs, and is large enough for one process: 16 CPUs, 120 GB of memory, 200 GB of disk.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  name       = "${var.name}-large-files"
  image      = regex("^(?P<account>[0-9]{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[^/]+/(?P<repository>[^:@]+)", var.image)

  repository_arn = "arn:${local.partition}:ecr:${local.image.region}:${local.image.account}:repository/${local.image.repository}"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/batch/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_batch_compute_environment" "this" {
  # The provider chooses a name, so that a replacement can be created before this one is deleted. The argument for a name also
  # differs between the providers 5 and 6.
  type = "MANAGED"
  tags = merge(var.tags, { Name = local.name })

  compute_resources {
    type               = "FARGATE"
    max_vcpus          = var.max_vcpus
    subnets            = var.subnet_ids
    security_group_ids = var.security_group_ids
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_batch_job_queue" "this" {
  name     = local.name
  state    = "ENABLED"
  priority = 1
  tags     = var.tags

  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.this.arn
  }
}

resource "aws_batch_job_definition" "this" {
  name                  = local.name
  type                  = "container"
  platform_capabilities = ["FARGATE"]
  propagate_tags        = true
  tags                  = var.tags
  # A new revision replaces the previous one.
  deregister_on_new_revision = true

  parameters = { job = "none" }

  container_properties = jsonencode({
    image            = var.image
    command          = ["/opt/egress-sentinel/environment/bin/python", "-m", "egress_sentinel.deployment.batch_job", "Ref::job"]
    executionRoleArn = aws_iam_role.execution.arn
    jobRoleArn       = aws_iam_role.job.arn
    environment      = [{ name = "AWS_DEFAULT_REGION", value = local.region }]
    resourceRequirements = [
      { type = "VCPU", value = tostring(var.vcpus) },
      { type = "MEMORY", value = tostring(var.memory_mb) },
    ]
    ephemeralStorage             = { sizeInGiB = var.disk_gb }
    networkConfiguration         = { assignPublicIp = "DISABLED" }
    fargatePlatformConfiguration = { platformVersion = "LATEST" }
    logConfiguration = {
      logDriver = "awslogs"
      options   = { "awslogs-group" = aws_cloudwatch_log_group.this.name, "awslogs-stream-prefix" = "job" }
    }
  })

  # Status 2 means that the file cannot be scored, so a retry would fail, too.
  retry_strategy {
    attempts = 2

    evaluate_on_exit {
      action       = "EXIT"
      on_exit_code = "2"
    }
    evaluate_on_exit {
      action           = "RETRY"
      on_status_reason = "*"
    }
  }

  timeout {
    attempt_duration_seconds = var.timeout_seconds
  }
}

# Batch uses this role to start the container: to pull the image and to write the log.
resource "aws_iam_role" "execution" {
  name                 = "${local.name}-start${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags
  assume_role_policy   = local.trust
}

# The job's own role.
resource "aws_iam_role" "job" {
  name                 = "${local.name}${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags
  assume_role_policy   = local.trust
}

locals {
  trust = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "execution" {
  # checkov:skip=CKV_AWS_290:the statement on "*" has its reason beside it
  # checkov:skip=CKV_AWS_355:the statement on "*" has its reason beside it
  # checkov:skip=CKV_AWS_289:the statement on "*" has its reason beside it
  name = "start"
  role = aws_iam_role.execution.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
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
        Resource = local.repository_arn
      },
      {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
        Resource = "${aws_cloudwatch_log_group.this.arn}:*"
      },
    ]
  })
}

resource "aws_iam_role_policy" "job" {
  name = "score"
  role = aws_iam_role.job.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "ReadFilesAndJobs"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = concat([for folder in ["input", "jobs"] : "${var.bucket_arn}/batch/${folder}/*"], var.model_object_arns)
        },
        {
          Sid      = "WriteResultsAndReasons"
          Effect   = "Allow"
          Action   = "s3:PutObject"
          Resource = [for folder in ["output", "jobs"] : "${var.bucket_arn}/batch/${folder}/*"]
        },
        {
          Sid      = "Encryption"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = var.kms_key_arn
        },
      ],
      [for key in var.model_kms_key_arn[*] : {
        Sid      = "DecryptModel"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = key
      }],
    )
  })
}
