variable "name" {
  description = "Prefix of every name, and the endpoint's name."
  type        = string
  default     = "egress-sentinel"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,29}[a-z0-9]$", var.name))
    error_message = "name is 3 to 31 lower-case letters, digits and hyphens, starting with a letter and not ending with a hyphen."
  }
}

variable "build_dir" {
  description = "Folder build/ of a release archive, or what `make package` wrote. Default: build/ beside this module."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything that takes tags, except objects in S3, which take 10; besides Project = name, which may be another value here."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition = length(var.tags) <= 40 && alltrue([
      for key, value in var.tags :
      can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{1,128}$", key)) && can(regex("^[\\p{L}\\p{Z}\\p{N}_.:/=+@-]{0,256}$", value)) && !startswith(lower(key), "aws:")
    ])
    error_message = "tags are at most 40, with keys of 1 to 128 and values of at most 256 letters, digits, spaces and _.:/=+@-; no key starts with aws:."
  }
}

variable "role_path" {
  description = "Path of the IAM roles."
  type        = string
  default     = "/"
  nullable    = false

  validation {
    condition     = can(regex("^/([!-~]+/)?$", var.role_path)) && length(var.role_path) <= 512
    error_message = "role_path is / or starts and ends with /, such as /teams/finops/."
  }
}

variable "permissions_boundary_arn" {
  description = "ARN of the policy that bounds every IAM role; null for none."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null || can(regex("^arn:[a-z-]+:iam::([0-9]{12}|aws):policy/.+$", var.permissions_boundary_arn))
    error_message = "permissions_boundary_arn is arn:aws:iam::ACCOUNT:policy/NAME."
  }
}

variable "existing" {
  description = "A bucket and a KMS key that exist already, in place of the module's. Their owner configures them, as the README describes."
  type        = object({ bucket = optional(string), kms_key_arn = optional(string) })
  default     = {}
  nullable    = false

  validation {
    condition     = var.existing.bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.existing.bucket))
    error_message = "existing.bucket is a bucket's name, without s3://."
  }

  validation {
    condition     = var.existing.kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.existing.kms_key_arn))
    error_message = "existing.kms_key_arn is arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "model_artifact" {
  description = "Model artifact to serve: s3://BUCKET/KEY.tar.gz, or a .tar.gz on this machine that is uploaded. Default: the starting model of `make package`."
  type        = string
  default     = null

  validation {
    condition     = var.model_artifact == null || can(regex("^s3://[a-z0-9.-]+/.+\\.tar\\.gz$", var.model_artifact)) || can(regex("^[^:]+\\.tar\\.gz$", var.model_artifact))
    error_message = "model_artifact is s3://BUCKET/KEY.tar.gz or the path of a .tar.gz on this machine."
  }

  validation {
    condition     = var.model_artifact == null || var.model_package_arn == null
    error_message = "model_artifact and model_package_arn exclude each other."
  }
}

variable "model_artifact_kms_key_arn" {
  description = "KMS key that encrypts model_artifact where it lies in a bucket of yours with another key; null where the module's key does."
  type        = string
  default     = null

  validation {
    condition     = var.model_artifact_kms_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.model_artifact_kms_key_arn))
    error_message = "model_artifact_kms_key_arn is arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "model_package_arn" {
  description = "ARN of an approved model package to serve in place of model_artifact."
  type        = string
  default     = null

  validation {
    condition     = var.model_package_arn == null || can(regex("^arn:[^:]+:sagemaker:[^:]+:[0-9]{12}:model-package/.+$", var.model_package_arn))
    error_message = "model_package_arn is arn:aws:sagemaker:REGION:ACCOUNT:model-package/GROUP/VERSION."
  }
}

variable "image_version" {
  description = "Version of SageMaker's scikit-learn image; the model must have been trained with the same scikit-learn major.minor."
  type        = string
  default     = "1.9-0"
  nullable    = false

  validation {
    condition     = can(regex("^[0-9]+\\.[0-9]+-[0-9]+$", var.image_version))
    error_message = "image_version is a scikit-learn image's version such as 1.9-0."
  }
}

variable "image_uri" {
  description = "A custom image in ECR, in place of image_version; it keeps the contract of SageMaker's containers."
  type        = string
  default     = null

  validation {
    condition     = var.image_uri == null || can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.[^/]+/[^:@]+[:@].+$", var.image_uri))
    error_message = "image_uri is ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG."
  }
}

variable "environment" {
  description = "Environment variables of the model's container, over the defaults: names of letters, digits and underscores, values of at most 1,024 bytes."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for name in keys(var.environment) : length(name) <= 1024 && can(regex("^[a-zA-Z_][a-zA-Z0-9_]*$", name))])
    error_message = "Names in environment are letters, digits and underscores, do not start with a digit, and have at most 1,024 characters."
  }

  # Three quarters of the length in base64 are bytes.
  validation {
    condition     = alltrue([for value in values(var.environment) : length(base64encode(value)) <= 1368 && length(value) <= 1024])
    error_message = "A value in environment has more than 1,024 bytes, and SageMaker refuses it; put the text into the model's artifact."
  }

  # SageMaker accepts 100; the module sets 5.
  validation {
    condition     = length(var.environment) <= 95
    error_message = "environment has more than 95 variables; SageMaker accepts 100, and the module sets 5."
  }
}

variable "endpoint" {
  description = "The endpoint and everything that requires one: detector, alerts, features and alarms. Null deploys storage, registry and batch alone: files are scored by the model of model_package_arn or model_artifact."
  type        = object({})
  default     = {}

  validation {
    condition = var.endpoint != null || alltrue([
      var.realtime == null, var.data_capture == null, var.data_export == null, var.monthly_budget_usd == null,
      var.retraining == null, var.drift == null, var.notebook == null, var.flow_logs == null,
      var.feature_store == null, var.digest == null,
    ])
    error_message = "endpoint = null deploys storage, registry and batch alone; realtime, data_capture, data_export, monthly_budget_usd, retraining, drift, notebook, flow_logs, feature_store and digest require an endpoint."
  }
}

variable "serverless" {
  description = "Serverless endpoint: memory_mb (1024 to 6144 in steps of 1024), max_concurrency (1 to 200), provisioned_concurrency. Null with realtime."
  type = object({
    memory_mb               = optional(number, 2048)
    max_concurrency         = optional(number, 5)
    provisioned_concurrency = optional(number)
  })
  default = {}

  validation {
    condition     = (var.serverless == null) != (var.realtime == null)
    error_message = "Exactly one of serverless and realtime is given; for a real-time endpoint set serverless = null."
  }

  validation {
    condition     = var.serverless == null || contains([1024, 2048, 3072, 4096, 5120, 6144], try(var.serverless.memory_mb, 0))
    error_message = "serverless.memory_mb is 1024, 2048, 3072, 4096, 5120 or 6144."
  }

  validation {
    condition     = var.serverless == null || try(var.serverless.max_concurrency >= 1 && var.serverless.max_concurrency <= 200, false)
    error_message = "serverless.max_concurrency is 1 to 200."
  }

  validation {
    condition     = try(var.serverless.provisioned_concurrency, null) == null || try(var.serverless.provisioned_concurrency >= 1 && var.serverless.provisioned_concurrency <= var.serverless.max_concurrency, false)
    error_message = "serverless.provisioned_concurrency is 1 to max_concurrency."
  }
}

variable "realtime" {
  description = "Real-time endpoint: instance_type, instance_count (the minimum with autoscaling), max_instance_count (autoscaling where given), invocations_per_instance a minute, and how a new model takes over (deployment: canary or linear)."
  type = object({
    instance_type            = optional(string, "ml.m5.large")
    instance_count           = optional(number, 1)
    max_instance_count       = optional(number)
    invocations_per_instance = optional(number, 600)
    deployment = optional(object({
      type         = optional(string, "canary")
      step_percent = optional(number, 50)
      bake_seconds = optional(number, 300)
    }), {})
  })
  default = null

  validation {
    condition     = var.realtime == null || can(regex("^ml\\.[a-z0-9-]+\\.[a-z0-9]+$", try(var.realtime.instance_type, "")))
    error_message = "realtime.instance_type is a SageMaker instance type such as ml.m5.large."
  }

  validation {
    condition     = var.realtime == null || try(var.realtime.instance_count >= 1 && coalesce(var.realtime.max_instance_count, var.realtime.instance_count) >= var.realtime.instance_count, false)
    error_message = "realtime.instance_count is at least 1 and at most max_instance_count."
  }

  validation {
    condition     = var.realtime == null || contains(["canary", "linear"], try(var.realtime.deployment.type, ""))
    error_message = "realtime.deployment.type is canary or linear."
  }

  validation {
    condition     = var.realtime == null || try(var.realtime.deployment.step_percent >= 10 && var.realtime.deployment.step_percent <= 50, false)
    error_message = "realtime.deployment.step_percent is 10 to 50."
  }

  validation {
    condition     = var.realtime == null || try(var.realtime.deployment.bake_seconds >= 0 && var.realtime.deployment.bake_seconds <= 3600, false)
    error_message = "realtime.deployment.bake_seconds is 0 to 3600."
  }

  # SageMaker stops a deployment after 28,800 seconds: all waits, and half an hour for the instances to start.
  validation {
    condition = var.realtime == null || try(
      var.realtime.deployment.type != "linear" ||
      (ceil(100 / var.realtime.deployment.step_percent) + 1) * var.realtime.deployment.bake_seconds <= 27000, false
    )
    error_message = "realtime.deployment waits bake_seconds after each step and once at the end, more than 27,000 seconds in all; SageMaker stops a deployment after 28,800. Choose a larger step_percent or a smaller bake_seconds."
  }
}

variable "network" {
  description = "Subnets and security groups for the model of a real-time endpoint and of batch jobs, and whether its container is cut off from the network."
  type = object({
    subnet_ids               = list(string)
    security_group_ids       = list(string)
    enable_network_isolation = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.network == null || var.serverless == null || var.endpoint == null
    error_message = "Serverless endpoints have neither a VPC nor network isolation; set serverless = null and realtime."
  }

  validation {
    condition     = var.network == null || try(length(var.network.subnet_ids) > 0 && length(var.network.security_group_ids) > 0, false)
    error_message = "network has at least one subnet and one security group."
  }
}

variable "data_capture" {
  description = "Share of a real-time endpoint's requests and answers, in percent, to keep under capture/ in the bucket."
  type        = object({ sampling_percentage = number })
  default     = null

  validation {
    condition     = var.data_capture == null || var.serverless == null
    error_message = "Serverless endpoints have no data capture; set serverless = null and realtime."
  }

  validation {
    condition     = var.data_capture == null || try(var.data_capture.sampling_percentage >= 1 && var.data_capture.sampling_percentage <= 100, false)
    error_message = "data_capture.sampling_percentage is 1 to 100."
  }
}

variable "alert_policy" {
  description = "When anomalous hours become an alert: floors in dollars, GB (where the bill shows $0) and percent, times the largest excess of the last five weeks, the largest share of training hours that score as low, hours that an incident lasts for its floor to be the one stated, hours within which its series reopen an incident, hours between siblings, hours of data without an incident after which it has ended, least hours of data between two notifications of an alert, whether its end is notified, and dollars above expected (in a day or in all) from which it is medium, high, critical, the share of the account's expected dollars a day from which it is at least medium; and overrides of the floors, of this share and of these dollars for an account, an egress class or both, of which the most specific wins."
  type = object({
    min_excess_usd         = optional(number, 5)
    min_excess_gb          = optional(number, 2)
    min_excess_percent     = optional(number, 30)
    min_times_usual_excess = optional(number, 2.5)
    max_p_value            = optional(number, 0.05)
    lasting_hours          = optional(number, 12)
    incident_gap_hours     = optional(number, 168)
    sibling_hours          = optional(number, 12)
    ended_after_hours      = optional(number, 24)
    notify_again_hours     = optional(number, 6)
    notify_ended           = optional(bool, false)
    severity_usd_per_day   = optional(list(number), [50, 500, 5000])

    medium_share_of_expected = optional(number, 1)

    overrides = optional(list(object({
      account              = optional(string)
      egress_class         = optional(string)
      min_excess_usd       = optional(number)
      min_excess_gb        = optional(number)
      min_excess_percent   = optional(number)
      severity_usd_per_day = optional(list(number))

      medium_share_of_expected = optional(number)
    })), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = min(var.alert_policy.min_excess_usd, var.alert_policy.min_excess_gb, var.alert_policy.min_excess_percent, var.alert_policy.min_times_usual_excess, var.alert_policy.sibling_hours, var.alert_policy.notify_again_hours, var.alert_policy.medium_share_of_expected) >= 0
    error_message = "The floors of alert_policy, min_times_usual_excess, sibling_hours, notify_again_hours and medium_share_of_expected are at least 0."
  }

  validation {
    condition     = var.alert_policy.incident_gap_hours >= 24
    error_message = "alert_policy.incident_gap_hours is at least 24, the hours in which an incident gathers its floor."
  }

  validation {
    condition     = var.alert_policy.ended_after_hours >= 1
    error_message = "alert_policy.ended_after_hours is at least 1."
  }

  validation {
    condition = length(var.alert_policy.severity_usd_per_day) == 3 && try(
      0 < var.alert_policy.severity_usd_per_day[0] &&
      var.alert_policy.severity_usd_per_day[0] < var.alert_policy.severity_usd_per_day[1] &&
      var.alert_policy.severity_usd_per_day[1] < var.alert_policy.severity_usd_per_day[2], false
    )
    error_message = "alert_policy.severity_usd_per_day is three rising dollars a day, such as [50, 500, 5000]."
  }

  validation {
    condition = alltrue([
      for o in var.alert_policy.overrides : (
        (o.account != null || o.egress_class != null) &&
        can(regex("^[0-9]{12}$", coalesce(o.account, "000000000000"))) &&
        contains([
          "internet", "inter_region", "inter_az", "cloudfront", "cloudfront_origin", "direct_connect", "vpn", "nat_gateway", "transit_gateway",
          "vpc_endpoint", "vpc_lattice", "classic_load_balancer", "global_accelerator", "s3_acceleration", "s3_replication_time_control",
          "s3_mrap", "unclassified_transfer",
        ], coalesce(o.egress_class, "internet"))
      )
    ])
    error_message = "Each of alert_policy.overrides has an account (12 digits), an egress_class, or both; classes are internet, inter_region, inter_az, cloudfront, cloudfront_origin, direct_connect, vpn, nat_gateway, transit_gateway, vpc_endpoint, vpc_lattice, classic_load_balancer, global_accelerator, s3_acceleration, s3_replication_time_control, s3_mrap and unclassified_transfer."
  }

  validation {
    condition = alltrue([
      for o in var.alert_policy.overrides :
      length([for value in [o.min_excess_usd, o.min_excess_gb, o.min_excess_percent, o.medium_share_of_expected, o.severity_usd_per_day] : value if value != null]) > 0 &&
      alltrue([for floor in [o.min_excess_usd, o.min_excess_gb, o.min_excess_percent, o.medium_share_of_expected] : floor >= 0 if floor != null])
    ])
    error_message = "Each of alert_policy.overrides has at least one of min_excess_usd, min_excess_gb, min_excess_percent and medium_share_of_expected (each at least 0) and severity_usd_per_day."
  }

  validation {
    condition = length(var.alert_policy.overrides) == length(distinct([
      for o in var.alert_policy.overrides : "${coalesce(o.account, "any")} ${coalesce(o.egress_class, "any")}"
    ]))
    error_message = "alert_policy.overrides has two entries for the same account and egress_class; put their floors into one."
  }

  validation {
    condition = alltrue([
      for o in var.alert_policy.overrides : o.severity_usd_per_day == null || try(
        length(o.severity_usd_per_day) == 3 && 0 < o.severity_usd_per_day[0] &&
        o.severity_usd_per_day[0] < o.severity_usd_per_day[1] && o.severity_usd_per_day[1] < o.severity_usd_per_day[2], false
      )
    ])
    error_message = "severity_usd_per_day of each of alert_policy.overrides is three rising dollars a day, such as [50, 500, 5000]."
  }

  # The variables of a Lambda function have 4 KB together.
  validation {
    condition     = length(jsonencode([for o in var.alert_policy.overrides : { for k, v in o : k => v if v != null }])) <= 2500
    error_message = "alert_policy.overrides is more than 2,500 bytes of JSON (about 25 entries), and the function's environment holds no more; use an egress_class alone where many accounts have the same floor."
  }
}

variable "planned_events" {
  description = "Expected transfers that are no incident while they keep to the plan, as `egress-sentinel planned FILE --json` prints them: note, from and to (UTC hours such as 2026-10-14T00:00:00Z, half-open), at most max_gb or max_usd above expected, and account, region, egress_class, resource (with the wildcards * and ?), each any by default."
  type = list(object({
    note         = string
    from         = string
    to           = string
    account      = optional(string)
    region       = optional(string)
    egress_class = optional(string)
    resource     = optional(string)
    max_gb       = optional(number)
    max_usd      = optional(number)
  }))
  default  = []
  nullable = false

  validation {
    condition = alltrue([
      for event in var.planned_events :
      try(timecmp(event.from, event.to) < 0, false) &&
      can(regex("T[0-9]{2}:00:00(Z|[+-][0-9]{2}:00)$", event.from)) && can(regex("T[0-9]{2}:00:00(Z|[+-][0-9]{2}:00)$", event.to))
    ])
    error_message = "Each of planned_events has from and to as whole hours such as 2026-10-14T08:00:00Z, from before to."
  }

  validation {
    condition     = alltrue([for event in var.planned_events : try(coalesce(event.max_gb, event.max_usd) >= 0, false) && event.note != ""])
    error_message = "Each of planned_events has a note, and max_gb or max_usd of at least 0: else it would hide anything."
  }

  validation {
    condition = alltrue([
      for event in var.planned_events :
      can(regex("^[0-9]{12}$", coalesce(event.account, "000000000000"))) &&
      contains([
        "internet", "inter_region", "inter_az", "cloudfront", "cloudfront_origin", "direct_connect", "vpn", "nat_gateway", "transit_gateway",
        "vpc_endpoint", "vpc_lattice", "classic_load_balancer", "global_accelerator", "s3_acceleration", "s3_replication_time_control",
        "s3_mrap", "unclassified_transfer",
      ], coalesce(event.egress_class, "internet"))
    ])
    error_message = "The account of planned_events is 12 digits, and egress_class one of those of alert_policy.overrides."
  }
}

variable "cloudtrail" {
  description = "Looks up the write events of CloudTrail in this account before each new incident, and names up to three likely changes in its alert: an empty object to switch it on (no trail is needed; the last 90 days are read in the incident's region); null for none."
  type        = object({})
  default     = null
}

variable "owners" {
  description = "Rules that give an alert its owner, as `egress-sentinel owners FILE --json` prints them. The first rule that matches decides. A rule has a team, optionally a channel, and the conditions tags (by key), accounts (ids or names), regions, egress_classes and resources, with the wildcards * and ?. Without a rule that matches, a tag owner or team is the owner."
  type = list(object({
    team           = string
    channel        = optional(string)
    tags           = optional(map(string))
    accounts       = optional(list(string))
    regions        = optional(list(string))
    egress_classes = optional(list(string))
    resources      = optional(list(string))
  }))
  default  = []
  nullable = false

  validation {
    condition     = alltrue([for rule in var.owners : can(regex("^[^[:cntrl:]]{1,100}$", rule.team)) && can(regex("^[^[:cntrl:]]{0,100}$", coalesce(rule.channel, " ")))])
    error_message = "Each of owners has a team, and may have a channel, of at most 100 characters on one line."
  }

  validation {
    condition = alltrue([
      for rule in slice(var.owners, 0, max(length(var.owners) - 1, 0)) :
      anytrue([for condition in [rule.tags, rule.accounts, rule.regions, rule.egress_classes, rule.resources] : condition != null])
    ])
    error_message = "A rule of owners without a condition matches every alert, so it is the last one."
  }

  validation {
    condition = alltrue([
      for rule in var.owners : alltrue([
        for patterns in [rule.accounts, rule.regions, rule.egress_classes, rule.resources] :
        patterns == null ? true : length(patterns) > 0 && !contains(patterns, "")
      ]) && !contains(values(coalesce(rule.tags, {})), "")
    ])
    error_message = "Each list of owners has at least one text, and no text is empty. Leave out a condition that is not needed."
  }

  validation {
    condition     = alltrue([for account in flatten([for rule in var.owners : coalesce(rule.accounts, [])]) : !can(regex("^[0-9]+$", account)) || length(account) == 12])
    error_message = "An account id of owners is 12 digits."
  }

  validation {
    condition = alltrue([
      for class in flatten([for rule in var.owners : coalesce(rule.egress_classes, [])]) :
      contains([
        "internet", "inter_region", "inter_az", "cloudfront", "cloudfront_origin", "direct_connect", "vpn", "nat_gateway", "transit_gateway",
        "vpc_endpoint", "vpc_lattice", "classic_load_balancer", "global_accelerator", "s3_acceleration", "s3_replication_time_control",
        "s3_mrap", "unclassified_transfer",
      ], class)
    ])
    error_message = "egress_classes of owners are those of alert_policy.overrides."
  }
}

variable "subscriptions" {
  description = "Who is notified. emails and https_urls get every alert and alarm, as do a Slack and a Microsoft Teams channel of Amazon Q Developer in chat applications. Each of chats, by name, is a channel of Slack, of Teams or both that gets the alerts of its filter_policy and no alarms. Each of filtered is a subscription with a protocol, an endpoint and a filter_policy (JSON over the attributes severity, state, account, region, class, kind, team and channel). Each of pagerduty and webhooks, by name, has the ARN of a secret in Secrets Manager and optionally a filter_policy."
  type = object({
    emails     = optional(list(string), [])
    https_urls = optional(list(string), [])
    slack      = optional(object({ team_id = string, channel_id = string }))
    teams      = optional(object({ tenant_id = string, team_id = string, channel_id = string }))
    chats = optional(map(object({
      slack         = optional(object({ team_id = string, channel_id = string }))
      teams         = optional(object({ tenant_id = string, team_id = string, channel_id = string }))
      filter_policy = optional(string)
    })), {})
    filtered = optional(list(object({
      protocol              = string
      endpoint              = string
      filter_policy         = optional(string)
      raw_message_delivery  = optional(bool)
      subscription_role_arn = optional(string)
    })), [])
    pagerduty = optional(map(object({ secret_arn = string, secret_kms_key_arn = optional(string), filter_policy = optional(string) })), {})
    webhooks  = optional(map(object({ secret_arn = string, secret_kms_key_arn = optional(string), filter_policy = optional(string) })), {})
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for address in var.subscriptions.emails : can(regex("^[^@ ]+@[^@ ]+\\.[^@ ]+$", address))])
    error_message = "subscriptions.emails are e-mail addresses."
  }

  validation {
    condition     = alltrue([for url in var.subscriptions.https_urls : startswith(url, "https://")])
    error_message = "subscriptions.https_urls start with https://."
  }

  validation {
    condition = alltrue([
      for each in var.subscriptions.filtered : can(regex({
        email    = "^[^@ ]+@[^@ ]+\\.[^@ ]+$"
        https    = "^https://"
        sqs      = "^arn:[^:]+:sqs:"
        lambda   = "^arn:[^:]+:lambda:"
        firehose = "^arn:[^:]+:firehose:"
        sms      = "^\\+[0-9]{5,15}$"
      }[each.protocol], each.endpoint))
    ])
    error_message = "Each of subscriptions.filtered has the protocol email, https, sqs, lambda, firehose or sms, and an endpoint of that protocol."
  }

  validation {
    condition     = alltrue([for each in var.subscriptions.filtered : !coalesce(each.raw_message_delivery, false) || contains(["https", "sqs", "firehose"], each.protocol)])
    error_message = "raw_message_delivery of subscriptions.filtered is for https, sqs and firehose alone."
  }

  validation {
    condition     = alltrue([for each in var.subscriptions.filtered : (each.subscription_role_arn != null) == (each.protocol == "firehose")])
    error_message = "A firehose of subscriptions.filtered, and nothing else, has a subscription_role_arn."
  }

  validation {
    condition     = length(distinct([for each in var.subscriptions.filtered : [each.protocol, each.endpoint]])) == length(var.subscriptions.filtered)
    error_message = "Each endpoint of subscriptions.filtered is named once; one filter_policy may list several values."
  }

  # SNS: at most five attributes and 150 combinations of values; `severity` is added where it is missing.
  validation {
    condition = alltrue([
      for policy in compact(concat(
        var.subscriptions.filtered[*].filter_policy, values(var.subscriptions.chats)[*].filter_policy, values(var.subscriptions.pagerduty)[*].filter_policy, values(var.subscriptions.webhooks)[*].filter_policy,
      )) :
      try(
        length(setsubtract(keys(jsondecode(policy)), ["severity", "state", "account", "region", "class", "kind", "team", "channel"])) == 0 &&
        length(setunion(keys(jsondecode(policy)), ["severity"])) <= 5 &&
        alltrue([for values in values(jsondecode(policy)) : length([for value in values : value]) > 0 && startswith(jsonencode(values), "[")]),
        false
      )
    ])
    error_message = "A filter_policy of subscriptions is jsonencode of lists, each by one of severity, state, account, region, class, kind, team and channel: at most five with severity, such as jsonencode({ team = [\"team-media\"] })."
  }

  validation {
    condition = alltrue([
      for policy in compact(concat(
        var.subscriptions.filtered[*].filter_policy, values(var.subscriptions.chats)[*].filter_policy, values(var.subscriptions.pagerduty)[*].filter_policy, values(var.subscriptions.webhooks)[*].filter_policy,
      )) :
      try(
        alltrue([for severity in jsondecode(policy).severity : can(tostring(severity)) ? contains(["low", "medium", "high", "critical"], severity) : true]),
        true
      )
    ])
    error_message = "The severity of a filter_policy is low, medium, high or critical."
  }

  validation {
    condition = alltrue([
      for names in [concat(keys(var.subscriptions.chats), keys(var.subscriptions.pagerduty), keys(var.subscriptions.webhooks))] :
      length(distinct(names)) == length(names) && alltrue([for name in names : can(regex("^[a-z0-9-]{1,14}$", name)) && name != "chat"])
    ])
    error_message = "The names of subscriptions.chats, pagerduty and webhooks are 1 to 14 lower-case letters, digits and hyphens, differ from each other, and are not chat."
  }

  validation {
    condition     = alltrue([for each in values(var.subscriptions.chats) : each.slack != null || each.teams != null])
    error_message = "Each of subscriptions.chats has slack, teams or both."
  }

  validation {
    condition = alltrue([
      for each in concat(values(var.subscriptions.pagerduty), values(var.subscriptions.webhooks)) :
      can(regex("^arn:[^:]+:secretsmanager:", each.secret_arn)) && can(regex("^arn:[^:]+:kms:[^:]+:[0-9]+:key/", coalesce(each.secret_kms_key_arn, "arn:x:kms:x:0:key/")))
    ])
    error_message = "secret_arn of subscriptions is the ARN of a secret in Secrets Manager, and secret_kms_key_arn that of a key."
  }
}

variable "schedule_expression" {
  description = "When the last 48 hours are scored again, besides whenever a file of features arrives."
  type        = string
  default     = "rate(1 hour)"
  nullable    = false

  validation {
    condition     = can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\([^ ()]+ [^ ()]+ ([^ ()?]+ [^ ()]+ \\?|\\? [^ ()]+ [^ ()?]+) [^ ()]+\\))$", var.schedule_expression))
    error_message = "schedule_expression is rate(1 hour), rate(2 hours) or a cron(...) of six fields with ? for the day of the month or of the week."
  }
}

variable "digest" {
  description = "A weekly digest to the alerts topic: new, ongoing and ended incidents, their owners, missing verdicts, and costs by kind of data transfer and account against the week before. When it is published; it covers the last whole week, Monday to Sunday (UTC), and a week is published once. Null for none."
  type = object({
    schedule_expression = optional(string, "cron(0 8 ? * TUE *)")
  })
  default = null

  validation {
    condition     = var.digest == null || can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\([^ ()]+ [^ ()]+ ([^ ()?]+ [^ ()]+ \\?|\\? [^ ()]+ [^ ()?]+) [^ ()]+\\))$", try(var.digest.schedule_expression, "")))
    error_message = "digest.schedule_expression is rate(7 days) or a cron(...) of six fields with ? for the day of the month or of the week, such as cron(0 8 ? * TUE *)."
  }
}

variable "detector_memory_mb" {
  description = "Memory of the Lambda function in MB."
  type        = number
  default     = 1024
  nullable    = false

  validation {
    condition     = var.detector_memory_mb >= 512 && var.detector_memory_mb <= 10240
    error_message = "detector_memory_mb is 512 to 10240."
  }
}

variable "alarms" {
  description = "When alarms ring: hours without a scored row (1 to 24; from the first scored row on), dollars a day at stake, model latency in milliseconds (p90)."
  type = object({
    no_data_hours        = optional(number, 24)
    usd_per_day_at_stake = optional(number, 500)
    max_latency_ms       = optional(number, 10000)
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.alarms.no_data_hours >= 1 && var.alarms.no_data_hours <= 24
    error_message = "alarms.no_data_hours is 1 to 24: CloudWatch looks back one day at most."
  }
}

variable "log_retention_days" {
  description = "Days that logs are kept; a number that CloudWatch Logs knows."
  type        = number
  default     = 365
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days is 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365 or one of CloudWatch's longer ones."
  }
}

variable "scored_retention_days" {
  description = "Days that scored rows are kept, and the lists of contributors and alerts that an alert or a notification names."
  type        = number
  default     = 400
  nullable    = false

  validation {
    condition     = var.scored_retention_days >= 30
    error_message = "scored_retention_days is at least 30."
  }
}

variable "max_scanned_gb" {
  description = "GB that an Athena query may scan before it is stopped."
  type        = number
  default     = 50
  nullable    = false

  validation {
    condition     = var.max_scanned_gb >= 1
    error_message = "max_scanned_gb is at least 1."
  }
}

variable "data_export" {
  description = "A CUR 2.0 export to create (hourly, with resource ids) under exports/; null where there is one already. Data Exports live in us-east-1."
  type        = object({ name = string })
  default     = null

  validation {
    condition     = var.data_export == null || can(regex("^[0-9A-Za-z_.-]{1,128}$", try(var.data_export.name, "")))
    error_message = "data_export.name is 1 to 128 letters, digits, hyphens, dots and underscores."
  }
}

variable "monthly_budget_usd" {
  description = "Budget for the service's own cost, by the tag Project (activate it as a cost allocation tag); null for none."
  type        = number
  default     = null
}

variable "notebook" {
  description = "A SageMaker notebook instance with the project installed; null for none."
  type = object({
    repository_url     = string
    instance_type      = optional(string, "ml.t3.medium")
    volume_gb          = optional(number, 20)
    subnet_id          = optional(string)
    security_group_ids = optional(list(string), [])
  })
  default = null

  validation {
    condition     = var.notebook == null || can(regex("^https://.+", try(var.notebook.repository_url, "")))
    error_message = "notebook.repository_url is the https:// address of a git repository."
  }
}

variable "feature_store" {
  description = "A feature group of SageMaker Feature Store with the latest features of each series, which the detector writes: ttl_days after its last hour a series leaves the online store, offline also keeps every record under feature-store/ in the bucket; null for none."
  type = object({
    ttl_days = optional(number, 35)
    offline  = optional(bool, false)
  })
  default = null

  validation {
    condition     = var.feature_store == null || try(var.feature_store.ttl_days >= 1 && floor(var.feature_store.ttl_days) == var.feature_store.ttl_days, false)
    error_message = "feature_store.ttl_days is a whole number of days, 1 or more."
  }
}

variable "retraining" {
  description = "A state machine that makes the features of the last features_days from the billing export (0: it takes the files under features/ as they are), trains a new model on them, judges it on the last share of their time range and registers it for approval: when it runs (empty: only when asked), alarms that start it, instance, seconds at most, hyperparameters; null for none."
  type = object({
    schedule_expression  = optional(string, "rate(7 days)")
    features_days        = optional(number, 60)
    start_alarm_names    = optional(list(string), [])
    instance_type        = optional(string, "ml.m5.large")
    max_training_seconds = optional(number, 3600)
    holdout_share        = optional(number, 0.2)
    hyperparameters      = optional(map(string), {})
  })
  default = null

  validation {
    condition     = var.retraining == null || can(regex("^(|at\\([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\)|rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\([^ ()]+ [^ ()]+ ([^ ()?]+ [^ ()]+ \\?|\\? [^ ()]+ [^ ()?]+) [^ ()]+\\))$", var.retraining.schedule_expression))
    error_message = "retraining.schedule_expression is rate(1 hour), rate(2 hours) or a cron(...) of six fields with ? for the day of the month or of the week, at(2026-12-31T05:00:00), or empty for only when asked."
  }

  validation {
    condition     = var.retraining == null || try(var.retraining.holdout_share > 0 && var.retraining.holdout_share <= 0.5, false)
    error_message = "retraining.holdout_share is above 0 and at most 0.5: without held-out rows, the quality checks fail."
  }

  validation {
    condition     = var.retraining == null || try(var.retraining.max_training_seconds >= 60 && var.retraining.max_training_seconds <= 432000, false)
    error_message = "retraining.max_training_seconds is 60 to 432000."
  }

  validation {
    condition     = var.retraining == null || try(var.retraining.features_days == 0 || (var.retraining.features_days >= 14 && var.retraining.features_days <= 90), false)
    error_message = "retraining.features_days is 14 to 90 (Athena writes at most 100 partitions at once), or 0."
  }
}

variable "drift" {
  description = "A function that compares each day's rows with the rows that the model was trained on: when it runs (null: 06:00 UTC, or each hour at minute 20), whether it judges a day or an hour, its source (scored: the detector's rows, or capture: a real-time endpoint's data capture), limits by feature, key or anomaly_score (* for every one; jsondecode(file(...)) reads them from one file), whether it also publishes feature_baseline_drift_<name> for each feature as Model Monitor does (up to $0.30 a month each), whether its alarm starts retraining; null for none. Turn it on with the first model that is trained on your bill: the starting model knows another one."
  type = object({
    schedule_expression = optional(string)
    window              = optional(string, "day")
    source              = optional(string, "scored")
    limits = optional(map(object({
      psi                = optional(number)
      ks                 = optional(number)
      mean_deviations    = optional(number)
      missing_share      = optional(number)
      out_of_range_share = optional(number)
      flagged_share      = optional(number)
    })), {})
    feature_metrics   = optional(bool, false)
    starts_retraining = optional(bool, true)
  })
  default = null

  validation {
    condition     = try(var.drift.schedule_expression, null) == null || try(can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\([^ ()]+ [^ ()]+ ([^ ()?]+ [^ ()]+ \\?|\\? [^ ()]+ [^ ()?]+) [^ ()]+\\))$", var.drift.schedule_expression)), false)
    error_message = "drift.schedule_expression is rate(1 hour), rate(2 hours) or a cron(...) of six fields with ? for the day of the month or of the week."
  }

  validation {
    condition     = var.drift == null || try(contains(["scored", "capture"], var.drift.source), false)
    error_message = "drift.source is scored or capture."
  }

  validation {
    condition     = var.drift == null || try(var.drift.window == "day" || (var.drift.window == "hour" && var.drift.source == "capture"), false)
    error_message = "drift.window is day, or hour with source = \"capture\": the detector's rows are judged once their day's bill has settled."
  }

  validation {
    condition     = try(var.drift.source, "scored") != "capture" || var.data_capture != null
    error_message = "drift.source is capture, but data_capture is null: there would be nothing to read."
  }

  validation {
    condition     = alltrue(flatten([for limits in values(try(var.drift.limits, {})) : [for limit in values(limits) : limit == null || try(limit >= 0, false)]]))
    error_message = "drift.limits are numbers from 0."
  }
}

variable "features_pipeline" {
  description = "What a run of the feature query does when an export arrives: days that it writes anew (1 to 90), and months of the export that it reads for them (2 to 12; an hour is held against the nine weeks before it). alert_tags are the names of the resource tags that alerts show, in any case and with any separators; cost categories are all shown."
  type = object({
    days       = optional(number, 3)
    months     = optional(number, 4)
    alert_tags = optional(list(string), ["application", "cost-center", "department", "environment", "name", "owner", "project", "service", "team"])
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.features_pipeline.days >= 1 && var.features_pipeline.days <= 90
    error_message = "features_pipeline.days is 1 to 90: Athena writes at most 100 partitions at once."
  }

  validation {
    condition     = var.features_pipeline.months >= 2 && var.features_pipeline.months <= 12
    error_message = "features_pipeline.months is 2 to 12: Athena counts at most 10,000 hours one by one."
  }

  validation {
    condition     = length(var.features_pipeline.alert_tags) <= 50 && alltrue([for name in var.features_pipeline.alert_tags : can(regex("^[\\p{L}\\p{N} +=._:/@-]{1,128}$", name))])
    error_message = "features_pipeline.alert_tags are at most 50 names of tags: letters, digits, spaces and + - = . _ : / @."
  }
}

variable "flow_logs" {
  description = "VPC Flow Logs, in parquet, by the hour: vpc_ids and subnet_ids to switch them on for, into a separate bucket (longest span of a record 60 or 600 seconds, days that they are kept), or the existing bucket that has them already (Hive-compatible folders, its prefix and its KMS key, if any). Besides this account and region, account_ids and regions whose logs lie there or may be delivered there. When hours that the bill has not reached are estimated from them, and how many days of them that reads (2 to 14). Null for none."
  type = object({
    vpc_ids                 = optional(list(string), [])
    subnet_ids              = optional(list(string), [])
    max_aggregation_seconds = optional(number, 600)
    retention_days          = optional(number, 14)
    existing                = optional(object({ bucket = string, prefix = optional(string, ""), kms_key_arn = optional(string) }))
    account_ids             = optional(list(string), [])
    regions                 = optional(list(string), [])
    days                    = optional(number, 4)
    schedule_expression     = optional(string, "cron(20 * * * ? *)")
  })
  default = null

  validation {
    condition     = var.flow_logs == null || try((length(var.flow_logs.vpc_ids) + length(var.flow_logs.subnet_ids) > 0) != (var.flow_logs.existing != null), false)
    error_message = "flow_logs has either vpc_ids or subnet_ids to switch flow logs on for, or the existing bucket that has them."
  }

  validation {
    condition     = var.flow_logs == null || try(contains([60, 600], var.flow_logs.max_aggregation_seconds), false)
    error_message = "flow_logs.max_aggregation_seconds is 60 or 600."
  }

  validation {
    condition     = var.flow_logs == null || try(var.flow_logs.days >= 2 && var.flow_logs.days <= 14 && var.flow_logs.retention_days > var.flow_logs.days, false)
    error_message = "flow_logs.days is 2 to 14, and retention_days more than that: estimates reach back to where the bill is complete."
  }

  validation {
    condition     = var.flow_logs == null || can(regex("^(rate\\((1 (minute|hour|day)|([2-9]|[1-9][0-9]+) (minutes|hours|days))\\)|cron\\([^ ()]+ [^ ()]+ ([^ ()?]+ [^ ()]+ \\?|\\? [^ ()]+ [^ ()?]+) [^ ()]+\\))$", var.flow_logs.schedule_expression))
    error_message = "flow_logs.schedule_expression is rate(1 hour), rate(2 hours) or a cron(...) of six fields with ? for the day of the month or of the week."
  }

  validation {
    condition     = try(var.flow_logs.existing, null) == null || can(regex("^(|[^/].*/)$", var.flow_logs.existing.prefix))
    error_message = "flow_logs.existing.prefix is the part of the key before AWSLogs/. It must be empty, or end with /."
  }

  validation {
    condition = alltrue([
      for id in try(concat(var.flow_logs.vpc_ids, var.flow_logs.subnet_ids), []) : can(regex("^(vpc|subnet)-[0-9a-f]+$", id))
    ])
    error_message = "flow_logs.vpc_ids and subnet_ids are ids such as vpc-0a1b2c3d and subnet-0a1b2c3d."
  }

  validation {
    condition     = alltrue([for id in try(var.flow_logs.account_ids, []) : can(regex("^[0-9]{12}$", id))])
    error_message = "flow_logs.account_ids are 12 digits each."
  }

  # A bucket's name has 63 characters: this one's is the name, -flow-logs-, the account and the region.
  validation {
    condition     = try(var.flow_logs.existing, null) != null || var.flow_logs == null || length(var.name) <= 25
    error_message = "With flow_logs, name is at most 25 characters: the bucket's name would be too long."
  }
}

variable "force_destroy" {
  description = "Whether destroying may remove the alerts table and a bucket that still holds objects."
  type        = bool
  default     = false
  nullable    = false
}

variable "vpc" {
  description = "A VPC to create, without a route to the internet, for the model of a real-time endpoint and for jobs: its addresses and its availability zones (1 to 3). It has endpoints for S3, SageMaker's runtime and CloudWatch Logs, and with AWS Batch for ECR. Null for none."
  type = object({
    cidr  = optional(string, "10.83.0.0/20")
    zones = optional(number, 2)
  })
  default = null

  validation {
    condition     = var.vpc == null || var.network == null
    error_message = "vpc creates a network and network names one; give one of them."
  }
}

variable "image_build" {
  description = "An ECR repository and a CodeBuild project that build the repository's Dockerfile on SageMaker's scikit-learn image of image_version. The output image_build_command starts a build, built_image_uri is the image that it pushes. Null for none."
  type        = object({})
  default     = null
}

variable "batch" {
  description = "What scores files under batch/input/: runner is sagemaker (transform jobs) or aws_batch, which also runs files of at least large_file_mb on AWS Batch (Fargate): a job's CPUs, memory and disk, CPUs of all jobs, seconds of an attempt, subnets and security groups (default: those of vpc), and the image (default: that of image_build)."
  type = object({
    runner             = optional(string, "sagemaker")
    large_file_mb      = optional(number, 1000)
    vcpus              = optional(number, 2)
    memory_mb          = optional(number, 8192)
    disk_gb            = optional(number, 100)
    max_vcpus          = optional(number, 16)
    timeout_seconds    = optional(number, 43200)
    subnet_ids         = optional(list(string), [])
    security_group_ids = optional(list(string), [])
    image_uri          = optional(string)
  })
  default  = {}
  nullable = false

  validation {
    condition     = contains(["sagemaker", "aws_batch"], var.batch.runner)
    error_message = "batch.runner is sagemaker or aws_batch."
  }

  validation {
    condition     = var.batch.runner != "aws_batch" || (var.vpc != null) != (length(var.batch.subnet_ids) > 0 && length(var.batch.security_group_ids) > 0)
    error_message = "batch.runner = \"aws_batch\" requires either vpc = {} or batch.subnet_ids and batch.security_group_ids."
  }

  validation {
    condition     = var.batch.runner != "aws_batch" || var.batch.image_uri != null || var.image_build != null
    error_message = "batch.runner = \"aws_batch\" requires an image with the project's code: image_build = {} or batch.image_uri."
  }

  validation {
    condition     = var.batch.image_uri == null || can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.[^/]+/[^:@]+[:@].+$", var.batch.image_uri))
    error_message = "batch.image_uri is ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG."
  }

  validation {
    condition     = var.batch.large_file_mb >= 0 && var.batch.large_file_mb <= 2000
    error_message = "batch.large_file_mb is 0 (every file) to 2000: a transform job takes files of up to 2 GB."
  }

  # https://docs.aws.amazon.com/batch/latest/userguide/fargate.html
  validation {
    condition = try(contains({
      "1"  = range(2048, 8193, 1024)
      "2"  = range(4096, 16385, 1024)
      "4"  = range(8192, 30721, 1024)
      "8"  = range(16384, 61441, 4096)
      "16" = range(32768, 122881, 8192)
    }[tostring(var.batch.vcpus)], var.batch.memory_mb), false)
    error_message = "batch.vcpus and batch.memory_mb are a pair that Fargate has: 1 CPU with 2048 to 8192 MB, 2 with 4096 to 16384, 4 with 8192 to 30720 (in steps of 1024), 8 with 16384 to 61440 (4096), 16 with 32768 to 122880 (8192)."
  }

  validation {
    condition     = var.batch.disk_gb >= 21 && var.batch.disk_gb <= 200
    error_message = "batch.disk_gb is 21 to 200."
  }

  validation {
    condition     = var.batch.max_vcpus >= var.batch.vcpus
    error_message = "batch.max_vcpus is at least batch.vcpus."
  }

  validation {
    condition     = var.batch.timeout_seconds >= 60 && var.batch.timeout_seconds <= 1209600
    error_message = "batch.timeout_seconds is 60 to 1209600, Fargate's 14 days."
  }
}
