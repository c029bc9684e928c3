variable "name" {
  description = "Name of the installation."
  type        = string
  nullable    = false
}

variable "image_digest" {
  description = "Digest of the API's image in the repository made here; without it there is no API yet."
  type        = string
}

variable "cpu" {
  description = "Processor units of the API's task: 1,024 are one."
  type        = number
  nullable    = false
}

variable "memory" {
  description = "Memory of the API's task in MiB."
  type        = number
  nullable    = false
}

variable "environment" {
  description = "The API's settings, beside address, data folder and database."
  type        = map(string)
  nullable    = false
}

variable "task_role_arn" {
  description = "The API's role."
  type        = string
  nullable    = false
}

variable "database_url" {
  description = "Where the database is, without a password."
  type        = string
  nullable    = false
}

variable "database_secret_arn" {
  description = "The secret whose key `password` holds the password."
  type        = string
  nullable    = false
}

variable "database_security_group_id" {
  description = "The database's security group."
  type        = string
  nullable    = false
}

variable "kafka_port" {
  description = "The port on which clients log in to the brokers."
  type        = number
  nullable    = false
}

variable "broker_security_group_id" {
  description = "The brokers' security group."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
  nullable    = false
}

variable "private_subnet_ids" {
  description = "Subnets of the API, and of a load balancer that only the VPC reaches."
  type        = list(string)
  nullable    = false
}

variable "public_subnet_ids" {
  description = "Subnets of a load balancer that the internet reaches."
  type        = list(string)
  nullable    = false

  validation {
    condition     = !var.internet_facing || length(var.public_subnet_ids) >= 2
    error_message = "A load balancer that the internet reaches needs public subnets in two zones."
  }
}

variable "internet_facing" {
  description = "Whether the internet reaches the load balancer."
  type        = bool
  nullable    = false
}

variable "allowed_cidrs" {
  description = "From where the load balancer may be reached."
  type        = list(string)
  nullable    = false
}

variable "certificate_arn" {
  description = "Certificate of the load balancer, in ACM."
  type        = string
  nullable    = false
}

variable "firewall" {
  description = "Whether a web application firewall stands before the load balancer."
  type        = bool
  nullable    = false
}

variable "requests_per_5_minutes" {
  description = "How many requests one address may make in five minutes, where there is a firewall."
  type        = number
  nullable    = false
}

variable "container_insights" {
  description = "Whether CloudWatch counts more about the task, at a price."
  type        = bool
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether the load balancer refuses to be removed."
  type        = bool
  nullable    = false
}

variable "force_destroy" {
  description = "Whether a teardown removes a repository that still holds images."
  type        = bool
  nullable    = false
}

variable "log_retention_days" {
  description = "For how many days logs are kept."
  type        = number
  nullable    = false
}

variable "key_arn" {
  description = "Key under which images and logs lie."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that can bear them."
  type        = map(string)
  nullable    = false
}
