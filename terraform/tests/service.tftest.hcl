# What the configuration refuses, and what it makes, without AWS: the provider is mocked. Requires `make package`.

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

  mock_data "aws_sagemaker_prebuilt_ecr_image" {
    defaults = { registry_path = "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3" }
  }

  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  }

  mock_resource "aws_ecr_repository" {
    defaults = {
      arn            = "arn:aws:ecr:eu-west-1:111122223333:repository/egress-sentinel"
      repository_url = "111122223333.dkr.ecr.eu-west-1.amazonaws.com/egress-sentinel"
    }
  }

  mock_resource "aws_batch_compute_environment" {
    defaults = { arn = "arn:aws:batch:eu-west-1:111122223333:compute-environment/egress-sentinel-large-files" }
  }

  mock_resource "aws_batch_job_queue" {
    defaults = { arn = "arn:aws:batch:eu-west-1:111122223333:job-queue/egress-sentinel-large-files" }
  }

  mock_resource "aws_batch_job_definition" {
    defaults = {
      arn_prefix = "arn:aws:batch:eu-west-1:111122223333:job-definition/egress-sentinel-large-files"
    }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::egress-sentinel-111122223333-eu-west-1" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::111122223333:role/egress-sentinel" }
  }

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-1:111122223333:egress-sentinel-alerts" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-1:111122223333:egress-sentinel-detector-dead-letters" }
  }

  mock_resource "aws_dynamodb_table" {
    defaults = { arn = "arn:aws:dynamodb:eu-west-1:111122223333:table/egress-sentinel-alerts" }
  }

  mock_resource "aws_lambda_function" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111122223333:function:egress-sentinel-detector" }
  }

  mock_resource "aws_lambda_layer_version" {
    defaults = { arn = "arn:aws:lambda:eu-west-1:111122223333:layer:egress-sentinel-pyarrow:1" }
  }

  mock_resource "aws_cloudwatch_event_rule" {
    defaults = { arn = "arn:aws:events:eu-west-1:111122223333:rule/egress-sentinel-detector-features" }
  }

  mock_resource "aws_sfn_state_machine" {
    defaults = { arn = "arn:aws:states:eu-west-1:111122223333:stateMachine:egress-sentinel-retraining" }
  }

  mock_resource "aws_sagemaker_model_package_group" {
    defaults = { arn = "arn:aws:sagemaker:eu-west-1:111122223333:model-package-group/egress-sentinel" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-1:111122223333:log-group:/aws/lambda/egress-sentinel-detector" }
  }

  mock_resource "aws_cloudwatch_metric_alarm" {
    defaults = { arn = "arn:aws:cloudwatch:eu-west-1:111122223333:alarm:egress-sentinel" }
  }
}

run "defaults" {
  assert {
    condition     = output.model_image == "141502667606.dkr.ecr.eu-west-1.amazonaws.com/sagemaker-scikit-learn:1.9-0-cpu-py3"
    error_message = "The default image is SageMaker's scikit-learn 1.9-0."
  }

  assert {
    condition     = can(regex("^egress-sentinel-[0-9a-f]{12}$", output.model_name)) && can(regex("^egress-sentinel-[0-9a-f]{12}$", output.endpoint_config_name))
    error_message = "Names of models and configurations carry the hash of their content."
  }

  assert {
    condition     = can(regex("^s3://.+/models/[0-9a-f]{16}/model.tar.gz$", output.model_artifact))
    error_message = "The artifact's key carries the hash of its content."
  }

  assert {
    condition     = strcontains(output.invoke_command, "--region eu-west-1 --endpoint-name egress-sentinel ")
    error_message = "The invoke command is ready to paste."
  }
}

run "another_artifact_is_another_model" {
  variables {
    model_artifact = "../build/sourcedir.tar.gz"
  }

  assert {
    condition     = output.model_name != run.defaults.model_name && output.endpoint_config_name != run.defaults.endpoint_config_name
    error_message = "Another artifact must be another model and another configuration."
  }

  assert {
    condition     = output.endpoint_name == run.defaults.endpoint_name
    error_message = "The endpoint keeps its name."
  }
}

run "realtime" {
  variables {
    serverless   = null
    realtime     = { instance_count = 2, max_instance_count = 4 }
    data_capture = { sampling_percentage = 20 }
    network      = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"], enable_network_isolation = true }
  }

  assert {
    condition     = output.endpoint_name == "egress-sentinel"
    error_message = "A real-time endpoint takes capture, a VPC and isolation."
  }
}

run "scaling_is_no_new_configuration" {
  command = plan

  variables {
    serverless   = null
    realtime     = { instance_count = 3, max_instance_count = 4 }
    data_capture = { sampling_percentage = 20 }
    network      = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"], enable_network_isolation = true }
  }

  assert {
    condition     = output.endpoint_config_name == run.realtime.endpoint_config_name
    error_message = "An instance count must not make a new configuration."
  }
}

run "one_instance" {
  command = plan

  variables {
    serverless = null
    realtime   = { instance_count = 1 }
  }
}

run "another_fixed_count_is_another_configuration" {
  command = plan

  variables {
    serverless = null
    realtime   = { instance_count = 2 }
  }

  assert {
    condition     = output.endpoint_config_name != run.one_instance.endpoint_config_name && output.model_name == run.one_instance.model_name
    error_message = "Without autoscaling, another instance count must make a new configuration of the same model."
  }
}

run "autoscaling_is_another_configuration" {
  command = plan

  variables {
    serverless = null
    realtime   = { instance_count = 1, max_instance_count = 4 }
  }

  assert {
    condition     = output.endpoint_config_name != run.one_instance.endpoint_config_name
    error_message = "An endpoint that leaves autoscaling must go back to its fixed count by a new configuration."
  }
}

run "model_package" {
  variables {
    model_package_arn = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/egress-sentinel/3"
  }

  assert {
    condition     = output.model_artifact == null && output.model_image == null
    error_message = "A model package brings its image and artifact."
  }
}

run "everything_that_is_off_by_default" {
  variables {
    subscriptions = {
      emails     = ["someone@example.com"]
      https_urls = ["https://example.com/hook"]
      slack      = { team_id = "T0123ABCD", channel_id = "C0123ABCD" }
    }
    data_export        = { name = "egress" }
    monthly_budget_usd = 20
    retraining         = { start_alarm_names = ["errors"] }
    drift              = { limits = { "*" = { psi = 0.2 }, persistence = { ks = 0.3 } } }
    notebook           = { repository_url = "https://example.com/egress-sentinel.git", subnet_id = "subnet-1", security_group_ids = ["sg-1"] }
  }

  assert {
    condition     = output.endpoint_name == "egress-sentinel"
    error_message = "Subscriptions, a data export, a budget and a notebook go together."
  }
}

run "refuses_features_that_expire_at_once" {
  command         = plan
  expect_failures = [var.feature_store]

  variables {
    feature_store = { ttl_days = 0 }
  }
}

run "keeps_the_latest_features" {
  variables {
    feature_store = {}
  }

  assert {
    condition     = output.feature_group == "egress-sentinel"
    error_message = "The feature group has the name of the deployment."
  }
}

run "refuses_drift_of_a_capture_that_is_not_there" {
  command         = plan
  expect_failures = [var.drift]

  variables {
    drift = { source = "capture" }
  }
}

run "judges_drift_of_a_capture_each_hour" {
  command = plan

  variables {
    serverless   = null
    realtime     = {}
    data_capture = { sampling_percentage = 100 }
    drift        = { source = "capture", window = "hour", feature_metrics = true, limits = { amount = { mean_deviations = 2 } } }
  }

  assert {
    condition     = output.drift_function_name == "egress-sentinel-drift"
    error_message = "The drift monitor judges each hour of a capture."
  }
}

run "refuses_drift_of_scored_hours" {
  command         = plan
  expect_failures = [var.drift]

  variables {
    drift = { window = "hour" }
  }
}

run "retraining_by_hand_on_files_of_ones_own" {
  command = plan

  variables {
    retraining = { schedule_expression = "", features_days = 0 }
  }

  assert {
    condition     = output.endpoint_name == "egress-sentinel"
    error_message = "Retraining needs neither a schedule nor an export."
  }
}

run "refuses_more_days_than_athena_writes" {
  command         = plan
  expect_failures = [var.retraining, var.features_pipeline]

  variables {
    retraining        = { features_days = 101 }
    features_pipeline = { days = 101, months = 24 }
  }
}

run "refuses_names_that_no_tag_has" {
  command         = plan
  expect_failures = [var.features_pipeline]

  variables {
    features_pipeline = { alert_tags = ["owner", "team' OR '1"] }
  }
}

run "refuses_retraining_without_a_holdout" {
  command         = plan
  expect_failures = [var.retraining]

  variables {
    retraining = { holdout_share = 0 }
  }
}

run "refuses_both_modes" {
  command         = plan
  expect_failures = [var.serverless]

  variables {
    realtime = {}
  }
}

run "refuses_neither_mode" {
  command         = plan
  expect_failures = [var.serverless]

  variables {
    serverless = null
  }
}

run "refuses_memory_between_steps" {
  command         = plan
  expect_failures = [var.serverless]

  variables {
    serverless = { memory_mb = 1500 }
  }
}

run "refuses_more_concurrency_than_there_is" {
  command         = plan
  expect_failures = [var.serverless]

  variables {
    serverless = { max_concurrency = 201 }
  }
}

run "refuses_more_provisioned_than_concurrent" {
  command         = plan
  expect_failures = [var.serverless]

  variables {
    serverless = { max_concurrency = 2, provisioned_concurrency = 3 }
  }
}

run "refuses_capture_on_serverless" {
  command         = plan
  expect_failures = [var.data_capture]

  variables {
    data_capture = { sampling_percentage = 10 }
  }
}

run "refuses_a_vpc_on_serverless" {
  command         = plan
  expect_failures = [var.network]

  variables {
    network = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
  }
}

run "refuses_an_artifact_that_is_none" {
  command         = plan
  expect_failures = [var.model_artifact]

  variables {
    model_artifact = "s3://bucket/model.zip"
  }
}

run "refuses_an_artifact_from_elsewhere" {
  command         = plan
  expect_failures = [var.model_artifact]

  variables {
    model_artifact = "https://example.com/model.tar.gz"
  }
}

run "refuses_artifact_and_package" {
  command         = plan
  expect_failures = [var.model_artifact]

  variables {
    model_artifact    = "s3://bucket/model.tar.gz"
    model_package_arn = "arn:aws:sagemaker:eu-west-1:111122223333:model-package/egress-sentinel/3"
  }
}

run "refuses_more_at_least_than_at_most" {
  command         = plan
  expect_failures = [var.realtime]

  variables {
    serverless = null
    realtime   = { instance_count = 3, max_instance_count = 2 }
  }
}

run "refuses_an_unknown_deployment" {
  command         = plan
  expect_failures = [var.realtime]

  variables {
    serverless = null
    realtime   = { deployment = { type = "big_bang" } }
  }
}

run "refuses_falling_severities" {
  command         = plan
  expect_failures = [var.alert_policy]

  variables {
    alert_policy = { severity_usd_per_day = [500, 50, 5000] }
  }
}

run "refuses_a_gap_shorter_than_gathering" {
  command         = plan
  expect_failures = [var.alert_policy]

  variables {
    alert_policy = { incident_gap_hours = 12 }
  }
}

run "passes_the_floors_of_accounts_and_classes_on" {
  command = plan

  variables {
    alert_policy = {
      min_excess_usd = 10
      notify_ended   = true
      overrides = [
        { egress_class = "inter_az", min_excess_usd = 100 },
        { account = "111122223333", egress_class = "inter_az", min_excess_percent = 20 },
        { account = "111122223333", severity_usd_per_day = [5, 50, 500], medium_share_of_expected = 0.5 },
      ]
    }
  }

  assert {
    condition = jsondecode(module.detection.environment.POLICY_OVERRIDES) == [
      { egress_class = "inter_az", min_excess_usd = 100 },
      { account = "111122223333", egress_class = "inter_az", min_excess_percent = 20 },
      { account = "111122223333", severity_usd_per_day = [5, 50, 500], medium_share_of_expected = 0.5 },
    ]
    error_message = "The function gets the overrides as they were given, without what was left out."
  }

  assert {
    condition     = tostring(module.detection.environment.NOTIFY_ENDED) == "true" && tonumber(module.detection.environment.MEDIUM_SHARE_OF_EXPECTED) == 1 && tonumber(module.detection.environment.ENDED_AFTER_HOURS) == 24
    error_message = "The function gets when an incident has ended, whether that is notified, and what is much for an account."
  }
}

run "rejects_thresholds_of_an_account_that_do_not_rise" {
  command = plan

  expect_failures = [var.alert_policy]

  variables {
    alert_policy = { overrides = [{ account = "111122223333", severity_usd_per_day = [50, 5, 500] }] }
  }
}

run "refuses_floors_of_an_unknown_class" {
  command         = plan
  expect_failures = [var.alert_policy]

  variables {
    alert_policy = { overrides = [{ egress_class = "interaz", min_excess_usd = 100 }] }
  }
}

run "refuses_floors_of_nobody" {
  command         = plan
  expect_failures = [var.alert_policy]

  variables {
    alert_policy = { overrides = [{ min_excess_usd = 100 }] }
  }
}

run "refuses_an_override_without_a_floor" {
  command         = plan
  expect_failures = [var.alert_policy]

  variables {
    alert_policy = { overrides = [{ account = "111122223333" }] }
  }
}

run "refuses_two_floors_for_the_same" {
  command         = plan
  expect_failures = [var.alert_policy]

  variables {
    alert_policy = {
      overrides = [
        { account = "111122223333", min_excess_usd = 100 },
        { account = "111122223333", min_excess_usd = 200 },
      ]
    }
  }
}

run "reads_no_cloudtrail_by_default" {
  command = plan

  assert {
    condition     = module.detection.environment.READS_CLOUDTRAIL == "false"
    error_message = "CloudTrail is read although nobody asked for it."
  }
}

run "reads_cloudtrail_when_asked" {
  command = plan

  variables {
    cloudtrail = {}
  }

  assert {
    condition     = module.detection.environment.READS_CLOUDTRAIL == "true"
    error_message = "The function does not read CloudTrail."
  }
}

run "hands_planned_events_to_the_function" {
  command = plan

  variables {
    planned_events = [{ note = "move", from = "2026-10-14T00:00:00Z", to = "2026-10-16T00:00:00Z", max_gb = 500 }]
  }

  assert {
    condition     = module.detection.environment.PLANNED_EVENTS_KEY == "config/planned_events.json"
    error_message = "The function knows where the calendar is."
  }
}

run "refuses_a_plan_that_would_hide_anything" {
  command         = plan
  expect_failures = [var.planned_events]

  variables {
    planned_events = [{ note = "move", from = "2026-10-14T00:00:00Z", to = "2026-10-16T00:00:00Z" }]
  }
}

run "refuses_a_plan_in_days" {
  command         = plan
  expect_failures = [var.planned_events]

  variables {
    planned_events = [{ note = "move", from = "2026-10-14", to = "2026-10-16", max_gb = 500 }]
  }
}

run "refuses_plain_http" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = { https_urls = ["http://example.com/hook"] }
  }
}

run "routes_alerts_to_people_and_programs" {
  variables {
    owners = [
      { team = "team-media", channel = "#media", tags = { owner = "media*" } },
      { team = "finops" },
    ]
    subscriptions = {
      teams = { tenant_id = "11111111-2222-3333-4444-555555555555", team_id = "11111111-2222-3333-4444-555555555555", channel_id = "19%3Aabc%40thread.tacv2" }
      filtered = [
        { protocol = "email", endpoint = "media@example.com", filter_policy = jsonencode({ team = ["team-media"], severity = ["high", "critical"] }) },
        { protocol = "sqs", endpoint = "arn:aws:sqs:eu-west-1:111122223333:alerts", raw_message_delivery = true },
      ]
      pagerduty = { oncall = { secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:pagerduty-a1b2c3" } }
      webhooks  = { tickets = { secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:tickets-a1b2c3", filter_policy = jsonencode({ team = [{ exists = false }] }) } }
    }
  }

  assert {
    condition     = jsonencode(output.forwarder_function_names) == jsonencode({ chat = "egress-sentinel-to-chat", oncall = "egress-sentinel-to-oncall", tickets = "egress-sentinel-to-tickets" })
    error_message = "Each destination has its function."
  }
}

run "gives_each_team_its_chat" {
  variables {
    subscriptions = {
      slack = { team_id = "T0123ABCD", channel_id = "C0123ABCD" }
      chats = {
        media = { slack = { team_id = "T0123ABCD", channel_id = "C0456EFGH" }, filter_policy = jsonencode({ team = ["team-media"] }) }
        data  = { teams = { tenant_id = "11111111-2222-3333-4444-555555555555", team_id = "11111111-2222-3333-4444-555555555555", channel_id = "19%3Aabc%40thread.tacv2" } }
      }
    }
  }

  assert {
    condition     = keys(output.chat_topic_arns) == ["chat", "data", "media"]
    error_message = "Each chat has its topic."
  }

  assert {
    condition     = keys(output.forwarder_function_names) == ["chat", "data", "media"]
    error_message = "Each chat has its function."
  }
}

run "refuses_a_chat_without_a_channel" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = { chats = { media = { filter_policy = jsonencode({ team = ["team-media"] }) } } }
  }
}

run "refuses_a_chat_and_a_webhook_of_one_name" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = {
      chats    = { media = { slack = { team_id = "T0123ABCD", channel_id = "C0456EFGH" } } }
      webhooks = { media = { secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:t" } }
    }
  }
}

run "refuses_a_filter_by_what_no_alert_has" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = { filtered = [{ protocol = "email", endpoint = "media@example.com", filter_policy = jsonencode({ owner = ["team-media"] }) }] }
  }
}

run "refuses_a_filter_that_is_no_list" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = { filtered = [{ protocol = "email", endpoint = "media@example.com", filter_policy = jsonencode({ team = "team-media" }) }] }
  }
}

run "refuses_a_filter_that_is_no_json" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = { filtered = [{ protocol = "email", endpoint = "media@example.com", filter_policy = "team-media" }] }
  }
}

run "refuses_a_filter_with_more_attributes_than_sns_takes" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = { filtered = [{ protocol = "email", endpoint = "media@example.com", filter_policy = jsonencode({ team = ["a"], state = ["open"], region = ["b"], class = ["c"], kind = ["d"] }) }] }
  }
}

run "refuses_a_severity_that_there_is_not" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = { webhooks = { tickets = { secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:t", filter_policy = jsonencode({ severity = ["severe"] }) } } }
  }
}

run "refuses_an_endpoint_of_another_protocol" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = { filtered = [{ protocol = "sqs", endpoint = "media@example.com" }] }
  }
}

run "refuses_raw_delivery_to_people" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = { filtered = [{ protocol = "email", endpoint = "media@example.com", raw_message_delivery = true }] }
  }
}

run "refuses_a_routing_key_in_place_of_its_secret" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = { pagerduty = { oncall = { secret_arn = "0123456789abcdef0123456789abcdef" } } }
  }
}

run "refuses_two_destinations_of_one_name" {
  command         = plan
  expect_failures = [var.subscriptions]

  variables {
    subscriptions = {
      pagerduty = { oncall = { secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:a" } }
      webhooks  = { oncall = { secret_arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:b" } }
    }
  }
}

run "refuses_an_owner_rule_that_hides_later_ones" {
  command         = plan
  expect_failures = [var.owners]

  variables {
    owners = [{ team = "finops" }, { team = "team-media", regions = ["eu-*"] }]
  }
}

run "refuses_an_owner_rule_without_a_team" {
  command         = plan
  expect_failures = [var.owners]

  variables {
    owners = [{ team = "", regions = ["eu-*"] }]
  }
}

run "refuses_an_owner_rule_with_an_empty_list" {
  command         = plan
  expect_failures = [var.owners]

  variables {
    owners = [{ team = "finops", regions = [] }]
  }
}

run "refuses_an_owner_rule_of_an_unknown_class" {
  command         = plan
  expect_failures = [var.owners]

  variables {
    owners = [{ team = "finops", egress_classes = ["wan"] }]
  }
}

run "refuses_an_owner_rule_of_a_short_account_id" {
  command         = plan
  expect_failures = [var.owners]

  variables {
    owners = [{ team = "finops", accounts = ["1234"] }]
  }
}

run "refuses_a_name_that_aws_would" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "Egress_Sentinel"
  }
}

run "switches_flow_logs_on" {
  variables {
    flow_logs = { vpc_ids = ["vpc-0a1b2c3d"], subnet_ids = ["subnet-0a1b2c3d"], max_aggregation_seconds = 60, account_ids = ["444455556666"] }
  }

  assert {
    condition     = output.flow_logs_bucket == "egress-sentinel-flow-logs-111122223333-eu-west-1"
    error_message = "Flow logs have a separate bucket."
  }

  assert {
    condition     = startswith(output.flow_log_format, "$${version} $${account-id} ") && strcontains(output.flow_log_format, "$${pkt-dst-aws-service} $${flow-direction} $${traffic-path}")
    error_message = "The format is that of AWS, with the fields of version 5."
  }

  assert {
    condition     = output.flow_hours_state_machine_arn != null && run.defaults.flow_hours_state_machine_arn == null
    error_message = "Where there are flow logs, a machine estimates from them."
  }

  assert {
    condition     = join(" ", module.flow_logs[0].writers) == "111122223333 444455556666"
    error_message = "Named accounts may deliver beside this one."
  }
}

run "reads_the_flow_logs_that_are_there" {
  command = plan

  variables {
    flow_logs = { existing = { bucket = "central-flow-logs", prefix = "network/" }, account_ids = ["444455556666"], regions = ["us-east-1"] }
  }

  assert {
    condition     = output.flow_logs_bucket == "central-flow-logs" && output.flow_log_format == null
    error_message = "An existing bucket is read, and nothing is switched on."
  }
}

run "refuses_flow_logs_of_nothing" {
  command         = plan
  expect_failures = [var.flow_logs]

  variables {
    flow_logs = {}
  }
}

run "refuses_to_switch_on_what_is_there" {
  command         = plan
  expect_failures = [var.flow_logs]

  variables {
    flow_logs = { vpc_ids = ["vpc-0a1b2c3d"], existing = { bucket = "central-flow-logs" } }
  }
}

run "refuses_an_aggregation_that_aws_has_not" {
  command         = plan
  expect_failures = [var.flow_logs]

  variables {
    flow_logs = { vpc_ids = ["vpc-0a1b2c3d"], max_aggregation_seconds = 300 }
  }
}

run "refuses_to_read_more_flow_logs_than_are_kept" {
  command         = plan
  expect_failures = [var.flow_logs]

  variables {
    flow_logs = { vpc_ids = ["vpc-0a1b2c3d"], days = 7, retention_days = 7 }
  }
}

run "refuses_a_prefix_that_is_no_folder" {
  command         = plan
  expect_failures = [var.flow_logs]

  variables {
    flow_logs = { existing = { bucket = "central-flow-logs", prefix = "/network" } }
  }
}

run "refuses_a_name_too_long_for_the_flow_logs_bucket" {
  command         = plan
  expect_failures = [var.flow_logs]

  variables {
    name      = "egress-sentinel-of-the-platform"
    flow_logs = { vpc_ids = ["vpc-0a1b2c3d"] }
  }
}

run "an_image_in_a_region_without_a_registry_entry" {
  command = plan

  variables {
    image_uri = "111122223333.dkr.ecr.mx-central-1.amazonaws.com/mine:1"
  }

  assert {
    condition     = length(data.aws_sagemaker_prebuilt_ecr_image.this) == 0
    error_message = "With an image of your own the provider's list of registries must not be asked."
  }
}

run "refuses_waits_longer_than_a_deployment_may_take" {
  command         = plan
  expect_failures = [var.realtime]

  variables {
    serverless = null
    realtime   = { deployment = { type = "linear", step_percent = 10, bake_seconds = 3000 } }
  }
}

run "refuses_a_wait_of_two_hours" {
  command         = plan
  expect_failures = [var.realtime]

  variables {
    serverless = null
    realtime   = { deployment = { bake_seconds = 7200 } }
  }
}

run "refuses_schedules_that_eventbridge_refuses" {
  command         = plan
  expect_failures = [var.schedule_expression, var.drift, var.flow_logs, var.retraining, var.digest]

  variables {
    schedule_expression = "rate(1 hours)"
    drift               = { schedule_expression = "cron(0 6 * * * *)" }
    flow_logs           = { vpc_ids = ["vpc-0a1b2c3d"], schedule_expression = "rate(2 hour)" }
    retraining          = { schedule_expression = "cron(0 5 ? * MON)" }
    digest              = { schedule_expression = "cron(0 8 * * TUE *)" }
  }
}

run "accepts_schedules_of_all_kinds" {
  command = plan

  variables {
    schedule_expression = "rate(2 hours)"
    drift               = { schedule_expression = "cron(0 6 * * ? *)" }
    flow_logs           = { vpc_ids = ["vpc-0a1b2c3d"], schedule_expression = "rate(1 hour)" }
    retraining          = { schedule_expression = "at(2026-12-31T05:00:00)" }
    digest              = { schedule_expression = "rate(7 days)" }
  }

  assert {
    condition     = output.endpoint_name == "egress-sentinel" && output.digest_function_name == "egress-sentinel-digest"
    error_message = "Schedules that EventBridge accepts must be accepted."
  }
}

run "refuses_environments_that_sagemaker_refuses" {
  command         = plan
  expect_failures = [var.environment]

  variables {
    environment = { LONG = join("", [for _ in range(513) : "xx"]) }
  }
}

run "refuses_a_long_value_of_few_characters" {
  command         = plan
  expect_failures = [var.environment]

  variables {
    environment = { LONG = join("", [for _ in range(600) : "ü"]) }
  }
}

run "refuses_an_environment_name_with_a_hyphen" {
  command         = plan
  expect_failures = [var.environment]

  variables {
    environment = { "LOG-LEVEL" = "20" }
  }
}

run "refuses_an_export_name_with_spaces" {
  command         = plan
  expect_failures = [var.data_export]

  variables {
    data_export = { name = "our egress" }
  }
}

run "uses_an_existing_bucket_and_key" {
  variables {
    existing    = { bucket = "bucket-of-ours", kms_key_arn = "arn:aws:kms:eu-west-1:111122223333:key/99999999-2222-3333-4444-555555555555" }
    data_export = { name = "egress" }
  }

  assert {
    condition     = output.bucket == "bucket-of-ours" && startswith(output.model_artifact, "s3://bucket-of-ours/models/")
    error_message = "The model must be uploaded into the existing bucket."
  }

  assert {
    condition     = strcontains(output.required_statements.bucket, "\"arn:aws:s3:::bucket-of-ours/*\"") && strcontains(output.required_statements.kms_key, "bcm-data-exports.amazonaws.com")
    error_message = "The output must have the statements that an export needs in the policies of the bucket and the key."
  }
}

run "refuses_tags_paths_and_arns_that_aws_refuses" {
  command         = plan
  expect_failures = [var.tags, var.role_path, var.permissions_boundary_arn, var.existing]

  variables {
    tags                     = { "aws:owner" = "finops" }
    role_path                = "finops"
    permissions_boundary_arn = "bounds"
    existing                 = { bucket = "s3://bucket-of-ours", kms_key_arn = "alias/ours" }
  }
}

run "batch_without_an_endpoint" {
  command = plan

  variables {
    endpoint = null
  }

  assert {
    condition     = output.endpoint_name == null && output.alerts_table == null && output.detector_function_name == null
    error_message = "Without an endpoint there are no endpoint, no alerts and no detector."
  }

  assert {
    condition     = output.batch_function_name == "egress-sentinel-batch" && output.registrar_function_name == "egress-sentinel-registrar"
    error_message = "Without an endpoint there are batch and the registry."
  }
}

run "refuses_what_requires_an_endpoint" {
  command         = plan
  expect_failures = [var.endpoint]

  variables {
    endpoint = null
    drift    = {}
  }
}

run "a_realtime_model_and_jobs_run_in_the_vpc_that_is_created" {
  variables {
    serverless  = null
    realtime    = {}
    vpc         = {}
    image_build = {}
    batch       = { runner = "aws_batch" }
  }

  assert {
    condition     = jsonencode(module.endpoint.network.subnet_ids) == jsonencode(module.vpc[0].subnet_ids) && module.endpoint.network.security_group_ids[0] == module.vpc[0].security_group_id
    error_message = "The endpoint's model must run in the subnets of the VPC."
  }

  assert {
    condition     = can(regex("^111122223333[.]dkr[.]ecr[.]eu-west-1[.]amazonaws[.]com/egress-sentinel:[0-9a-f]{16}$", output.built_image_uri))
    error_message = "The image's tag must be the hash of what is built."
  }
}

run "jobs_run_in_given_subnets" {
  command = plan

  variables {
    image_build = {}
    batch = {
      runner             = "aws_batch"
      subnet_ids         = ["subnet-0a1b2c3d"]
      security_group_ids = ["sg-0a1b2c3d"]
    }
  }

  assert {
    condition     = output.vpc_id == null
    error_message = "With given subnets there is no other VPC."
  }
}

run "refuses_aws_batch_without_a_network_and_an_image" {
  command         = plan
  expect_failures = [var.batch]

  variables {
    batch = { runner = "aws_batch" }
  }
}

run "refuses_memory_that_fargate_does_not_have" {
  command         = plan
  expect_failures = [var.batch]

  variables {
    batch = { vcpus = 2, memory_mb = 2048 }
  }
}

run "refuses_a_network_and_a_vpc" {
  command         = plan
  expect_failures = [var.vpc]

  variables {
    serverless = null
    realtime   = {}
    vpc        = {}
    network    = { subnet_ids = ["subnet-1"], security_group_ids = ["sg-1"] }
  }
}
