# The training pool: one function; the partitions of its command topic are its slots.

locals {
  training_name = "${var.name}-training"

  # What `MILLRACE_FUNCTION` says to a training function (schema/wire/src/function.rs).
  specification = {
    format       = 1
    role         = "training"
    ordinal      = 0
    trigger      = { lambda = {} }
    listen       = "127.0.0.1:0"
    artifacts    = var.artifacts_url
    topic        = "${var.name}.training"
    group        = "${var.name}.training"
    memory_bytes = var.training_memory_mib * 1024 * 1024 / 4
    control = {
      connection     = var.connection
      events_topic   = "${var.name}.events"
      registry_topic = "${var.name}.registry"
    }
  }
}

resource "aws_cloudwatch_log_group" "training" {
  #checkov:skip=CKV_AWS_338:How long logs are kept is the installation's choice, for their cost
  name              = "/aws/lambda/${local.training_name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = var.key_arn
  tags              = var.tags
}

resource "aws_lambda_function" "training" {
  #checkov:skip=CKV_AWS_50:Tracing needs an endpoint of X-Ray, paid by the hour
  #checkov:skip=CKV_AWS_115:A partition is a slot, so partitions cap concurrency; a reservation would fail in young accounts, whose quota is 10
  #checkov:skip=CKV_AWS_116:Kafka's mapping invokes it, and what fails is answered on the events topic; this is for asynchronous calls
  #checkov:skip=CKV_AWS_272:The code's digest is named below; a signing profile would be one more service to trust
  function_name    = local.training_name
  description      = "The training pool of the Millrace ${var.name}"
  role             = var.training_role_arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = ["x86_64"]
  s3_bucket        = var.bucket
  s3_key           = aws_s3_object.package["training"].key
  source_code_hash = filebase64sha256(local.packages["training"].path)
  memory_size      = var.training_memory_mib
  # The longest that a mapping on Kafka allows. A training of any length checkpoints before it.
  timeout     = 840
  kms_key_arn = var.key_arn
  tags        = var.tags

  ephemeral_storage {
    size = var.training_scratch_mib
  }

  environment {
    variables = {
      MILLRACE_FUNCTION = jsonencode(local.specification)
    }
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.training.name
  }

  vpc_config {
    subnet_ids         = var.subnet_ids
    security_group_ids = [aws_security_group.this.id]
  }
}
