# Models and endpoint configurations are immutable in AWS. Their names have a hash of their content, and with
# create_before_destroy a new one is an in-place update of the endpoint.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account_id   = data.aws_caller_identity.current.account_id
  partition    = data.aws_partition.current.partition
  region       = data.aws_region.current.id
  variant_name = "AllTraffic"
  role_name    = "${var.name}-endpoint${var.roles.suffix}"

  # Without a mode, only the model is created, for batch jobs.
  serves = var.serverless == null && var.realtime == null ? 0 : 1

  container = {
    image          = var.image
    model_data_url = var.model_data_url
    package        = var.model_package_arn
    environment    = var.environment
    network        = var.network
  }
  # Models without a pipeline keep the names of earlier versions of this module.
  content    = merge(local.container, { role = "${var.roles.path}${local.role_name}" }, var.containers == null ? {} : { containers = var.containers })
  model_hash = substr(sha256(jsonencode(local.content)), 0, 12)

  is_autoscaled = try(var.realtime.max_instance_count, null) != null
  # Without autoscaling, the instance count is a part of the configuration, so a change creates a new one.
  fixed_count = local.is_autoscaled ? null : try(var.realtime.instance_count, null)
  configuration = merge({
    model       = local.model_hash
    serverless  = var.serverless
    instance    = try(var.realtime.instance_type, null)
    capture     = var.data_capture
    kms_key_arn = var.kms_key_arn
  }, local.fixed_count == null ? {} : { instance_count = local.fixed_count })
  configuration_hash = substr(sha256(jsonencode(local.configuration)), 0, 12)

  # SageMaker rejects a key for the volumes of instances with local NVMe storage, which their hardware encrypts.
  has_local_storage = can(regex("^ml\\.(?:[a-z]+[0-9]+[a-z]*d[a-z]*|g5|g6|g6e|gr6|p5|p5e|p5en|trn1|trn1n|trn2)\\.", try(var.realtime.instance_type, "")))

  # A deployment's timeout must exceed the sum of its waits. It is one hour, or half an hour more than the waits.
  waits              = try(var.realtime.deployment.type, "") == "linear" ? ceil(100 / var.realtime.deployment.step_percent) + 1 : 2
  deployment_seconds = max(3600, local.waits * try(var.realtime.deployment.bake_seconds, 0) + 1800)
}

resource "aws_sagemaker_model" "this" {
  # checkov:skip=CKV_AWS_370:network isolation is an option; serverless endpoints do not take it
  name                     = "${var.name}-${local.model_hash}"
  execution_role_arn       = aws_iam_role.this.arn
  enable_network_isolation = try(var.network.enable_network_isolation, false)
  tags                     = var.tags

  dynamic "primary_container" {
    for_each = var.containers == null ? [1] : []

    content {
      image              = var.model_package_arn == null ? var.image : null
      model_data_url     = var.model_package_arn == null ? var.model_data_url : null
      model_package_name = var.model_package_arn
      environment        = var.model_package_arn == null ? var.environment : null
    }
  }

  dynamic "container" {
    for_each = coalesce(var.containers, [])

    content {
      image              = container.value.image
      model_data_url     = container.value.model_data_url
      environment        = container.value.environment
      container_hostname = container.value.hostname
    }
  }

  dynamic "inference_execution_config" {
    for_each = var.containers == null ? [] : [1]

    content {
      mode = "Serial"
    }
  }

  dynamic "vpc_config" {
    for_each = var.network == null ? [] : [var.network]

    content {
      subnets            = vpc_config.value.subnet_ids
      security_group_ids = vpc_config.value.security_group_ids
    }
  }

  lifecycle {
    create_before_destroy = true
  }

  depends_on = [aws_iam_role_policy.this]
}

resource "aws_sagemaker_endpoint_configuration" "this" {
  count = local.serves

  name = "${var.name}-${local.configuration_hash}"
  # Serverless variants have no volume to encrypt, and SageMaker refuses a key for them.
  # checkov:skip=CKV_AWS_98:set where there is a volume that takes a key
  kms_key_arn = var.realtime == null || local.has_local_storage ? null : var.kms_key_arn
  tags        = var.tags

  production_variants {
    variant_name           = local.variant_name
    model_name             = aws_sagemaker_model.this.name
    instance_type          = try(var.realtime.instance_type, null)
    initial_instance_count = try(var.realtime.instance_count, null)

    dynamic "serverless_config" {
      for_each = var.serverless == null ? [] : [var.serverless]

      content {
        memory_size_in_mb       = serverless_config.value.memory_mb
        max_concurrency         = serverless_config.value.max_concurrency
        provisioned_concurrency = serverless_config.value.provisioned_concurrency
      }
    }
  }

  dynamic "data_capture_config" {
    for_each = var.data_capture == null ? [] : [var.data_capture]

    content {
      enable_capture              = true
      initial_sampling_percentage = data_capture_config.value.sampling_percentage
      destination_s3_uri          = data_capture_config.value.destination_s3_uri
      kms_key_id                  = var.kms_key_arn

      capture_options {
        capture_mode = "InputAndOutput"
      }
    }
  }

  lifecycle {
    create_before_destroy = true
    # With autoscaling, another count changes the minimum only. Without it, the name changes too: the configuration is
    # replaced, and a replacement has the new count.
    ignore_changes = [production_variants[0].initial_instance_count]
  }
}

# SageMaker refuses to change the mode of an endpoint in place (ValidationException): the endpoint is replaced.
resource "terraform_data" "mode" {
  input = var.serverless == null ? "real-time" : "serverless"
}

# SageMaker refuses another instance type while the variant is a scalable target: the target is deregistered first.
# Terraform destroys the old target before it updates the endpoint, and registers the new one afterwards.
resource "terraform_data" "instance_type" {
  input = try(var.realtime.instance_type, null)
}

resource "aws_sagemaker_endpoint" "this" {
  count = local.serves

  name                 = var.name
  endpoint_config_name = aws_sagemaker_endpoint_configuration.this[0].name
  tags                 = var.tags

  dynamic "deployment_config" {
    for_each = var.realtime == null ? [] : [var.realtime.deployment]

    content {
      blue_green_update_policy {
        maximum_execution_timeout_in_seconds = local.deployment_seconds
        termination_wait_in_seconds          = deployment_config.value.bake_seconds

        traffic_routing_configuration {
          type                     = upper(deployment_config.value.type)
          wait_interval_in_seconds = deployment_config.value.bake_seconds

          dynamic "canary_size" {
            for_each = deployment_config.value.type == "canary" ? [1] : []

            content {
              type  = "CAPACITY_PERCENT"
              value = deployment_config.value.step_percent
            }
          }

          dynamic "linear_step_size" {
            for_each = deployment_config.value.type == "linear" ? [1] : []

            content {
              type  = "CAPACITY_PERCENT"
              value = deployment_config.value.step_percent
            }
          }
        }
      }

      auto_rollback_configuration {
        dynamic "alarms" {
          for_each = [aws_cloudwatch_metric_alarm.errors[0].alarm_name, aws_cloudwatch_metric_alarm.latency[0].alarm_name]

          content {
            alarm_name = alarms.value
          }
        }
      }
    }
  }

  lifecycle {
    replace_triggered_by = [terraform_data.mode]
  }
}

resource "aws_appautoscaling_target" "this" {
  count = local.is_autoscaled ? 1 : 0

  service_namespace  = "sagemaker"
  resource_id        = "endpoint/${aws_sagemaker_endpoint.this[0].name}/variant/${local.variant_name}"
  scalable_dimension = "sagemaker:variant:DesiredInstanceCount"
  # A deployment starts with instance_count again; the floor is the same number, so it never starts below it.
  min_capacity = var.realtime.instance_count
  max_capacity = var.realtime.max_instance_count
  tags         = var.tags

  lifecycle {
    replace_triggered_by = [terraform_data.instance_type]
  }
}

resource "aws_appautoscaling_policy" "this" {
  count = length(aws_appautoscaling_target.this)

  name               = "${var.name}-invocations"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[0].service_namespace
  resource_id        = aws_appautoscaling_target.this[0].resource_id
  scalable_dimension = aws_appautoscaling_target.this[0].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = var.realtime.invocations_per_instance
    scale_in_cooldown  = 600
    scale_out_cooldown = 60

    predefined_metric_specification {
      predefined_metric_type = "SageMakerVariantInvocationsPerInstance"
    }
  }

  # AWS deletes the policies of a target that is deregistered.
  lifecycle {
    replace_triggered_by = [terraform_data.instance_type]
  }
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  count = local.serves

  alarm_name          = "${var.name}-endpoint-5xx"
  alarm_description   = "The endpoint returns 5xx errors. Scores are late until it recovers. See its log group and the runbook."
  namespace           = "AWS/SageMaker"
  metric_name         = "Invocation5XXErrors"
  dimensions          = { EndpointName = var.name, VariantName = local.variant_name }
  statistic           = "Sum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 1
  comparison_operator = "GreaterThanOrEqualToThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "latency" {
  count = local.serves

  alarm_name          = "${var.name}-endpoint-latency"
  alarm_description   = "The model's latency is high (p90 over five minutes, in microseconds in the metric)."
  namespace           = "AWS/SageMaker"
  metric_name         = "ModelLatency"
  dimensions          = { EndpointName = var.name, VariantName = local.variant_name }
  extended_statistic  = "p90"
  period              = 300
  evaluation_periods  = 2
  threshold           = var.max_latency_ms * 1000
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
  ok_actions          = var.alarm_actions
  tags                = var.tags
}

resource "aws_cloudwatch_log_group" "this" {
  count = local.serves

  name              = "/aws/sagemaker/Endpoints/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.kms_key_arn
  tags              = var.tags
}
