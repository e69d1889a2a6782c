variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "bucket" {
  description = "The bucket."
  type        = string
}

variable "kms_key_arn" {
  description = "Key of the query results."
  type        = string
}

variable "features_prefix" {
  description = "Where feature files lie in the bucket."
  type        = string
}

variable "scored_prefix" {
  description = "Where scored rows lie in the bucket."
  type        = string
}

variable "export_name" {
  description = "Name of the CUR 2.0 export whose files lie under exports/NAME/data/."
  type        = string
}

variable "max_scanned_gb" {
  description = "GB that a query may scan before Athena stops it."
  type        = number
}
