# The roles of functions: one for all inferences, one for the training pool. Lambda's pollers read from Kafka in these
# roles, too.

locals {
  assumed_by_lambda = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })

  # What both kinds of function may do.
  function_statements = [
    {
      Sid      = "Logs"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
      Resource = "${local.log_group_arn}:*"
    },
    {
      Sid      = "Network"
      Effect   = "Allow"
      Action   = local.network_actions
      Resource = "*"
    },
    {
      Sid       = "NetworkInterfacesAreLambdasOwn"
      Effect    = "Deny"
      Action    = local.network_actions
      Resource  = "*"
      Condition = { ArnLike = { "lambda:SourceFunctionArn" = local.function_arn } }
    },
    {
      Sid      = "Key"
      Effect   = "Allow"
      Action   = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource = var.key_arn
    },
    {
      Sid      = "FindBrokers"
      Effect   = "Allow"
      Action   = ["kafka:DescribeCluster", "kafka:DescribeClusterV2", "kafka:GetBootstrapBrokers"]
      Resource = var.cluster_arn
    },
    {
      Sid    = "Connect"
      Effect = "Allow"
      Action = [
        "kafka-cluster:Connect",
        "kafka-cluster:DescribeCluster",
        "kafka-cluster:DescribeClusterDynamicConfiguration",
        "kafka-cluster:WriteDataIdempotently",
      ]
      Resource = var.cluster_arn
    },
    {
      Sid      = "OwnTopics"
      Effect   = "Allow"
      Action   = ["kafka-cluster:DescribeTopic", "kafka-cluster:ReadData", "kafka-cluster:WriteData"]
      Resource = local.own_topics
    },
    {
      Sid      = "OwnGroups"
      Effect   = "Allow"
      Action   = ["kafka-cluster:DescribeGroup", "kafka-cluster:AlterGroup"]
      Resource = local.own_groups
    },
    {
      Sid      = "ListArtifacts"
      Effect   = "Allow"
      Action   = "s3:ListBucket"
      Resource = var.bucket_arn
      # Without it S3 says "forbidden" where it means "not there". Who asks for one object names no prefix.
      Condition = { StringLikeIfExists = { "s3:prefix" = "artifacts/*" } }
    },
  ]
}

resource "aws_iam_role" "inference" {
  name                 = "${var.name}-inference"
  description          = "Functions that predict"
  assume_role_policy   = local.assumed_by_lambda
  permissions_boundary = local.boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "inference" {
  #checkov:skip=CKV_AWS_355:EC2 knows no narrower resource for network interfaces
  #checkov:skip=CKV_AWS_290:EC2 knows no narrower resource for network interfaces
  name = "work"
  role = aws_iam_role.inference.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.function_statements, local.schema_statements, local.secret_statements, [
      {
        Sid      = "ReadArtifacts"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = local.artifacts_arn
      },
      {
        Sid    = "Topics"
        Effect = "Allow"
        Action = [
          "kafka-cluster:DescribeTopic",
          "kafka-cluster:DescribeTopicDynamicConfiguration",
          "kafka-cluster:ReadData",
          "kafka-cluster:WriteData",
        ]
        Resource = local.foreign_topics
      },
    ])
  })
}

resource "aws_iam_role" "training" {
  name                 = "${var.name}-training"
  description          = "The training pool"
  assume_role_policy   = local.assumed_by_lambda
  permissions_boundary = local.boundary_arn
  tags                 = var.tags
}

resource "aws_iam_role_policy" "training" {
  #checkov:skip=CKV_AWS_355:EC2 knows no narrower resource for network interfaces
  #checkov:skip=CKV_AWS_290:EC2 knows no narrower resource for network interfaces
  name = "work"
  role = aws_iam_role.training.id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(local.function_statements, local.schema_statements, local.secret_statements, [
      {
        Sid      = "WriteArtifacts"
        Effect   = "Allow"
        Action   = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
        Resource = local.artifacts_arn
      },
      {
        # A training reads its records and writes a model; it has nothing to write to topics of others.
        Sid      = "Topics"
        Effect   = "Allow"
        Action   = ["kafka-cluster:DescribeTopic", "kafka-cluster:DescribeTopicDynamicConfiguration", "kafka-cluster:ReadData"]
        Resource = local.foreign_topics
      },
    ])
  })
}
