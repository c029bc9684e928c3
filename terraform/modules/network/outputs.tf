output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "private_subnet_ids" {
  description = "Subnets of brokers, functions, the API and the database."
  value       = aws_subnet.private[*].id
}

output "public_subnet_ids" {
  description = "Subnets of the load balancer, where the internet may reach it; else none."
  value       = aws_subnet.public[*].id
}
