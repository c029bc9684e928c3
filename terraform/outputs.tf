output "repository_url" {
  description = "Where the API's image is pushed to."
  value       = module.control_plane.repository_url
}

output "api_address" {
  description = "Name of the load balancer: the name of your certificate must point at it (CNAME, or an alias with `api_zone_id`)."
  value       = module.control_plane.address
}

output "api_zone_id" {
  description = "Hosted zone of the load balancer, for an alias record in Route 53."
  value       = module.control_plane.zone_id
}

output "api_log_group" {
  description = "Where the API logs to. At its first start it writes the admin token there, once."
  value       = module.control_plane.log_group
}

output "bootstrap_servers" {
  description = "Where clients of Kafka that log in by IAM connect."
  value       = module.msk.bootstrap_servers
}

output "cluster_arn" {
  description = "The Kafka cluster."
  value       = module.msk.cluster_arn
}

output "bucket" {
  description = "The bucket of artifacts and functions' code."
  value       = module.storage.bucket
}

output "function_role_arn" {
  description = "The role that the API gives to functions that predict."
  value       = module.access.inference_role_arn
}

output "api_role_arn" {
  description = "The role of the API."
  value       = module.access.api_role_arn
}

output "policies" {
  description = "What each role may do, as JSON by the role's kind, and the boundary of all."
  value       = module.access.policies
}

output "function_security_group_id" {
  description = "The security group of every function."
  value       = module.functions.security_group_id
}

output "private_subnet_ids" {
  description = "Subnets of brokers, functions, the API and the database."
  value       = local.network.private_subnet_ids
}

output "vpc_id" {
  description = "The VPC."
  value       = local.network.vpc_id
}

output "alarm_topic_arn" {
  description = "Where alarms go: whatever subscribes to it hears of them."
  value       = module.observability.alarm_topic_arn
}

output "dashboard" {
  description = "Name of the CloudWatch dashboard."
  value       = module.observability.dashboard
}

output "settings" {
  description = "The API's settings as it is given them; no secret is among them."
  value       = local.environment
}
