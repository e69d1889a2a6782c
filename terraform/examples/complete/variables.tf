variable "region" {
  description = "AWS region. Data Exports live in us-east-1."
  type        = string
  default     = "us-east-1"
}

variable "network" {
  description = "Subnets and security groups for the model's container; it needs a route to S3 and to PyPI."
  type        = object({ subnet_ids = list(string), security_group_ids = list(string) })
}

variable "emails" {
  description = "Who gets alerts by e-mail."
  type        = list(string)
}

variable "slack" {
  description = "The Slack workspace (authorised once in the console of Amazon Q Developer in chat applications) and channel."
  type        = object({ team_id = string, channel_id = string })
}

variable "model_artifact" {
  description = "Another model than the starting one: s3://BUCKET/KEY.tar.gz or a .tar.gz on this machine."
  type        = string
  default     = null
}

variable "model_package_arn" {
  description = "A registered and approved model to serve in place of model_artifact, as `egress-sentinel models promote` sets it."
  type        = string
  default     = null
}

variable "retraining_schedule" {
  description = "When a new model is trained and registered."
  type        = string
  default     = "cron(0 5 ? * MON *)"
}

variable "force_destroy" {
  description = "Whether `terraform destroy` may remove alerts and a bucket that holds objects."
  type        = bool
  default     = false
}

variable "teams" {
  description = "Microsoft Teams channel of Amazon Q Developer in chat applications, if any."
  type        = object({ tenant_id = string, team_id = string, channel_id = string })
  default     = null
}

variable "chats" {
  description = "More Slack channels, such as one for each team, by name."
  type        = map(object({ slack = object({ team_id = string, channel_id = string }), filter_policy = optional(string) }))
  default     = {}
}

variable "pagerduty" {
  description = "PagerDuty integrations that are notified, by name: the ARN of the secret with the routing key."
  type        = map(object({ secret_arn = string, filter_policy = optional(string) }))
  default     = {}
}

variable "owners" {
  description = "Rules that give an alert its owner, as egress-sentinel owners prints them."
  type        = any
  default     = []
}
