output "alarm_topic_arn" {
  description = "Where alarms go: whatever subscribes to it hears of them."
  value       = aws_sns_topic.this.arn
}

output "dashboard" {
  description = "The dashboard's name."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}
