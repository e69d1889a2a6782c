variable "name" {
  description = "Prefix of every name."
  type        = string
}

variable "cidr" {
  description = "Addresses of the VPC; each subnet gets a sixteenth of them."
  type        = string
  default     = "10.83.0.0/20"

  validation {
    condition     = can(cidrsubnet(var.cidr, 4, 0)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "cidr must be a range such as 10.83.0.0/20, from /16 to /24."
  }
}

variable "zones" {
  description = "Availability zones, each with a subnet. Each interface endpoint is billed for each of them."
  type        = number
  default     = 2

  validation {
    condition     = contains([1, 2, 3], var.zones)
    error_message = "zones must be 1, 2 or 3."
  }
}

variable "interface_services" {
  description = "Services that have an interface endpoint: logs, sagemaker.runtime, and for jobs that pull an image ecr.api and ecr.dkr."
  type        = list(string)
  default     = ["logs", "sagemaker.runtime"]

  validation {
    condition     = length(setsubtract(var.interface_services, ["ecr.api", "ecr.dkr", "logs", "sagemaker.runtime"])) == 0
    error_message = "interface_services must be some of ecr.api, ecr.dkr, logs and sagemaker.runtime."
  }
}

variable "bucket_arns" {
  description = "ARNs of the buckets that workloads read and write; the gateway endpoint refuses others."
  type        = list(string)
}

variable "readable_object_arns" {
  description = "ARNs of objects in other buckets that workloads read, such as a model's artifact."
  type        = list(string)
  default     = []
}

variable "repository_arns" {
  description = "ARNs of ECR repositories in other accounts whose images workloads pull."
  type        = list(string)
  default     = []
}

variable "tags" {
  description = "Tags of everything that takes tags."
  type        = map(string)
  default     = {}
}
