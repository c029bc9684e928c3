# The training pool's trigger. It is made once the API runs, which makes the topic: a mapping on a topic that isn't there
# finds nothing to poll.
resource "aws_lambda_event_source_mapping" "training" {
  count             = var.image_digest == null ? 0 : 1
  event_source_arn  = module.msk.cluster_arn
  function_name     = module.functions.training_function_arn
  topics            = [module.functions.training_topic]
  starting_position = "TRIM_HORIZON"
  # A command is a training: one in each invocation, at once.
  batch_size                         = 1
  maximum_batching_window_in_seconds = 0
  tags                               = local.tags

  amazon_managed_kafka_event_source_config {
    consumer_group_id = module.functions.training_group
  }

  dynamic "source_access_configuration" {
    for_each = var.kafka_secret == null ? [] : [var.kafka_secret]

    content {
      type = source_access_configuration.value.kind == "scram" ? "SASL_SCRAM_512_AUTH" : "CLIENT_CERTIFICATE_TLS_AUTH"
      uri  = source_access_configuration.value.arn
    }
  }

  dynamic "provisioned_poller_config" {
    for_each = var.training_pollers == null ? [] : [var.training_pollers]

    content {
      minimum_pollers = provisioned_poller_config.value.minimum
      maximum_pollers = provisioned_poller_config.value.maximum
    }
  }

  lifecycle {
    precondition {
      condition     = module.control_plane.service != null
      error_message = "The API's service must stand before its training pool reads commands."
    }
  }
}
