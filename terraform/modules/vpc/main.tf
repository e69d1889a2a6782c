# A VPC without a route to the internet, for accounts without a suitable VPC: private subnets, a gateway endpoint for S3,
# interface endpoints for the named services, and security groups that allow only this traffic.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

data "aws_availability_zones" "available" {
  # checkov:skip=CKV_AWS_394:subnets stay in their zones when AWS adds one: aws_subnet.this ignores such a change
  state = "available"

  # Local zones lack most interface endpoints.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.id
  zones      = slice(data.aws_availability_zones.available.names, 0, var.zones)

  # The actions that workloads in the subnets may call on each service.
  ecr = {
    # ECR has no resource for this one.
    Login = { actions = ["ecr:GetAuthorizationToken"], resources = ["*"] }
    Pull = {
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = concat(["arn:${local.partition}:ecr:${local.region}:${local.account_id}:repository/*"], var.repository_arns)
    }
  }
  allowed = {
    "sagemaker.runtime" = {
      Score = { actions = ["sagemaker:InvokeEndpoint"], resources = ["arn:${local.partition}:sagemaker:${local.region}:${local.account_id}:endpoint/*"] }
    }
    "logs" = {
      Log = {
        actions   = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        resources = ["arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:*"]
      }
    }
    "ecr.api" = local.ecr
    "ecr.dkr" = local.ecr
  }
}

resource "aws_vpc" "this" {
  # checkov:skip=CKV2_AWS_11:the root module's flow_logs switches flow logs on for any VPC; here nothing reaches the internet
  cidr_block           = var.cidr
  enable_dns_hostnames = true
  enable_dns_support   = true
  tags                 = merge(var.tags, { Name = var.name })
}

# Without rules: resources that name no security group have no access.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-unused" })
}

resource "aws_subnet" "this" {
  count = var.zones

  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(var.cidr, 4, count.index)
  tags              = merge(var.tags, { Name = "${var.name}-${count.index}" })

  # A zone that AWS adds must not move a subnet, which would replace whatever runs in it.
  lifecycle {
    ignore_changes = [availability_zone]
  }
}

resource "aws_route_table" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = var.name })
}

resource "aws_route_table_association" "this" {
  count = var.zones

  route_table_id = aws_route_table.this.id
  subnet_id      = aws_subnet.this[count.index].id
}

resource "aws_vpc_endpoint" "s3" {
  vpc_id            = aws_vpc.this.id
  service_name      = "com.amazonaws.${local.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = [aws_route_table.this.id]
  tags              = merge(var.tags, { Name = "${var.name}-s3" })

  # An endpoint's policy speaks of every principal; those of another account are refused by the condition.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "List"
          Effect    = "Allow"
          Principal = "*"
          Action    = "s3:ListBucket"
          Resource  = var.bucket_arns
          Condition = { StringEquals = { "aws:PrincipalAccount" = local.account_id } }
        },
        {
          Sid       = "ReadAndWrite"
          Effect    = "Allow"
          Principal = "*"
          Action    = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"]
          Resource  = [for arn in var.bucket_arns : "${arn}/*"]
          Condition = { StringEquals = { "aws:PrincipalAccount" = local.account_id } }
        },
        {
          # Layers of images lie in a bucket of ECR, which signs the requests for them.
          Sid       = "ReadLayersOfImages"
          Effect    = "Allow"
          Principal = "*"
          Action    = "s3:GetObject"
          Resource  = "arn:${local.partition}:s3:::prod-${local.region}-starport-layer-bucket/*"
        },
      ],
      length(var.readable_object_arns) == 0 ? [] : [{
        Sid       = "Read"
        Effect    = "Allow"
        Principal = "*"
        Action    = "s3:GetObject"
        Resource  = var.readable_object_arns
        Condition = { StringEquals = { "aws:PrincipalAccount" = local.account_id } }
      }],
    )
  })
}

resource "aws_vpc_endpoint" "interface" {
  for_each = toset(var.interface_services)

  vpc_id              = aws_vpc.this.id
  service_name        = "com.amazonaws.${local.region}.${each.value}"
  vpc_endpoint_type   = "Interface"
  private_dns_enabled = true
  subnet_ids          = aws_subnet.this[*].id
  security_group_ids  = [aws_security_group.endpoints.id]
  tags                = merge(var.tags, { Name = "${var.name}-${each.value}" })

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      for sid, statement in local.allowed[each.value] : {
        Sid       = sid
        Effect    = "Allow"
        Principal = "*"
        Action    = statement.actions
        Resource  = statement.resources
        Condition = { StringEquals = { "aws:PrincipalAccount" = local.account_id } }
      }
    ]
  })
}

resource "aws_security_group" "workloads" {
  # checkov:skip=CKV2_AWS_5:the endpoint's model and AWS Batch take it
  name        = "${var.name}-workloads"
  description = "Models and jobs: HTTPS to the VPC endpoints and to S3, and nothing comes in."
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${var.name}-workloads" })
}

resource "aws_security_group" "endpoints" {
  name        = "${var.name}-endpoints"
  description = "Interface endpoints: HTTPS from workloads alone."
  vpc_id      = aws_vpc.this.id
  tags        = merge(var.tags, { Name = "${var.name}-endpoints" })
}

resource "aws_vpc_security_group_egress_rule" "to_endpoints" {
  security_group_id            = aws_security_group.workloads.id
  description                  = "HTTPS to the interface endpoints"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.endpoints.id
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "to_s3" {
  security_group_id = aws_security_group.workloads.id
  description       = "HTTPS to S3"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  tags              = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "from_workloads" {
  security_group_id            = aws_security_group.endpoints.id
  description                  = "HTTPS from workloads"
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  referenced_security_group_id = aws_security_group.workloads.id
  tags                         = var.tags
}
