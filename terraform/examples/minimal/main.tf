# The least that works, for a price (docs/terraform.md): two small brokers, one database instance, an API that only the VPC
# reaches. Two steps: without an image digest first, then push the image and give its digest.
module "millrace" {
  source = "../.."

  name            = var.name
  topics          = var.topics
  packages        = var.packages
  image_digest    = var.image_digest
  certificate_arn = var.certificate_arn
  allowed_cidrs   = ["10.0.0.0/8"]
  # So that `terraform destroy` takes it all away.
  deletion_protection = false
}
