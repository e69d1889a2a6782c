provider "aws" {
  region = var.region
}

# All that is off by default: an export of the bill, a Slack channel, a budget for the service's own cost, a model in a VPC,
# a new model every week, drift, Feature Store, a weekly digest, and the changes before an incident.
module "egress_sentinel" {
  source = "../../"

  serverless = null
  realtime   = { instance_type = "ml.c6i.large", deployment = { type = "linear", step_percent = 25 } }
  network    = var.network

  cloudtrail         = {}
  data_export        = { name = "egress-sentinel" }
  subscriptions      = { emails = var.emails, slack = var.slack, teams = var.teams, chats = var.chats, pagerduty = var.pagerduty }
  owners             = var.owners
  monthly_budget_usd = 100
  digest             = {}
  alert_policy       = { min_excess_usd = 10, severity_usd_per_day = [100, 1000, 10000] }
  planned_events = [{
    note         = "media-prod moves to eu-central-1"
    from         = "2026-12-05T00:00:00Z"
    to           = "2026-12-07T00:00:00Z"
    egress_class = "inter_region"
    resource     = "*media-prod*"
    max_gb       = 500
  }]
  retraining        = { schedule_expression = var.retraining_schedule }
  feature_store     = { offline = true }
  drift             = { limits = { "*" = { psi = 0.15 } } }
  model_artifact    = var.model_artifact
  model_package_arn = var.model_package_arn
  force_destroy     = var.force_destroy
}
