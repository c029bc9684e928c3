variable "name" {
  description = "Name of the installation."
  type        = string
  nullable    = false
}

variable "deletion_window_days" {
  description = "For how many days after a teardown the key can still be brought back."
  type        = number
  nullable    = false
}

variable "tags" {
  description = "Tags of everything that can bear them."
  type        = map(string)
  nullable    = false
}
