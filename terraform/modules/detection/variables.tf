variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "function_zip" {
  description = "The function's zip on this machine."
  type        = string
}

variable "forwarder_zip" {
  description = "Zip of the function that forwards notifications, on this machine."
  type        = string
}

variable "layer_zip" {
  description = "The layer's zip (pyarrow, numpy) on this machine."
  type        = string
}

variable "memory_mb" {
  description = "Memory of the function in MB."
  type        = number
}

variable "bucket" {
  description = "Bucket of features and scored rows."
  type        = string
}

variable "bucket_arn" {
  description = "Its ARN."
  type        = string
}

variable "features_prefix" {
  description = "Where feature files lie in the bucket."
  type        = string
}

variable "scored_prefix" {
  description = "Where scored rows go."
  type        = string
}

variable "alerts_prefix" {
  description = "Where lists go that are too long for an alert or a notification."
  type        = string
}

variable "endpoint_name" {
  description = "Endpoint that scores; null for the topic and the layer alone, which other functions use."
  type        = string
}

variable "endpoint_arn" {
  description = "Its ARN."
  type        = string
}

variable "max_body_bytes" {
  description = "Longest request that the endpoint takes, with room for headers."
  type        = number
}

variable "kms_key_arn" {
  description = "Key of tables, topic, queue, environment and logs."
  type        = string
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "schedule_expression" {
  description = "When the last 48 hours are scored again."
  type        = string
}

variable "digest" {
  description = "When the weekly digest is published; null for none."
  type        = object({ schedule_expression = string })
}

variable "alert_policy" {
  description = "When anomalous hours become an alert."
  type = object({
    min_excess_usd         = number
    min_excess_gb          = number
    min_excess_percent     = number
    min_times_usual_excess = number
    max_p_value            = number
    lasting_hours          = number
    incident_gap_hours     = number
    sibling_hours          = number
    ended_after_hours      = number
    notify_again_hours     = number
    notify_ended           = bool
    severity_usd_per_day   = list(number)

    medium_share_of_expected = number

    overrides = list(object({
      account              = optional(string)
      egress_class         = optional(string)
      min_excess_usd       = optional(number)
      min_excess_gb        = optional(number)
      min_excess_percent   = optional(number)
      severity_usd_per_day = optional(list(number))

      medium_share_of_expected = optional(number)
    }))
  })
}

variable "planned_events" {
  description = "Expected transfers."
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
}

variable "reads_cloudtrail" {
  description = "Whether the function looks up the write events of CloudTrail before an incident."
  type        = bool
}

variable "owners" {
  description = "Rules by which an alert gets its owner."
  type = list(object({
    team           = string
    channel        = optional(string)
    tags           = optional(map(string))
    accounts       = optional(list(string))
    regions        = optional(list(string))
    egress_classes = optional(list(string))
    resources      = optional(list(string))
  }))
}

variable "subscriptions" {
  description = "Who is notified."
  type = object({
    emails     = list(string)
    https_urls = list(string)
    slack      = optional(object({ team_id = string, channel_id = string }))
    teams      = optional(object({ tenant_id = string, team_id = string, channel_id = string }))
    chats = map(object({
      slack         = optional(object({ team_id = string, channel_id = string }))
      teams         = optional(object({ tenant_id = string, team_id = string, channel_id = string }))
      filter_policy = optional(string)
    }))
    filtered = list(object({
      protocol              = string
      endpoint              = string
      filter_policy         = optional(string)
      raw_message_delivery  = optional(bool)
      subscription_role_arn = optional(string)
    }))
    pagerduty = map(object({ secret_arn = string, secret_kms_key_arn = optional(string), filter_policy = optional(string) }))
    webhooks  = map(object({ secret_arn = string, secret_kms_key_arn = optional(string), filter_policy = optional(string) }))
  })
}

variable "feature_group" {
  description = "Feature group that gets the latest features of each series; null for none."
  type        = object({ name = string, arn = string })
  default     = null
}

variable "deletion_protection" {
  description = "Whether the alerts table refuses to be deleted."
  type        = bool
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}

variable "roles" {
  description = "Path of the IAM roles, ARN of their permissions boundary (null for none), and the end of their names, which are unique in an account."
  type = object({
    path                 = optional(string, "/")
    permissions_boundary = optional(string)
    suffix               = optional(string, "")
  })
  default = {}
}
