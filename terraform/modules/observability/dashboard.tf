locals {
  # Functions by their prefix, whichever there are when somebody looks.
  of_functions = { for metric in ["Invocations", "Errors", "Throttles", "ConcurrentExecutions"] : metric =>
    "SEARCH('{AWS/Lambda,FunctionName} MetricName=\"${metric}\" FunctionName=\"${var.name}-\"', '${metric == "ConcurrentExecutions" ? "Maximum" : "Sum"}', 60)"
  }

  widgets = [
    {
      title   = "Functions: invocations and errors a minute"
      metrics = [[{ expression = local.of_functions["Invocations"] }], [{ expression = local.of_functions["Errors"] }], [{ expression = local.of_functions["Throttles"] }]]
    },
    {
      title   = "Functions: at once"
      metrics = [[{ expression = local.of_functions["ConcurrentExecutions"] }]]
    },
    {
      title   = "Functions: milliseconds an invocation, the slowest hundredth"
      metrics = [[{ expression = "SEARCH('{AWS/Lambda,FunctionName} MetricName=\"Duration\" FunctionName=\"${var.name}-\"', 'p99', 60)" }]]
    },
    {
      title   = "Consumer groups: records behind"
      metrics = [[{ expression = "SEARCH('{AWS/Kafka,\"Cluster Name\",\"Consumer Group\",Topic} MetricName=\"SumOffsetLag\" \"Cluster Name\"=\"${var.cluster_name}\" \"${var.name}.\"', 'Maximum', 60)" }]]
    },
    {
      title   = "Brokers: share of the disk, percent"
      metrics = [[{ expression = "SEARCH('{AWS/Kafka,\"Broker ID\",\"Cluster Name\"} MetricName=\"KafkaDataLogsDiskUsed\" \"Cluster Name\"=\"${var.cluster_name}\"', 'Maximum', 300)" }]]
    },
    {
      title   = "Brokers: connections"
      metrics = [[{ expression = "SEARCH('{AWS/Kafka,\"Broker ID\",\"Cluster Name\"} MetricName=\"ConnectionCount\" \"Cluster Name\"=\"${var.cluster_name}\"', 'Maximum', 60)" }]]
    },
    {
      title = "API: requests a minute, and 5xx"
      metrics = [
        ["AWS/ApplicationELB", "RequestCount", "LoadBalancer", var.load_balancer.balancer, { stat = "Sum" }],
        ["AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", "LoadBalancer", var.load_balancer.balancer, { stat = "Sum" }],
      ]
    },
    {
      title   = "Database: capacity units"
      metrics = [["AWS/RDS", "ServerlessDatabaseCapacity", "DBClusterIdentifier", var.database_cluster, { stat = "Maximum" }]]
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = [for index, widget in local.widgets : {
      type   = "metric"
      x      = 12 * (index % 2)
      y      = 6 * floor(index / 2)
      width  = 12
      height = 6
      properties = {
        title   = widget.title
        region  = data.aws_region.current.name
        view    = "timeSeries"
        period  = 60
        metrics = widget.metrics
      }
    }]
  })
}
