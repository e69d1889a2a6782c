variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "schedule_expression" {
  description = "When it runs; null for never by itself."
  type        = string
}

variable "start_alarm_names" {
  description = "Alarms that start it when they go off."
  type        = list(string)
  default     = []
}

variable "source_bundle" {
  description = "The training job's code, a sourcedir.tar.gz on this machine."
  type        = string
}

variable "image" {
  description = "Image that trains: an ECR address with a tag."
  type        = string
}

variable "instance_type" {
  description = "Instance type of the training job."
  type        = string
}

variable "max_training_seconds" {
  description = "Seconds after which a training job is stopped."
  type        = number
}

variable "hyperparameters" {
  description = "Hyperparameters of the Isolation Forest, by name, as texts."
  type        = map(string)
}

variable "holdout_share" {
  description = "Last share of the time range that the model is judged on and not trained on."
  type        = number
}

variable "features" {
  description = "State machine that makes the training set under training_prefix first, and of how many days; null where its files come by themselves."
  type        = object({ state_machine_arn = string, days = number })
}

variable "training_prefix" {
  description = "Where the training set lies in the bucket."
  type        = string
}

variable "exclude_prefix" {
  description = "Where the registrar writes, for each training job, what training leaves out."
  type        = string
}

variable "registrar_name" {
  description = "Function that prepares, registers and explains."
  type        = string
}

variable "registrar_arn" {
  description = "Its ARN."
  type        = string
}

variable "bucket" {
  description = "Bucket of the training set, code and models."
  type        = string
}

variable "bucket_arn" {
  description = "Its ARN."
  type        = string
}

variable "model_object_arns" {
  description = "S3 objects that may be the artifact of the model that serves."
  type        = list(string)
}

variable "model_kms_key_arn" {
  description = "Key of artifacts that another key than the bucket's encrypts; null for none."
  type        = string
  default     = null
}

variable "topic_arn" {
  description = "Who is notified."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of the bucket, volumes, schedule and logs."
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
