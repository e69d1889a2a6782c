variable "name" {
  description = "Name of the endpoint, and prefix of its model's and configuration's names."
  type        = string
}

variable "image" {
  description = "Image that serves: an ECR address with a tag; null with containers."
  type        = string
}

variable "containers" {
  description = "Containers of a serial inference pipeline, in order, instead of image, artifact, environment and model package. Each container's output is the next one's input. Only for real-time endpoints."
  type = list(object({
    image          = string
    model_data_url = string
    environment    = map(string)
    hostname       = optional(string)
  }))
  default = null

  validation {
    condition     = var.containers == null || var.serverless == null
    error_message = "Serverless endpoints have no inference pipelines; set serverless = null and realtime."
  }

  validation {
    condition     = var.containers == null || try(length(var.containers) >= 2 && length(var.containers) <= 15, false)
    error_message = "containers must have 2 to 15 entries. For one container, set image, model_data_url and environment."
  }

  validation {
    condition     = var.containers == null || (var.image == null && var.model_data_url == null && var.model_package_arn == null)
    error_message = "With containers, image, model_data_url and model_package_arn are null."
  }
}

variable "model_data_url" {
  description = "The artifact, s3://BUCKET/KEY.tar.gz; null with a model package."
  type        = string
}

variable "model_object_arns" {
  description = "S3 objects that the endpoint may read: the artifacts'."
  type        = list(string)
}

variable "model_kms_key_arn" {
  description = "Key of artifacts that another key than the bucket's encrypts; null for none."
  type        = string
  default     = null
}

variable "bucket_arn" {
  description = "Bucket under whose batch/jobs/ batch transform jobs of the model read and write."
  type        = string
}

variable "model_package_arn" {
  description = "A registered model package to serve in place of image and artifact."
  type        = string
}

variable "environment" {
  description = "Environment variables of the container."
  type        = map(string)
}

variable "serverless" {
  description = "Serverless mode; null with realtime."
  type        = object({ memory_mb = number, max_concurrency = number, provisioned_concurrency = optional(number) })
}

variable "realtime" {
  description = "Real-time mode; null with serverless."
  type = object({
    instance_type            = string
    instance_count           = number
    max_instance_count       = optional(number)
    invocations_per_instance = number
    deployment               = object({ type = string, step_percent = number, bake_seconds = number })
  })
}

variable "network" {
  description = "Subnets and security groups of the model, and whether it has no network access."
  type = object({
    subnet_ids               = list(string)
    security_group_ids       = list(string)
    enable_network_isolation = bool
  })
}

variable "data_capture" {
  description = "Capture of requests and responses. Only for real-time endpoints."
  type        = object({ sampling_percentage = number, destination_s3_uri = string })
}

variable "kms_key_arn" {
  description = "Key of the artifact, the volumes, the captured data and the log group."
  type        = string
}

variable "log_retention_days" {
  description = "Days that logs are kept."
  type        = number
}

variable "max_latency_ms" {
  description = "Model latency (p90, milliseconds) above which the alarm rings."
  type        = number
}

variable "alarm_actions" {
  description = "ARNs that the alarms notify."
  type        = list(string)
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
