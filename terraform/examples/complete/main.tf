# For production: three zones, brokers that hold a copy in each, a database that fails over, endpoints that outlive a zone, an
# API on the internet behind a firewall, trainings that begin within seconds, somebody who is told.
module "millrace" {
  source = "../.."

  name     = var.name
  tags     = { environment = "production" }
  topics   = var.topics
  packages = var.packages

  availability_zones      = 3
  endpoints_in_every_zone = true

  kafka_instance_type   = "kafka.m7g.large"
  kafka_storage_gib     = 200
  kafka_max_storage_gib = 2000

  image_digest       = var.image_digest
  certificate_arn    = var.certificate_arn
  api_cpu            = 1024
  api_memory         = 2048
  internet_facing    = true
  allowed_cidrs      = var.allowed_cidrs
  firewall           = true
  container_insights = true

  training_slots   = 8
  training_pollers = { minimum = 1, maximum = 4 }

  database_instances             = 2
  database_min_capacity          = 1
  database_max_capacity          = 8
  database_backup_retention_days = 35

  log_retention_days = 365
  alarm_emails       = var.alarm_emails
}
