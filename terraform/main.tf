# The service: storage, endpoint (scores), detection (alerts), monitoring, batch (scores files), registry (models), retraining,
# features (queries over the bill) and, if they are switched on, drift and a notebook.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {
  # Read before everything else, so that a missing build/ is the first error.
  lifecycle {
    precondition {
      condition     = fileexists("${local.build}/anomaly_detector.zip")
      error_message = "There is no anomaly_detector.zip in ${local.build}: run `make package`, or unpack a release archive and set build_dir to its folder build/."
    }
  }
}

locals {
  tags = merge({ Project = var.name }, var.tags)
  # IAM names are unique in an account, so deployments in two regions must have different ones.
  roles = {
    path                 = var.role_path
    permissions_boundary = var.permissions_boundary_arn
    suffix               = "-${data.aws_region.current.id}"
  }

  has_endpoint    = var.endpoint != null
  features_prefix = "features/"
  history_prefix  = "history/"
  exclude_prefix  = "training/exclude/"
  scored_prefix   = "scored/"
  alerts_prefix   = "alerts/"
  build           = coalesce(var.build_dir, "${path.module}/../build")

  artifact        = coalesce(var.model_artifact, "${local.build}/model.tar.gz")
  artifact_is_s3  = startswith(local.artifact, "s3://")
  artifact_sha256 = local.artifact_is_s3 ? null : filesha256(local.artifact)
  model_data_url = (
    var.model_package_arn != null ? null :
    local.artifact_is_s3 ? local.artifact : "s3://${aws_s3_object.model[0].bucket}/${aws_s3_object.model[0].key}"
  )

  model_object_arns = concat(
    ["${module.storage.bucket_arn}/models/*"],
    local.artifact_is_s3 ? ["arn:${data.aws_partition.current.partition}:s3:::${trimprefix(local.artifact, "s3://")}"] : [],
  )

  image = var.image_uri != null ? var.image_uri : one(data.aws_sagemaker_prebuilt_ecr_image.this[*].registry_path)

  creates_flow_logs = var.flow_logs != null && try(var.flow_logs.existing, null) == null
  flow_logs = var.flow_logs == null ? null : {
    days                = var.flow_logs.days
    schedule_expression = var.flow_logs.schedule_expression
    bucket              = local.creates_flow_logs ? one(module.flow_logs[*].bucket) : var.flow_logs.existing.bucket
    prefix              = try(var.flow_logs.existing.prefix, "")
    kms_key_arn         = try(var.flow_logs.existing.kms_key_arn, null)
    account_ids         = local.log_delivery.account_ids
    regions             = local.log_delivery.regions
  }
  log_delivery = {
    account_ids = distinct(concat([data.aws_caller_identity.current.account_id], try(var.flow_logs.account_ids, [])))
    regions     = distinct(concat([data.aws_region.current.id], try(var.flow_logs.regions, [])))
  }

  environment = merge({
    SAGEMAKER_PROGRAM             = "anomaly_detection.inference_script"
    SAGEMAKER_SUBMIT_DIRECTORY    = "/opt/ml/model/code"
    SAGEMAKER_CONTAINER_LOG_LEVEL = "20"
    SAGEMAKER_REGION              = data.aws_region.current.id
    # The container installs the model's code at start; without a route to PyPI pip must not look for build tools.
    PIP_NO_BUILD_ISOLATION = "0"
  }, var.environment)
}

# The provider knows no registry for the newest regions; there an image_uri is given.
data "aws_sagemaker_prebuilt_ecr_image" "this" {
  count = var.image_uri == null || var.image_build != null ? 1 : 0

  repository_name = "sagemaker-scikit-learn"
  image_tag       = "${var.image_version}-cpu-py3"
}

module "storage" {
  source = "./modules/storage"

  name                  = var.name
  tags                  = local.tags
  scored_prefix         = local.scored_prefix
  alerts_prefix         = local.alerts_prefix
  scored_retention_days = var.scored_retention_days
  data_export           = var.data_export
  log_delivery          = local.creates_flow_logs ? local.log_delivery : null
  existing              = var.existing
  force_destroy         = var.force_destroy
}

moved {
  from = module.features
  to   = module.features[0]
}

moved {
  from = module.monitoring
  to   = module.monitoring[0]
}

module "flow_logs" {
  source = "./modules/flow_logs"
  count  = local.creates_flow_logs ? 1 : 0

  name                    = var.name
  tags                    = local.tags
  vpc_ids                 = var.flow_logs.vpc_ids
  subnet_ids              = var.flow_logs.subnet_ids
  max_aggregation_seconds = var.flow_logs.max_aggregation_seconds
  retention_days          = var.flow_logs.retention_days
  account_ids             = local.log_delivery.account_ids
  regions                 = local.log_delivery.regions
  kms_key_arn             = module.storage.kms_key_arn
  force_destroy           = var.force_destroy
}

# The key has the content's hash, so another artifact is another object and another model.
resource "aws_s3_object" "model" {
  count = local.artifact_is_s3 || var.model_package_arn != null ? 0 : 1

  bucket      = module.storage.bucket
  key         = "models/${substr(local.artifact_sha256, 0, 16)}/model.tar.gz"
  source      = local.artifact
  source_hash = local.artifact_sha256

  # The current model requires its artifact until the new model serves.
  lifecycle {
    create_before_destroy = true
  }
}

module "endpoint" {
  source = "./modules/endpoint"

  name              = var.name
  tags              = local.tags
  roles             = local.roles
  image             = local.image
  model_data_url    = local.model_data_url
  model_package_arn = var.model_package_arn
  model_object_arns = local.model_object_arns
  model_kms_key_arn = var.model_artifact_kms_key_arn
  bucket_arn        = module.storage.bucket_arn
  environment       = local.environment
  serverless        = local.has_endpoint ? var.serverless : null
  realtime          = var.realtime
  network           = local.network
  data_capture = var.data_capture == null ? null : {
    sampling_percentage = var.data_capture.sampling_percentage
    destination_s3_uri  = "s3://${module.storage.bucket}/capture"
  }
  kms_key_arn        = module.storage.kms_key_arn
  log_retention_days = var.log_retention_days
  max_latency_ms     = var.alarms.max_latency_ms
  alarm_actions      = [module.detection.topic_arn]
}

module "detection" {
  source = "./modules/detection"

  name                = var.name
  tags                = local.tags
  roles               = local.roles
  function_zip        = "${local.build}/anomaly_detector.zip"
  forwarder_zip       = "${local.build}/notification_forwarder.zip"
  layer_zip           = "${local.build}/pyarrow_layer.zip"
  memory_mb           = var.detector_memory_mb
  bucket              = module.storage.bucket
  bucket_arn          = module.storage.bucket_arn
  features_prefix     = local.features_prefix
  scored_prefix       = local.scored_prefix
  alerts_prefix       = local.alerts_prefix
  endpoint_name       = local.has_endpoint ? var.name : null
  endpoint_arn        = "arn:${data.aws_partition.current.partition}:sagemaker:${data.aws_region.current.id}:${module.storage.account_id}:endpoint/${var.name}"
  max_body_bytes      = var.serverless == null ? 5500000 : 3500000
  kms_key_arn         = module.storage.kms_key_arn
  log_retention_days  = var.log_retention_days
  schedule_expression = var.schedule_expression
  digest              = var.digest
  alert_policy        = var.alert_policy
  planned_events      = var.planned_events
  reads_cloudtrail    = var.cloudtrail != null
  owners              = var.owners
  subscriptions       = var.subscriptions
  deletion_protection = !var.force_destroy
  feature_group       = one(module.feature_store[*].group)
}

module "feature_store" {
  source = "./modules/feature_store"
  count  = var.feature_store == null ? 0 : 1

  name        = var.name
  tags        = local.tags
  roles       = local.roles
  columns     = module.features[0].columns
  offline     = var.feature_store.offline
  ttl_days    = var.feature_store.ttl_days
  bucket      = module.storage.bucket
  bucket_arn  = module.storage.bucket_arn
  kms_key_arn = module.storage.kms_key_arn
}

module "batch" {
  source = "./modules/batch"

  name              = var.name
  tags              = local.tags
  roles             = local.roles
  function_zip      = "${local.build}/batch_scorer.zip"
  layer_arn         = module.detection.layer_arn
  bucket            = module.storage.bucket
  bucket_arn        = module.storage.bucket_arn
  model_object_arns = local.model_object_arns
  model_kms_key_arn = var.model_artifact_kms_key_arn
  endpoint_name     = local.has_endpoint ? var.name : null
  model = {
    name     = module.endpoint.model_name
    role_arn = module.endpoint.role_arn
    group    = module.registry.group
    network  = local.network
  }
  large_files = !local.runs_aws_batch ? null : {
    from_mb = var.batch.large_file_mb
    # The input and its result share the disk, and the result of a parquet file is CSV, which is several times as large.
    max_mb             = var.batch.disk_gb * 200
    queue_arn          = module.aws_batch[0].queue_arn
    job_definition     = module.aws_batch[0].job_definition
    job_definition_arn = module.aws_batch[0].job_definition_arn
  }
  topic_arn          = module.detection.topic_arn
  kms_key_arn        = module.storage.kms_key_arn
  log_retention_days = var.log_retention_days
}

module "registry" {
  source = "./modules/registry"

  name                = var.name
  tags                = local.tags
  roles               = local.roles
  function_zip        = "${local.build}/model_registrar.zip"
  bucket              = module.storage.bucket
  bucket_arn          = module.storage.bucket_arn
  model_object_arns   = local.model_object_arns
  model_kms_key_arn   = var.model_artifact_kms_key_arn
  endpoint_name       = local.has_endpoint ? var.name : null
  image               = local.image
  environment         = local.environment
  training_job_prefix = "${var.name}-retraining"
  alerts_table        = module.detection.alerts_table
  alerts_table_arn    = module.detection.alerts_table_arn
  planned_events_key  = module.detection.planned_events_key
  exclude_prefix      = local.exclude_prefix
  kms_key_arn         = module.storage.kms_key_arn
  log_retention_days  = var.log_retention_days
}

module "retraining" {
  source = "./modules/retraining"
  count  = var.retraining == null ? 0 : 1

  name                 = var.name
  tags                 = local.tags
  roles                = local.roles
  schedule_expression  = var.retraining.schedule_expression == "" ? null : var.retraining.schedule_expression
  start_alarm_names    = concat(var.retraining.start_alarm_names, [for drift in module.drift : drift.alarm_name if try(var.drift.starts_retraining, false)])
  source_bundle        = "${local.build}/sourcedir.tar.gz"
  image                = local.image
  instance_type        = var.retraining.instance_type
  max_training_seconds = var.retraining.max_training_seconds
  hyperparameters      = var.retraining.hyperparameters
  holdout_share        = var.retraining.holdout_share
  features             = var.retraining.features_days == 0 ? null : { state_machine_arn = module.features[0].state_machine_arn, days = var.retraining.features_days }
  training_prefix      = var.retraining.features_days == 0 ? local.features_prefix : local.history_prefix
  exclude_prefix       = local.exclude_prefix
  registrar_name       = module.registry.function_name
  registrar_arn        = module.registry.function_arn
  bucket               = module.storage.bucket
  bucket_arn           = module.storage.bucket_arn
  model_object_arns    = local.model_object_arns
  model_kms_key_arn    = var.model_artifact_kms_key_arn
  topic_arn            = module.detection.topic_arn
  kms_key_arn          = module.storage.kms_key_arn
  log_retention_days   = var.log_retention_days
}

module "drift" {
  source = "./modules/drift"
  count  = var.drift == null ? 0 : 1

  name                = var.name
  tags                = local.tags
  roles               = local.roles
  function_zip        = "${local.build}/drift_monitor.zip"
  layer_arn           = module.detection.layer_arn
  bucket              = module.storage.bucket
  bucket_arn          = module.storage.bucket_arn
  scored_prefix       = local.scored_prefix
  capture_prefix      = var.drift.source == "capture" ? "capture/${var.name}/${module.endpoint.variant_name}/" : null
  drift_prefix        = "drift/"
  limits              = var.drift.limits
  schedule_expression = coalesce(var.drift.schedule_expression, var.drift.window == "hour" ? "cron(20 * * * ? *)" : "cron(0 6 * * ? *)")
  window              = var.drift.window
  feature_metrics     = var.drift.feature_metrics
  model_object_arns   = local.model_object_arns
  model_kms_key_arn   = var.model_artifact_kms_key_arn
  endpoint_name       = var.name
  topic_arn           = module.detection.topic_arn
  kms_key_arn         = module.storage.kms_key_arn
  log_retention_days  = var.log_retention_days
}

module "features" {
  source = "./modules/features"
  count  = local.has_endpoint ? 1 : 0

  name               = var.name
  tags               = local.tags
  roles              = local.roles
  bucket             = module.storage.bucket
  kms_key_arn        = module.storage.kms_key_arn
  features_prefix    = local.features_prefix
  scored_prefix      = local.scored_prefix
  flow_logs          = local.flow_logs
  export_name        = try(var.data_export.name, var.name)
  max_scanned_gb     = var.max_scanned_gb
  sql_dir            = "${local.build}/athena"
  flow_sql_dir       = "${local.build}/athena_flow_logs"
  pipeline           = var.features_pipeline
  history_prefix     = local.history_prefix
  explainer          = { name = module.registry.function_name, arn = module.registry.function_arn }
  topic_arn          = module.detection.topic_arn
  log_retention_days = var.log_retention_days
}

module "monitoring" {
  source = "./modules/monitoring"
  count  = local.has_endpoint ? 1 : 0

  name                 = var.name
  tags                 = local.tags
  function_name        = module.detection.function_name
  log_group            = module.detection.log_group
  dead_letter_queue    = module.detection.dead_letter_queue
  endpoint_name        = module.endpoint.endpoint_name
  variant_name         = module.endpoint.variant_name
  endpoint_alarm_arns  = module.endpoint.alarm_arns
  drift_function_name  = one(module.drift[*].function_name)
  drift_alarm_arns     = flatten(module.drift[*].alarm_arns)
  topic_arn            = module.detection.topic_arn
  no_data_hours        = var.alarms.no_data_hours
  usd_per_day_at_stake = var.alarms.usd_per_day_at_stake
  monthly_budget_usd   = var.monthly_budget_usd
  project_tag          = local.tags.Project
}

module "notebook" {
  source = "./modules/notebook"
  count  = var.notebook == null ? 0 : 1

  name           = var.name
  tags           = local.tags
  roles          = local.roles
  notebook       = var.notebook
  repository_url = var.notebook.repository_url
  bucket_arn     = module.storage.bucket_arn
  endpoint_arn   = module.endpoint.endpoint_arn
  kms_key_arn    = module.storage.kms_key_arn
}

# On request: a VPC, an image build, and AWS Batch for large files.
locals {
  runs_aws_batch = var.batch.runner == "aws_batch"

  # Serverless endpoints have no VPC.
  network = (
    var.network != null ? var.network :
    length(module.vpc) == 0 || (local.has_endpoint && var.realtime == null) ? null :
    { subnet_ids = module.vpc[0].subnet_ids, security_group_ids = [module.vpc[0].security_group_id], enable_network_isolation = false }
  )
}

module "vpc" {
  source = "./modules/vpc"
  count  = var.vpc == null ? 0 : 1

  name                 = var.name
  tags                 = local.tags
  cidr                 = var.vpc.cidr
  zones                = var.vpc.zones
  interface_services   = concat(["logs", "sagemaker.runtime"], local.runs_aws_batch ? ["ecr.api", "ecr.dkr"] : [])
  bucket_arns          = [module.storage.bucket_arn]
  readable_object_arns = slice(local.model_object_arns, 1, length(local.model_object_arns))
  # Not by a splat: that would wait for the jobs, which wait for the VPC.
  repository_arns = local.runs_aws_batch ? [module.aws_batch[0].repository_arn] : []
}

module "image_build" {
  source = "./modules/image_build"
  count  = var.image_build == null ? 0 : 1

  name               = var.name
  tags               = local.tags
  roles              = local.roles
  source_zip         = "${local.build}/image_source.zip"
  base_image         = data.aws_sagemaker_prebuilt_ecr_image.this[0].registry_path
  bucket             = module.storage.bucket
  bucket_arn         = module.storage.bucket_arn
  force_destroy      = var.force_destroy
  kms_key_arn        = module.storage.kms_key_arn
  log_retention_days = var.log_retention_days
}

module "aws_batch" {
  source = "./modules/aws_batch"
  count  = local.runs_aws_batch ? 1 : 0

  name               = var.name
  tags               = local.tags
  roles              = local.roles
  image              = var.batch.image_uri != null ? var.batch.image_uri : module.image_build[0].image_uri
  subnet_ids         = var.vpc != null ? module.vpc[0].subnet_ids : var.batch.subnet_ids
  security_group_ids = var.vpc != null ? [module.vpc[0].security_group_id] : var.batch.security_group_ids
  vcpus              = var.batch.vcpus
  memory_mb          = var.batch.memory_mb
  disk_gb            = var.batch.disk_gb
  max_vcpus          = var.batch.max_vcpus
  timeout_seconds    = var.batch.timeout_seconds
  bucket_arn         = module.storage.bucket_arn
  model_object_arns  = local.model_object_arns
  model_kms_key_arn  = var.model_artifact_kms_key_arn
  kms_key_arn        = module.storage.kms_key_arn
  log_retention_days = var.log_retention_days
}
