locals {
  # The account in the image's address: AWS's for a prebuilt image, yours for a custom image.
  images = var.containers == null ? [var.image] : distinct(var.containers[*].image)
  registries = [
    for image in local.images :
    regex("^(?P<account>[0-9]{12})\\.dkr\\.ecr\\.(?P<region>[a-z0-9-]+)\\.[^/]+/(?P<repository>[^:@]+)", image)
  ]

  ec2_arn = "arn:${local.partition}:ec2:${local.region}:${local.account_id}"

  capture_arn = try("arn:${local.partition}:s3:::${trimprefix(var.data_capture.destination_s3_uri, "s3://")}", null)
}

resource "aws_iam_role" "this" {
  name                 = local.role_name
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

resource "aws_iam_role_policy" "this" {
  # checkov:skip=CKV_AWS_290:the two statements on "*" have their reasons beside them
  # checkov:skip=CKV_AWS_355:the two statements on "*" have their reasons beside them
  # checkov:skip=CKV_AWS_289:the two statements on "*" have their reasons beside them
  name = "serve"
  role = aws_iam_role.this.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid      = "ReadModel"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = var.model_object_arns
        },
        {
          # A batch transform job runs under this role too.
          Sid      = "ReadBatch"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = "${var.bucket_arn}/batch/jobs/*"
        },
        {
          Sid      = "WriteBatch"
          Effect   = "Allow"
          Action   = "s3:PutObject"
          Resource = "${var.bucket_arn}/batch/jobs/*"
        },
        {
          Sid       = "ListBatch"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = var.bucket_arn
          Condition = { StringLike = { "s3:prefix" = "batch/jobs/*" } }
        },
        {
          Sid      = "LogBatch"
          Effect   = "Allow"
          Action   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
          Resource = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/aws/sagemaker/TransformJobs:*"
        },
        {
          Sid      = "Encryption"
          Effect   = "Allow"
          Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
          Resource = var.kms_key_arn
        },
        {
          Sid       = "EncryptVolumes"
          Effect    = "Allow"
          Action    = "kms:CreateGrant"
          Resource  = var.kms_key_arn
          Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
        },
        {
          # ECR has no resource for this one.
          Sid      = "EcrLogin"
          Effect   = "Allow"
          Action   = "ecr:GetAuthorizationToken"
          Resource = "*"
        },
        {
          Sid    = "PullImage"
          Effect = "Allow"
          Action = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = [
            for registry in local.registries :
            "arn:${local.partition}:ecr:${registry.region}:${registry.account}:repository/${registry.repository}"
          ]
        },
      ],
      [for group in aws_cloudwatch_log_group.this : {
        Sid      = "Log"
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = [group.arn, "${group.arn}:log-stream:*"]
      }],
      [for key in var.model_kms_key_arn[*] : {
        Sid      = "DecryptModel"
        Effect   = "Allow"
        Action   = "kms:Decrypt"
        Resource = key
      }],
      local.capture_arn == null ? [] : [{
        Sid      = "Capture"
        Effect   = "Allow"
        Action   = "s3:PutObject"
        Resource = "${local.capture_arn}/*"
      }],
      var.network == null ? [] : [{
        # EC2's describe actions support no resources.
        Sid    = "LookAtTheNetwork"
        Effect = "Allow"
        Action = [
          "ec2:DescribeDhcpOptions", "ec2:DescribeNetworkInterfaces", "ec2:DescribeSecurityGroups", "ec2:DescribeSubnets",
          "ec2:DescribeVpcs",
        ]
        Resource = "*"
      }],
      var.network == null ? [] : [{
        # A network interface has no ARN before it exists, so the subnets and security groups restrict it.
        Sid    = "NetworkInterfaces"
        Effect = "Allow"
        Action = [
          "ec2:CreateNetworkInterface", "ec2:CreateNetworkInterfacePermission", "ec2:DeleteNetworkInterface",
          "ec2:DeleteNetworkInterfacePermission",
        ]
        Resource = concat(
          ["${local.ec2_arn}:network-interface/*"],
          [for id in var.network.subnet_ids : "${local.ec2_arn}:subnet/${id}"],
          [for id in var.network.security_group_ids : "${local.ec2_arn}:security-group/${id}"],
        )
      }],
    )
  })
}
