variable "name" {
  description = "Name of the installation."
  type        = string
  nullable    = false
}

variable "cidr" {
  description = "Addresses of the VPC."
  type        = string
  nullable    = false
}

variable "availability_zones" {
  description = "Over how many zones subnets are laid."
  type        = number
  nullable    = false
}

variable "internet_facing" {
  description = "Whether there are public subnets for a load balancer."
  type        = bool
  nullable    = false
}

variable "nat_gateway" {
  description = "Whether private subnets reach the internet, and AWS with it, through one NAT gateway in place of endpoints."
  type        = bool
  nullable    = false
}

variable "endpoints_in_every_zone" {
  description = "Whether endpoints stand in every zone: they outlive the loss of one then, and cost as many times."
  type        = bool
  nullable    = false
}

variable "glue_schema_registry" {
  description = "Whether functions reach the AWS Glue Schema Registry: one endpoint more."
  type        = bool
  nullable    = false
}

variable "log_retention_days" {
  description = "For how many days logs are kept."
  type        = number
  nullable    = false
}

variable "key_arn" {
  description = "Key under which logs lie."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that can bear them."
  type        = map(string)
  nullable    = false
}
