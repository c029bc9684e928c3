output "cluster_arn" {
  description = "ARN of the cluster."
  value       = local.cluster_arn
}

output "cluster_name" {
  description = "Name of the cluster, under which CloudWatch counts."
  value       = split("/", local.cluster_arn)[1]
}

output "bootstrap_servers" {
  description = "Where clients connect."
  value       = local.bootstrap_servers
}

output "port" {
  description = "The port on which clients log in."
  value       = local.port
}

output "security_group_id" {
  description = "The brokers' security group."
  value       = local.security_group_id
}
