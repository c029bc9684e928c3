# What all functions share (their code in the bucket, their place in the network), and the training pool. Functions that
# predict are the API's to make.

locals {
  # Under the digest of its content: code that is in use never changes under a function.
  packages = {
    for kind, path in var.packages : kind => {
      path   = path
      digest = filesha256(path)
      key    = "functions/${filesha256(path)}/${kind}.zip"
    }
  }
}

resource "aws_s3_object" "package" {
  #checkov:skip=CKV_AWS_186:The bucket encrypts what is put into it with the installation's key
  for_each    = local.packages
  bucket      = var.bucket
  key         = each.value.key
  source      = each.value.path
  source_hash = each.value.digest
  tags        = var.tags
}

resource "aws_security_group" "this" {
  name        = "${var.name}-functions"
  description = "Functions: nobody comes in"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-functions" })
}

resource "aws_vpc_security_group_egress_rule" "kafka" {
  security_group_id            = aws_security_group.this.id
  description                  = "Kafka"
  referenced_security_group_id = var.broker_security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.kafka_port
  to_port                      = var.kafka_port
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "services" {
  security_group_id = aws_security_group.this.id
  description       = "S3 through its endpoint, and whatever endpoints the VPC has"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}
