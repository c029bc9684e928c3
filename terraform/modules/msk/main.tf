# The Kafka cluster: brokers of our own (provisioned), AWS's (serverless), or somebody else's (existing). Clients log in by
# IAM, over TLS, or to an existing cluster by a secret. Topics are made by the API, never here.

locals {
  provisioned = var.mode == "provisioned"
  serverless  = var.mode == "serverless"
  existing    = var.mode == "existing"

  cluster_arn = one(concat(
    aws_msk_cluster.this[*].arn,
    aws_msk_serverless_cluster.this[*].arn,
    var.cluster_arn == null ? [] : [var.cluster_arn],
  ))
  bootstrap_servers = one(concat(
    aws_msk_cluster.this[*].bootstrap_brokers_sasl_iam,
    [for brokers in data.aws_msk_bootstrap_brokers.this : {
      iam         = brokers.bootstrap_brokers_sasl_iam
      scram       = brokers.bootstrap_brokers_sasl_scram
      certificate = brokers.bootstrap_brokers_tls
    }[var.login]],
  ))
  port              = { iam = 9098, scram = 9096, certificate = 9094 }[var.login]
  security_group_id = local.existing ? var.security_group_id : aws_security_group.this[0].id
}

# Neither a serverless cluster nor a foreign one tells its addresses by itself.
data "aws_msk_bootstrap_brokers" "this" {
  count       = local.provisioned ? 0 : 1
  cluster_arn = local.existing ? var.cluster_arn : aws_msk_serverless_cluster.this[0].arn
}

resource "aws_msk_serverless_cluster" "this" {
  count        = local.serverless ? 1 : 0
  cluster_name = var.name
  tags         = var.tags

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.this[0].id]
  }

  client_authentication {
    sasl {
      iam {
        enabled = true
      }
    }
  }
}
