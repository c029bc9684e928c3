# What wakes somebody, and one page to look at. Inferences come and go by the API: alarms are about what is always there,
# and the dashboard finds functions by their prefix.

data "aws_caller_identity" "current" {}
data "aws_region" "current" {}

locals {
  alarms = merge(
    {
      api-not-ready = {
        description = "The API does not answer as ready: functions go on, nobody can change anything"
        namespace   = "AWS/ApplicationELB", metric = "HealthyHostCount", statistic = "Maximum"
        dimensions  = { LoadBalancer = var.load_balancer.balancer, TargetGroup = var.load_balancer.targets }
        operator    = "LessThanThreshold", threshold = 1, minutes = 5, missing = "breaching"
      }
      api-errors = {
        description = "The API answers requests with 5xx"
        namespace   = "AWS/ApplicationELB", metric = "HTTPCode_Target_5XX_Count", statistic = "Sum"
        dimensions  = { LoadBalancer = var.load_balancer.balancer, TargetGroup = var.load_balancer.targets }
        operator    = "GreaterThanThreshold", threshold = 10, minutes = 5, missing = "notBreaching"
      }
      database-at-its-limit = {
        description = "The database uses all the capacity that it may have"
        namespace   = "AWS/RDS", metric = "ACUUtilization", statistic = "Average"
        dimensions  = { DBClusterIdentifier = var.database_cluster }
        operator    = "GreaterThanThreshold", threshold = 90, minutes = 15, missing = "notBreaching"
      }
      training-errors = {
        description = "Invocations of the training pool fail, and are tried again"
        namespace   = "AWS/Lambda", metric = "Errors", statistic = "Sum"
        dimensions  = { FunctionName = var.training_function }
        operator    = "GreaterThanThreshold", threshold = 0, minutes = 5, missing = "notBreaching"
      }
      functions-throttled = {
        description = "Lambda turns invocations away in this account and region: the quota of concurrency is used up"
        namespace   = "AWS/Lambda", metric = "Throttles", statistic = "Sum"
        dimensions  = {}
        operator    = "GreaterThanThreshold", threshold = 0, minutes = 5, missing = "notBreaching"
      }
    },
    var.provisioned ? {
      partitions-offline = {
        description = "Partitions without a leader: they can neither be read nor written"
        namespace   = "AWS/Kafka", metric = "OfflinePartitionsCount", statistic = "Maximum"
        dimensions  = { "Cluster Name" = var.cluster_name }
        operator    = "GreaterThanThreshold", threshold = 0, minutes = 5, missing = "notBreaching"
      }
    } : {},
  )

  # A broker's disk is counted for each broker.
  disks = var.provisioned ? range(1, var.brokers + 1) : []
}

resource "aws_sns_topic" "this" {
  name              = "${var.name}-alarms"
  kms_master_key_id = var.key_arn
  tags              = var.tags
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AlarmsOfThisAccount"
      Effect    = "Allow"
      Principal = { Service = "cloudwatch.amazonaws.com" }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this.arn
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

# AWS asks each address by mail whether it wants to be written to.
resource "aws_sns_topic_subscription" "mail" {
  for_each  = toset(var.alarm_emails)
  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.key
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  comparison_operator = each.value.operator
  threshold           = each.value.threshold
  period              = 60
  evaluation_periods  = each.value.minutes
  datapoints_to_alarm = each.value.operator == "GreaterThanThreshold" && each.value.threshold == 0 ? 1 : each.value.minutes
  treat_missing_data  = each.value.missing
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
  tags                = var.tags
}

resource "aws_cloudwatch_metric_alarm" "disk" {
  for_each            = toset([for broker in local.disks : tostring(broker)])
  alarm_name          = "${var.name}-broker-${each.key}-disk"
  alarm_description   = "The broker's disk is nearly full, though it grows by itself: has it reached its limit?"
  namespace           = "AWS/Kafka"
  metric_name         = "KafkaDataLogsDiskUsed"
  dimensions          = { "Cluster Name" = var.cluster_name, "Broker ID" = each.key }
  statistic           = "Maximum"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 85
  period              = 300
  evaluation_periods  = 3
  treat_missing_data  = "missing"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
  tags                = var.tags
}
