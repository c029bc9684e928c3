output "repository_url" {
  description = "Where the API's image is pushed to."
  value       = aws_ecr_repository.this.repository_url
}

output "address" {
  description = "Name of the load balancer, to which the certificate's name must point."
  value       = aws_lb.this.dns_name
}

output "zone_id" {
  description = "Hosted zone of the load balancer, for an alias record."
  value       = aws_lb.this.zone_id
}

output "security_group_id" {
  description = "The API's security group."
  value       = aws_security_group.api.id
}

output "load_balancer" {
  description = "The load balancer and its target group, as CloudWatch names them."
  value       = { balancer = aws_lb.this.arn_suffix, targets = aws_lb_target_group.this.arn_suffix }
}

output "service" {
  description = "The API's service, once it runs: whoever waits for it finds the topics made."
  value       = one(aws_ecs_service.this[*].id)
}

output "log_group" {
  description = "Where the API logs to."
  value       = aws_cloudwatch_log_group.this.name
}
