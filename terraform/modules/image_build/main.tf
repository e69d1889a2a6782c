# A custom image: an ECR repository, and a CodeBuild project that builds the repository's Dockerfile on top of SageMaker's
# scikit-learn image. The tag is the hash of the sources, so an image never changes under its tag.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  name       = "${var.name}-image"
  base       = regex("^(?P<registry>(?P<account>[0-9]{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[^/]+)/(?P<repository>[^:@]+)", var.base_image)

  source_sha256 = filesha256(var.source_zip)
  tag           = substr(sha256("${local.source_sha256} ${var.base_image}"), 0, 16)
}

resource "aws_ecr_repository" "this" {
  name                 = var.name
  image_tag_mutability = "IMMUTABLE"
  force_delete         = var.force_destroy
  tags                 = var.tags

  image_scanning_configuration {
    scan_on_push = true
  }

  encryption_configuration {
    encryption_type = "KMS"
    kms_key         = var.kms_key_arn
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  repository = aws_ecr_repository.this.name

  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "The last ten images stay."
      selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 10 }
      action       = { type = "expire" }
    }]
  })
}

resource "aws_s3_object" "source" {
  bucket      = var.bucket
  key         = "code/image-${substr(local.source_sha256, 0, 16)}.zip"
  source      = var.source_zip
  source_hash = local.source_sha256
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/codebuild/${local.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}

resource "aws_codebuild_project" "this" {
  # checkov:skip=CKV_AWS_316:building an image requires Docker, which CodeBuild runs in privileged mode alone
  name           = local.name
  description    = "Builds the Dockerfile of ${var.name} and pushes it as ${local.tag}."
  service_role   = aws_iam_role.this.arn
  encryption_key = var.kms_key_arn
  build_timeout  = 60
  tags           = var.tags

  source {
    type     = "S3"
    location = "${aws_s3_object.source.bucket}/${aws_s3_object.source.key}"

    buildspec = yamlencode({
      version = "0.2"
      phases = {
        pre_build = {
          commands = [
            "aws ecr get-login-password --region $BASE_REGION | docker login --username AWS --password-stdin $BASE_REGISTRY",
            "aws ecr get-login-password | docker login --username AWS --password-stdin $${REPOSITORY%%/*}",
          ]
        }
        build = {
          commands = [
            # A tag cannot be pushed twice.
            "if aws ecr describe-images --repository-name $${REPOSITORY#*/} --image-ids imageTag=$TAG > /dev/null 2>&1; then echo $REPOSITORY:$TAG is there; else docker build --build-arg BASE_IMAGE=$BASE_IMAGE --tag $REPOSITORY:$TAG . && docker push $REPOSITORY:$TAG; fi",
          ]
        }
      }
    })
  }

  artifacts {
    type = "NO_ARTIFACTS"
  }

  environment {
    type            = "LINUX_CONTAINER"
    compute_type    = "BUILD_GENERAL1_MEDIUM"
    image           = "aws/codebuild/amazonlinux-x86_64-standard:5.0"
    privileged_mode = true

    dynamic "environment_variable" {
      for_each = {
        BASE_IMAGE    = var.base_image
        BASE_REGION   = local.base.region
        BASE_REGISTRY = local.base.registry
        REPOSITORY    = aws_ecr_repository.this.repository_url
        TAG           = local.tag
      }

      content {
        name  = environment_variable.key
        value = environment_variable.value
      }
    }
  }

  logs_config {
    cloudwatch_logs {
      group_name = aws_cloudwatch_log_group.this.name
    }
  }

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_iam_role" "this" {
  name                 = "${local.name}${var.roles.suffix}"
  path                 = var.roles.path
  permissions_boundary = var.roles.permissions_boundary
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "codebuild.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "this" {
  # checkov:skip=CKV_AWS_290:the statement on "*" has its reason beside it
  # checkov:skip=CKV_AWS_355:the statement on "*" has its reason beside it
  # checkov:skip=CKV_AWS_289:the statement on "*" has its reason beside it
  name = "build"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ReadSource"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = "${var.bucket_arn}/code/image-*"
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
        Sid      = "PullBaseImage"
        Effect   = "Allow"
        Action   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
        Resource = "arn:${local.partition}:ecr:${local.base.region}:${local.base.account}:repository/${local.base.repository}"
      },
      {
        Sid    = "PushImage"
        Effect = "Allow"
        Action = [
          "ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:CompleteLayerUpload", "ecr:DescribeImages",
          "ecr:GetDownloadUrlForLayer", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart",
        ]
        Resource = aws_ecr_repository.this.arn
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
