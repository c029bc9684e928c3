output "bucket" {
  description = "Name of the bucket."
  value       = aws_s3_bucket.this.id

  # Nobody writes before it is versioned, encrypted and closed.
  depends_on = [
    aws_s3_bucket_versioning.this,
    aws_s3_bucket_server_side_encryption_configuration.this,
    aws_s3_bucket_policy.this,
  ]
}

output "bucket_arn" {
  description = "ARN of the bucket."
  value       = aws_s3_bucket.this.arn
}

output "artifacts_url" {
  description = "Where artifacts are, as the API and the functions take it."
  value       = "s3://${aws_s3_bucket.this.id}/artifacts"
}
