variable "name" {
  description = "Name of the installation."
  type        = string
  nullable    = false
}

variable "mode" {
  description = "`provisioned`, `serverless` or `existing`."
  type        = string
  nullable    = false
}

variable "login" {
  description = "How clients log in: `iam`, or to an existing cluster `scram` or `certificate`."
  type        = string
  nullable    = false
}

variable "cluster_arn" {
  description = "An existing cluster."
  type        = string
}

variable "security_group_id" {
  description = "The security group of an existing cluster's brokers."
  type        = string
}

variable "vpc_id" {
  description = "The VPC of brokers."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "A subnet in each zone of brokers."
  type        = list(string)
  nullable    = false
}

variable "client_security_group_ids" {
  description = "Who may connect: security groups by the name that the rule bears."
  type        = map(string)
  nullable    = false
}

variable "kafka_version" {
  description = "Apache Kafka's version, as MSK calls it."
  type        = string
  nullable    = false
}

variable "instance_type" {
  description = "Kind of broker."
  type        = string
  nullable    = false
}

variable "brokers_in_each_zone" {
  description = "Brokers in each zone."
  type        = number
  nullable    = false
}

variable "storage_gib" {
  description = "A broker's disk at first."
  type        = number
  nullable    = false
}

variable "max_storage_gib" {
  description = "How far a broker's disk may grow."
  type        = number
  nullable    = false
}

variable "log_retention_days" {
  description = "For how many days logs are kept."
  type        = number
  nullable    = false
}

variable "key_arn" {
  description = "Key under which records and logs lie."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that can bear them."
  type        = map(string)
  nullable    = false
}
