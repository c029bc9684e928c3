variable "name" {
  description = "Name of the installation."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Subnets in two zones or more."
  type        = list(string)
  nullable    = false
}

variable "client_security_group_id" {
  description = "Who may connect: the API's security group."
  type        = string
  nullable    = false
}

variable "engine_version" {
  description = "Version of Aurora PostgreSQL."
  type        = string
  nullable    = false
}

variable "instances" {
  description = "Instances: a second one, in another zone, takes over within seconds."
  type        = number
  nullable    = false
}

variable "min_capacity" {
  description = "Aurora capacity units (2 GiB each) that are always there, and paid."
  type        = number
  nullable    = false
}

variable "max_capacity" {
  description = "Aurora capacity units at most."
  type        = number
  nullable    = false
}

variable "backup_retention_days" {
  description = "For how many days the database can be put back to any second."
  type        = number
  nullable    = false
}

variable "deletion_protection" {
  description = "Whether the database refuses to be removed, and leaves a last snapshot where it is."
  type        = bool
  nullable    = false
}

variable "log_retention_days" {
  description = "For how many days logs are kept."
  type        = number
  nullable    = false
}

variable "key_arn" {
  description = "Key under which rows, backups and the password lie."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that can bear them."
  type        = map(string)
  nullable    = false
}
