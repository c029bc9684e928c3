output "security_group_id" {
  description = "The security group of every function."
  value       = aws_security_group.this.id
}

output "training_function_arn" {
  description = "The training pool."
  value       = aws_lambda_function.training.arn
}

output "training_function_name" {
  description = "The training pool, as CloudWatch names it."
  value       = aws_lambda_function.training.function_name
}

output "training_topic" {
  description = "The topic of commands, which the API makes."
  value       = local.specification.topic
}

output "training_group" {
  description = "The consumer group of the training pool."
  value       = local.specification.group
}

output "inference_package_key" {
  description = "Where in the bucket the code is that the API gives to functions that predict."
  value       = aws_s3_object.package["inference"].key
}
