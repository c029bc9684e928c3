output "url" {
  description = "Where the database is, without a password."
  value       = "postgres://${aws_rds_cluster.this.master_username}@${aws_rds_cluster.this.endpoint}:${aws_rds_cluster.this.port}/${aws_rds_cluster.this.database_name}?sslmode=require"

  # A cluster without an instance answers nobody.
  depends_on = [aws_rds_cluster_instance.this]
}

output "secret_arn" {
  description = "The secret with the password, which RDS keeps."
  value       = aws_rds_cluster.this.master_user_secret[0].secret_arn
}

output "cluster_identifier" {
  description = "The cluster, as CloudWatch names it."
  value       = aws_rds_cluster.this.cluster_identifier
}

output "security_group_id" {
  description = "The database's security group."
  value       = aws_security_group.this.id
}
