variable "region" {
  description = "The AWS region."
  type        = string
  default     = "us-east-1"
}

variable "name" {
  description = "Name of the installation."
  type        = string
  default     = "millrace"
}

variable "topics" {
  description = "Your topics that the API and functions may read and write."
  type        = list(string)
  default     = ["orders*"]
}

variable "packages" {
  description = "The zips of the functions, as `make lambda` builds them."
  type        = object({ inference = string, training = string })
}

variable "image_digest" {
  description = "Digest of the image that was pushed to `repository_url`."
  type        = string
  default     = null
}

variable "certificate_arn" {
  description = "Certificate in ACM of the name under which the API is reached."
  type        = string
}

variable "allowed_cidrs" {
  description = "From where the internet may reach the API."
  type        = list(string)
}

variable "alarm_emails" {
  description = "Who is written to when an alarm goes off."
  type        = list(string)
}
