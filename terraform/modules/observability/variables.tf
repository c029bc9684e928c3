variable "name" {
  description = "Name of the installation."
  type        = string
  nullable    = false
}

variable "alarm_emails" {
  description = "Who is written to when an alarm goes off."
  type        = list(string)
  nullable    = false
}

variable "provisioned" {
  description = "Whether the brokers are this installation's own."
  type        = bool
  nullable    = false
}

variable "cluster_name" {
  description = "The Kafka cluster, as CloudWatch names it."
  type        = string
  nullable    = false
}

variable "brokers" {
  description = "How many brokers there are, where they are this installation's own."
  type        = number
  nullable    = false
}

variable "database_cluster" {
  description = "The database, as CloudWatch names it."
  type        = string
  nullable    = false
}

variable "load_balancer" {
  description = "The load balancer and its target group, as CloudWatch names them."
  type        = object({ balancer = string, targets = string })
  nullable    = false
}

variable "training_function" {
  description = "The training pool, as CloudWatch names it."
  type        = string
  nullable    = false
}

variable "key_arn" {
  description = "Key under which messages of alarms lie."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that can bear them."
  type        = map(string)
  nullable    = false
}
