variable "name" {
  description = "Prefix of every name, models and configurations included."
  type        = string
}

variable "function_zip" {
  description = "The function's zip on this machine."
  type        = string
}

variable "layer_arn" {
  description = "The layer with pyarrow and numpy."
  type        = string
}

variable "bucket" {
  description = "Bucket of the rows; statistics go there too."
  type        = string
}

variable "bucket_arn" {
  description = "Its ARN."
  type        = string
}

variable "scored_prefix" {
  description = "Where the detector's scored rows lie."
  type        = string
}

variable "capture_prefix" {
  description = "Prefix of an endpoint's data capture, to check instead of the detector's rows; null for none."
  type        = string
}

variable "drift_prefix" {
  description = "Where statistics go."
  type        = string
}

variable "limits" {
  description = "Limits by feature, key or anomaly_score; \"*\" holds for every one."
  type = map(object({
    psi                = optional(number)
    ks                 = optional(number)
    mean_deviations    = optional(number)
    missing_share      = optional(number)
    out_of_range_share = optional(number)
    flagged_share      = optional(number)
  }))
}

variable "schedule_expression" {
  description = "Schedule of the drift check."
  type        = string
}

variable "window" {
  description = "Window to check: a day or an hour."
  type        = string
}

variable "feature_metrics" {
  description = "Whether feature_baseline_drift_<name> is published for each feature."
  type        = bool
}

variable "model_object_arns" {
  description = "S3 objects that may be a model's artifact."
  type        = list(string)
}

variable "model_kms_key_arn" {
  description = "Key of artifacts that another key than the bucket's encrypts; null for none."
  type        = string
  default     = null
}

variable "endpoint_name" {
  description = "Endpoint of the model whose training rows are the reference."
  type        = string
}

variable "topic_arn" {
  description = "Who is notified of drift."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of queue, environment, schedule and logs."
  type        = string
}

variable "log_retention_days" {
  description = "Days that logs are kept."
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
