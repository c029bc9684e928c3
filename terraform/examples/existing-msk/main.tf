# Beside the Kafka cluster and in the VPC that you have. Its brokers must let clients log in by IAM; their security group gets
# one rule more, and nothing else of yours is changed.
module "millrace" {
  source = "../.."

  name            = var.name
  topics          = var.topics
  packages        = var.packages
  image_digest    = var.image_digest
  certificate_arn = var.certificate_arn
  allowed_cidrs   = var.allowed_cidrs

  kafka_mode              = "existing"
  kafka_cluster_arn       = var.cluster_arn
  kafka_security_group_id = var.broker_security_group_id

  existing_network = {
    vpc_id             = var.vpc_id
    private_subnet_ids = var.private_subnet_ids
  }
}
