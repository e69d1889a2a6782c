# The Lambda function that scores new hours, its triggers, and its stores.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  name       = "${var.name}-detector"
  # Without an endpoint nothing scores hours: there are no alerts and no calendar.
  detects       = var.endpoint_name == null ? 0 : 1
  digest_prefix = "digests/"
  # LookupEvents supports no resources and no condition on them: the statement is on "*". It reads this account alone.
  reading_cloudtrail = { for name in var.reads_cloudtrail ? ["ReadCloudTrail"] : [] : name => { actions = ["cloudtrail:LookupEvents"], resources = ["*"] } }
}

# pyarrow and numpy as a layer: with them in the function's zip, each change of a line would upload 47 MB.
resource "aws_s3_object" "layer" {
  bucket      = var.bucket
  key         = "code/pyarrow-layer-${substr(filesha256(var.layer_zip), 0, 16)}.zip"
  source      = var.layer_zip
  source_hash = filesha256(var.layer_zip)
}

resource "aws_lambda_layer_version" "this" {
  layer_name               = "${var.name}-pyarrow"
  description              = "pyarrow and numpy"
  s3_bucket                = aws_s3_object.layer.bucket
  s3_key                   = aws_s3_object.layer.key
  source_code_hash         = filebase64sha256(var.layer_zip)
  compatible_runtimes      = ["python3.12"]
  compatible_architectures = ["x86_64"]
}

# An S3 object instead of an environment variable, since it changes often and has no size limit.
resource "aws_s3_object" "planned_events" {
  count = local.detects

  bucket       = var.bucket
  key          = "config/planned_events.json"
  content_type = "application/json"
  content      = jsonencode([for event in var.planned_events : { for name, value in event : name => value if value != null }])
}

resource "aws_s3_object" "owners" {
  count = local.detects

  bucket       = var.bucket
  key          = "config/owners.json"
  content_type = "application/json"
  content      = jsonencode([for rule in var.owners : { for name, value in rule : name => value if value != null }])
}

module "function" {
  source = "../function"
  count  = local.detects

  name               = local.name
  tags               = var.tags
  roles              = var.roles
  description        = "Scores new hours of egress and notifies of incidents."
  zip                = var.function_zip
  handler            = "anomaly_detector.handler.lambda_handler"
  layer_arns         = [aws_lambda_layer_version.this.arn]
  memory_mb          = var.memory_mb
  kms_key_arn        = var.kms_key_arn
  log_retention_days = var.log_retention_days

  environment = merge({
    BUCKET                       = var.bucket
    FEATURES_PREFIX              = var.features_prefix
    SCORED_PREFIX                = var.scored_prefix
    ALERTS_PREFIX                = var.alerts_prefix
    ENDPOINT_NAME                = var.endpoint_name
    ALERTS_TABLE                 = aws_dynamodb_table.alerts[0].name
    TOPIC_ARN                    = aws_sns_topic.this.arn
    MAX_BODY_BYTES               = var.max_body_bytes
    MIN_EXCESS_USD               = var.alert_policy.min_excess_usd
    MIN_EXCESS_GB                = var.alert_policy.min_excess_gb
    MIN_EXCESS_PERCENT           = var.alert_policy.min_excess_percent
    MIN_TIMES_USUAL_EXCESS       = var.alert_policy.min_times_usual_excess
    MAX_P_VALUE                  = var.alert_policy.max_p_value
    LASTING_HOURS                = var.alert_policy.lasting_hours
    INCIDENT_GAP_HOURS           = var.alert_policy.incident_gap_hours
    SIBLING_HOURS                = var.alert_policy.sibling_hours
    ENDED_AFTER_HOURS            = var.alert_policy.ended_after_hours
    NOTIFY_AGAIN_HOURS           = var.alert_policy.notify_again_hours
    MEDIUM_SHARE_OF_EXPECTED     = var.alert_policy.medium_share_of_expected
    NOTIFY_ENDED                 = var.alert_policy.notify_ended
    SEVERITY_USD_PER_DAY         = join(",", var.alert_policy.severity_usd_per_day)
    POLICY_OVERRIDES             = jsonencode([for o in var.alert_policy.overrides : { for k, v in o : k => v if v != null }])
    PLANNED_EVENTS_KEY           = aws_s3_object.planned_events[0].key
    READS_CLOUDTRAIL             = var.reads_cloudtrail
    OWNERS_KEY                   = aws_s3_object.owners[0].key
    POWERTOOLS_METRICS_NAMESPACE = "EgressSentinel"
  }, { for group in var.feature_group[*] : "FEATURE_GROUP" => group.name })

  policy = {
    name = "detect"
    statements = merge(local.reading_cloudtrail, {
      # Without it S3 answers 403, not 404, for a day that has not been scored yet.
      ListBucket        = { actions = ["s3:ListBucket"], resources = [var.bucket_arn] }
      ReadHours         = { actions = ["s3:GetObject"], resources = ["${var.bucket_arn}/${var.features_prefix}*", "${var.bucket_arn}/${var.scored_prefix}*"] }
      ReadPlannedEvents = { actions = ["s3:GetObject"], resources = ["${var.bucket_arn}/${aws_s3_object.planned_events[0].key}"] }
      ReadOwners        = { actions = ["s3:GetObject"], resources = ["${var.bucket_arn}/${aws_s3_object.owners[0].key}"] }
      WriteScoredHours  = { actions = ["s3:PutObject"], resources = ["${var.bucket_arn}/${var.scored_prefix}*"] }
      WriteAlertLists   = { actions = ["s3:PutObject"], resources = ["${var.bucket_arn}/${var.alerts_prefix}*"] }
      Score             = { actions = ["sagemaker:InvokeEndpoint"], resources = [var.endpoint_arn] }
      WriteAlerts       = { actions = ["dynamodb:PutItem", "dynamodb:UpdateItem"], resources = [aws_dynamodb_table.alerts[0].arn] }
      FindOpenIncidents = { actions = ["dynamodb:Query"], resources = ["${aws_dynamodb_table.alerts[0].arn}/index/account-region"] }
      ReadAlerts        = { actions = ["dynamodb:BatchGetItem", "dynamodb:GetItem"], resources = [aws_dynamodb_table.alerts[0].arn] }
      Publish           = { actions = ["sns:Publish"], resources = [aws_sns_topic.this.arn] }
      }, {
      for group in var.feature_group[*] : "WriteLatestFeatures" => {
        actions = ["sagemaker:DescribeFeatureGroup", "sagemaker:PutRecord"], resources = [group.arn]
      }
    })
  }

  event_rules = {
    features = {
      description = "A file of features has arrived."
      pattern = jsonencode({
        source      = ["aws.s3"]
        detail-type = ["Object Created"]
        detail      = { bucket = { name = [var.bucket] }, object = { key = [{ prefix = var.features_prefix }] } }
      })
    }
    schedule = {
      description = "The last 48 hours again: bills of the last two days are still being written."
      schedule    = var.schedule_expression
    }
  }
}
