variable "name" {
  description = "Name of the installation: functions are called NAME-…, topics, groups and transactions NAME.…"
  type        = string
  nullable    = false
}

variable "tag_key" {
  description = "Key of the tag by which this installation knows its functions; its value is the name."
  type        = string
  nullable    = false
}

variable "cluster_arn" {
  description = "The Kafka cluster."
  type        = string
  nullable    = false
}

variable "topics" {
  description = "Names of topics outside the installation's own that may be read and written, with * at the end where they begin alike."
  type        = list(string)
  nullable    = false
}

variable "glue_schema_registry" {
  description = "Whether schemas may be read from the account's AWS Glue Schema Registry."
  type        = bool
  nullable    = false
}

variable "kafka_secret" {
  description = "The secret that everybody logs in to Kafka with, where not by IAM, and the key that it is encrypted with."
  type        = object({ arn = string, key_arn = string })
}

variable "bucket_arn" {
  description = "The bucket of artifacts and code."
  type        = string
  nullable    = false
}

variable "key_arn" {
  description = "The key under which everything lies."
  type        = string
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC that functions must be in."
  type        = string
  nullable    = false
}

variable "function_subnet_ids" {
  description = "The subnets that functions may be in."
  type        = list(string)
  nullable    = false
}

variable "function_security_group_id" {
  description = "The security group that functions must have, and no other."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that can bear them."
  type        = map(string)
  nullable    = false
}
