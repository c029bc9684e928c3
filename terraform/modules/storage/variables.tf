variable "name" {
  description = "Name of the installation."
  type        = string
  nullable    = false
}

variable "key_arn" {
  description = "Key under which objects lie."
  type        = string
  nullable    = false
}

variable "deleted_retention_days" {
  description = "For how many days a deleted or overwritten object can be brought back."
  type        = number
  nullable    = false
}

variable "force_destroy" {
  description = "Whether a teardown removes a bucket that still holds objects, with all of them."
  type        = bool
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that can bear them."
  type        = map(string)
  nullable    = false
}
