output "boundary_arn" {
  description = "The permissions boundary of every role here."
  value       = aws_iam_policy.boundary.arn
}

output "inference_role_arn" {
  description = "The role that the API gives to functions that predict."
  value       = aws_iam_role.inference.arn

  # A function that is made before its role may do anything fails.
  depends_on = [aws_iam_role_policy.inference]
}

output "training_role_arn" {
  description = "The role of the training pool."
  value       = aws_iam_role.training.arn

  depends_on = [aws_iam_role_policy.training]
}

output "api_role_arn" {
  description = "The role of the API."
  value       = aws_iam_role.api.arn

  depends_on = [aws_iam_role_policy.api_data, aws_iam_role_policy.api_functions]
}

output "policies" {
  description = "What each role may do, as JSON by the role's kind, and the boundary: for who wants to check it."
  value = {
    boundary  = [aws_iam_policy.boundary.policy]
    api       = [aws_iam_role_policy.api_data.policy, aws_iam_role_policy.api_functions.policy]
    inference = [aws_iam_role_policy.inference.policy]
    training  = [aws_iam_role_policy.training.policy]
  }
}
