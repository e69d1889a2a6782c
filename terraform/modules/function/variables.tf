variable "name" {
  description = "Name of the function, its role and its log group, and prefix of the names of its queue and rules."
  type        = string

  validation {
    condition     = can(regex("^[a-zA-Z0-9_-]{1,64}$", var.name))
    error_message = "name must have 1 to 64 letters, digits, hyphens and underscores."
  }
}

variable "description" {
  description = "Purpose of the function, as the console shows it."
  type        = string

  validation {
    condition     = length(var.description) <= 256
    error_message = "description must have at most 256 characters."
  }
}

variable "zip" {
  description = "Path of the function's zip on this machine."
  type        = string

  validation {
    condition     = endswith(var.zip, ".zip")
    error_message = "zip must be the path of a .zip file."
  }
}

variable "handler" {
  description = "Function that Lambda calls, as PACKAGE.MODULE.FUNCTION."
  type        = string

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]*(\\.[a-z_][a-z0-9_]*)+$", var.handler))
    error_message = "handler must be a dotted Python name such as anomaly_detector.handler.lambda_handler."
  }
}

variable "layer_arns" {
  description = "ARNs of the layers' versions."
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.layer_arns) <= 5
    error_message = "Lambda accepts at most 5 layers."
  }
}

variable "memory_mb" {
  description = "Memory in MB. 1769 MB come with one whole CPU."
  type        = number

  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "memory_mb must be 128 to 10240."
  }
}

variable "timeout_seconds" {
  description = "Longest run in seconds."
  type        = number
  default     = 900

  validation {
    condition     = var.timeout_seconds >= 1 && var.timeout_seconds <= 900
    error_message = "timeout_seconds must be 1 to 900."
  }
}

variable "ephemeral_storage_mb" {
  description = "Size of /tmp in MB."
  type        = number
  default     = 512

  validation {
    condition     = var.ephemeral_storage_mb >= 512 && var.ephemeral_storage_mb <= 10240
    error_message = "ephemeral_storage_mb must be 512 to 10240."
  }
}

variable "environment" {
  description = "Environment variables. POWERTOOLS_SERVICE_NAME is added: the function's name."
  type        = map(string)
  default     = {}
}

variable "policy" {
  description = "What the function may do: the policy's name and its statements by Sid. The module adds the rights that every function needs: its log, traces, dead-letter queue, and to decrypt and generate data keys; more_kms_actions extends the latter."
  type = object({
    name             = string
    more_kms_actions = optional(list(string), [])
    statements = map(object({
      actions   = list(string)
      resources = list(string)
      condition = optional(map(map(string)))
    }))
  })

  validation {
    condition     = alltrue([for action in flatten(values(var.policy.statements)[*].actions) : !strcontains(action, "*")])
    error_message = "policy.statements must name each action in full, without *."
  }

  validation {
    condition     = alltrue([for s in values(var.policy.statements) : !contains(s.resources, "*") || join(",", s.actions) == "cloudtrail:LookupEvents"])
    error_message = "policy.statements must name their resources; * alone is accepted for cloudtrail:LookupEvents only, which supports no resources."
  }
}

variable "event_rules" {
  description = "EventBridge rules that start the function, by name: each has a pattern (JSON) or a schedule expression."
  type = map(object({
    description = string
    pattern     = optional(string)
    schedule    = optional(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for rule in values(var.event_rules) : (rule.pattern == null) != (rule.schedule == null)])
    error_message = "Each of event_rules must have either a pattern or a schedule."
  }

  validation {
    condition     = length(var.event_rules) == 0 || var.has_dead_letter_queue
    error_message = "A function with event_rules must have a dead-letter queue."
  }
}

variable "has_dead_letter_queue" {
  description = "Whether failed events go to a dead-letter queue. False for a function that its caller waits for."
  type        = bool
  default     = true
}

variable "dead_letter_alarm" {
  description = "Alarm on a message in the dead-letter queue: its description and the SNS topic that it notifies. Null for none."
  type        = object({ description = string, topic_arn = string })
  default     = null

  validation {
    condition     = var.dead_letter_alarm == null || var.has_dead_letter_queue
    error_message = "dead_letter_alarm requires has_dead_letter_queue."
  }
}

variable "kms_key_arn" {
  description = "ARN of the key that encrypts the environment, the log group and the dead-letter queue."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:kms:", var.kms_key_arn))
    error_message = "kms_key_arn must be the ARN of a KMS key."
  }
}

variable "log_retention_days" {
  description = "Days after which CloudWatch Logs removes log events."
  type        = number
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
