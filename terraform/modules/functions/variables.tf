variable "name" {
  description = "Name of the installation."
  type        = string
  nullable    = false
}

variable "packages" {
  description = "The zips of the functions, as `make lambda` builds them, by kind."
  type        = object({ inference = string, training = string })
  nullable    = false

  validation {
    condition     = alltrue([for path in values(var.packages) : fileexists(path)])
    error_message = "A zip is missing: build the functions' code with `make lambda`, or name where the zips are."
  }
}

variable "bucket" {
  description = "The bucket of artifacts and code."
  type        = string
  nullable    = false
}

variable "artifacts_url" {
  description = "Where artifacts are."
  type        = string
  nullable    = false
}

variable "connection" {
  description = "How functions connect to Kafka: librdkafka's properties."
  type        = map(string)
  nullable    = false
}

variable "training_role_arn" {
  description = "The role of the training pool."
  type        = string
  nullable    = false
}

variable "training_memory_mib" {
  description = "Memory of a training function, and with it its share of processors: 1,769 MiB are one."
  type        = number
  nullable    = false
}

variable "training_scratch_mib" {
  description = "Disk of a training function, where records lie that its memory doesn't hold."
  type        = number
  nullable    = false
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Subnets of functions."
  type        = list(string)
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

variable "log_retention_days" {
  description = "For how many days logs are kept."
  type        = number
  nullable    = false
}

variable "key_arn" {
  description = "Key under which logs and environments lie."
  type        = string
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that can bear them."
  type        = map(string)
  nullable    = false
}
