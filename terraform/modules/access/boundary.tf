# The most that any role of this installation can ever do, whoever widens its policies.
resource "aws_iam_policy" "boundary" {
  #checkov:skip=CKV_AWS_355:A boundary grants nothing, and EC2 knows no narrower resource for these actions
  #checkov:skip=CKV_AWS_290:A boundary grants nothing, and EC2 knows no narrower resource for these actions
  #checkov:skip=CKV_AWS_289:A boundary grants nothing
  #checkov:skip=CKV_AWS_288:A boundary grants nothing
  name        = "${var.name}-boundary"
  description = "The most that any role of the Millrace ${var.name} can do"
  tags        = var.tags

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.schema_statements, local.secret_statements, [
      {
        Sid    = "Kafka"
        Effect = "Allow"
        Action = ["kafka-cluster:*", "kafka:DescribeCluster", "kafka:DescribeClusterV2", "kafka:GetBootstrapBrokers"]
        Resource = [
          var.cluster_arn,
          "${local.topic}/*",
          "${local.group}/*",
          "${local.transaction}/*",
        ]
      },
      {
        Sid      = "Artifacts"
        Effect   = "Allow"
        Action   = "s3:*"
        Resource = [var.bucket_arn, "${var.bucket_arn}/*"]
      },
      {
        Sid      = "Encryption"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
        Resource = var.key_arn
      },
      {
        Sid      = "Logs"
        Effect   = "Allow"
        Action   = "logs:*"
        Resource = [local.log_group_arn, "${local.log_group_arn}:*"]
      },
      {
        Sid      = "Functions"
        Effect   = "Allow"
        Action   = "lambda:*"
        Resource = [local.function_arn, local.mapping_arn]
      },
      {
        Sid      = "RolesOfFunctions"
        Effect   = "Allow"
        Action   = "iam:PassRole"
        Resource = local.inference_role_arn
      },
      {
        Sid    = "Lists"
        Effect = "Allow"
        Action = concat(local.network_actions, [
          "ec2:GetSecurityGroupsForVpc",
          "lambda:ListEventSourceMappings",
          "lambda:CreateEventSourceMapping",
          "cloudwatch:GetMetricData",
        ])
        Resource = "*"
      },
      {
        # Lambda may do so for the function; the function's own code may not.
        Sid       = "NetworkInterfacesAreLambdasOwn"
        Effect    = "Deny"
        Action    = local.network_actions
        Resource  = "*"
        Condition = { ArnLike = { "lambda:SourceFunctionArn" = "arn:${local.partition}:lambda:*:*:function:*" } }
      },
    ])
  })
}
