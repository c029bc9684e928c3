# The role of the API.

resource "aws_iam_role" "api" {
  name                 = "${var.name}-api"
  description          = "The API"
  permissions_boundary = local.boundary_arn
  tags                 = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ecs-tasks.amazonaws.com" }
      Action    = "sts:AssumeRole"
      # No other account's service acts in this role.
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

resource "aws_iam_role_policy" "api_data" {
  #checkov:skip=CKV_AWS_355:A version of a schema has no ARN of its own
  name = "data"
  role = aws_iam_role.api.id

  policy = jsonencode({
    Version = "2012-10-17"
    # It gives answers once more, for which it reads the schemas that functions read.
    Statement = concat(local.schema_statements, local.secret_statements, [
      {
        Sid      = "Artifacts"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = local.artifacts_arn
      },
      {
        Sid       = "ListArtifacts"
        Effect    = "Allow"
        Action    = "s3:ListBucket"
        Resource  = var.bucket_arn
        Condition = { StringLikeIfExists = { "s3:prefix" = "artifacts/*" } }
      },
      {
        Sid      = "Key"
        Effect   = "Allow"
        Action   = ["kms:Decrypt", "kms:GenerateDataKey", "kms:DescribeKey"]
        Resource = var.key_arn
      },
      {
        Sid    = "Connect"
        Effect = "Allow"
        Action = [
          "kafka-cluster:Connect",
          "kafka-cluster:DescribeCluster",
          "kafka-cluster:WriteDataIdempotently",
        ]
        Resource = var.cluster_arn
      },
      {
        Sid    = "OwnTopics"
        Effect = "Allow"
        Action = [
          "kafka-cluster:CreateTopic",
          "kafka-cluster:DeleteTopic",
          "kafka-cluster:AlterTopic",
          "kafka-cluster:DescribeTopic",
          "kafka-cluster:DescribeTopicDynamicConfiguration",
          "kafka-cluster:AlterTopicDynamicConfiguration",
          "kafka-cluster:ReadData",
          "kafka-cluster:WriteData",
        ]
        Resource = local.own_topics
      },
      {
        # It may make topics of these names where it is asked to, and never removes one.
        Sid    = "Topics"
        Effect = "Allow"
        Action = [
          "kafka-cluster:CreateTopic",
          "kafka-cluster:DescribeTopic",
          "kafka-cluster:DescribeTopicDynamicConfiguration",
          "kafka-cluster:ReadData",
          "kafka-cluster:WriteData",
        ]
        Resource = local.foreign_topics
      },
      {
        Sid      = "OwnGroups"
        Effect   = "Allow"
        Action   = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup", "kafka-cluster:DeleteGroup"]
        Resource = local.own_groups
      },
      {
        Sid      = "OwnTransactions"
        Effect   = "Allow"
        Action   = ["kafka-cluster:DescribeTransactionalId", "kafka-cluster:AlterTransactionalId"]
        Resource = local.own_ids
      },
    ])
  })
}

resource "aws_iam_role_policy" "api_functions" {
  #checkov:skip=CKV_AWS_355:Lists and metrics have no narrower resource
  #checkov:skip=CKV_AWS_290:A mapping has no ARN before it is made; the function that it may feed is named by a condition
  name = "functions"
  role = aws_iam_role.api.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # By name, tag and network. Which role, the next statement says.
        Sid      = "MakeFunctions"
        Effect   = "Allow"
        Action   = "lambda:CreateFunction"
        Resource = local.function_arn
        Condition = {
          StringEquals                = { (local.requested_tag) = var.name, "lambda:VpcIds" = var.vpc_id }
          "ForAllValues:StringEquals" = { "lambda:SecurityGroupIds" = [var.function_security_group_id], "lambda:SubnetIds" = var.function_subnet_ids }
          Null                        = { "lambda:Layer" = "true", "lambda:SecurityGroupIds" = "false", "lambda:SubnetIds" = "false" }
        }
      },
      {
        Sid       = "GiveFunctionsTheirRole"
        Effect    = "Allow"
        Action    = "iam:PassRole"
        Resource  = aws_iam_role.inference.arn
        Condition = { StringEquals = { "iam:PassedToService" = "lambda.amazonaws.com" } }
      },
      {
        # A new function gets its tag by the call that makes it; nothing can take it off again.
        Sid       = "TagFunctions"
        Effect    = "Allow"
        Action    = "lambda:TagResource"
        Resource  = [local.function_arn, local.mapping_arn]
        Condition = { StringEquals = { (local.requested_tag) = var.name } }
      },
      {
        Sid      = "ConfigureOwnFunctions"
        Effect   = "Allow"
        Action   = "lambda:UpdateFunctionConfiguration"
        Resource = local.function_arn
        Condition = {
          StringEquals                = { (local.tag) = var.name }
          StringEqualsIfExists        = { "lambda:VpcIds" = var.vpc_id }
          "ForAllValues:StringEquals" = { "lambda:SecurityGroupIds" = [var.function_security_group_id], "lambda:SubnetIds" = var.function_subnet_ids }
          Null                        = { "lambda:Layer" = "true" }
        }
      },
      {
        # What is not there bears no tag: only so can "not there" be told from "not ours".
        Sid    = "LookAtFunctions"
        Effect = "Allow"
        Action = [
          "lambda:GetFunction",
          "lambda:GetFunctionConfiguration",
          "lambda:GetFunctionConcurrency",
          "lambda:GetAlias",
          "lambda:ListVersionsByFunction",
          "lambda:ListTags",
        ]
        Resource = local.function_arn
      },
      {
        Sid    = "RunOwnFunctions"
        Effect = "Allow"
        Action = [
          "lambda:UpdateFunctionCode",
          "lambda:PublishVersion",
          "lambda:CreateAlias",
          "lambda:UpdateAlias",
          "lambda:DeleteAlias",
          "lambda:PutFunctionConcurrency",
          "lambda:DeleteFunctionConcurrency",
          "lambda:DeleteFunction",
        ]
        Resource  = local.function_arn
        Condition = { StringEquals = { (local.tag) = var.name } }
      },
      {
        Sid       = "MakeMappings"
        Effect    = "Allow"
        Action    = "lambda:CreateEventSourceMapping"
        Resource  = "*"
        Condition = { StringEquals = { (local.requested_tag) = var.name }, ArnLike = { "lambda:FunctionArn" = local.function_arn } }
      },
      {
        Sid       = "RunOwnMappings"
        Effect    = "Allow"
        Action    = ["lambda:GetEventSourceMapping", "lambda:UpdateEventSourceMapping", "lambda:DeleteEventSourceMapping"]
        Resource  = local.mapping_arn
        Condition = { ArnLike = { "lambda:FunctionArn" = local.function_arn } }
      },
      {
        Sid      = "ReadCode"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:GetObjectVersion"]
        Resource = local.code_arn
      },
      {
        Sid      = "LogGroupsOfFunctions"
        Effect   = "Allow"
        Action   = ["logs:CreateLogGroup", "logs:PutRetentionPolicy", "logs:TagResource", "logs:DeleteLogGroup", "logs:DescribeLogGroups"]
        Resource = [local.log_group_arn, "${local.log_group_arn}:*"]
      },
      {
        # Lambda looks these up in the caller's name before it takes them for a function.
        Sid    = "Lists"
        Effect = "Allow"
        Action = [
          "ec2:DescribeSecurityGroups",
          "ec2:DescribeSubnets",
          "ec2:DescribeVpcs",
          "ec2:GetSecurityGroupsForVpc",
          "lambda:ListEventSourceMappings",
          "cloudwatch:GetMetricData",
        ]
        Resource = "*"
      },
    ]
  })
}
