# Who may do what. Every role stands under one boundary, which no later policy gets past. The API may make functions of this
# installation only: by their names' prefix, their tag, their roles, their network.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  partition = data.aws_partition.current.partition
  account   = data.aws_caller_identity.current.account_id
  place     = "${data.aws_region.current.name}:${local.account}"

  boundary_arn = aws_iam_policy.boundary.arn
  # The boundary names it, and it stands under the boundary.
  inference_role_arn = "arn:${local.partition}:iam::${local.account}:role/${var.name}-inference"

  function_arn  = "arn:${local.partition}:lambda:${local.place}:function:${var.name}-*"
  mapping_arn   = "arn:${local.partition}:lambda:${local.place}:event-source-mapping:*"
  log_group_arn = "arn:${local.partition}:logs:${local.place}:log-group:/aws/lambda/${var.name}-*"
  artifacts_arn = "${var.bucket_arn}/artifacts/*"
  code_arn      = "${var.bucket_arn}/functions/*"
  tag           = "aws:ResourceTag/${var.tag_key}"
  requested_tag = "aws:RequestTag/${var.tag_key}"

  # arn:…:cluster/NAME/UUID becomes arn:…:topic/NAME/UUID/TOPIC.
  topic          = replace(var.cluster_arn, ":cluster/", ":topic/")
  group          = replace(var.cluster_arn, ":cluster/", ":group/")
  transaction    = replace(var.cluster_arn, ":cluster/", ":transactional-id/")
  own_topics     = "${local.topic}/${var.name}.*"
  own_groups     = "${local.group}/${var.name}.*"
  own_ids        = "${local.transaction}/${var.name}.*"
  foreign_topics = [for pattern in var.topics : "${local.topic}/${pattern}"]

  # A version of a schema is asked for by its id alone, for which AWS knows no narrower resource.
  schema_statements = [for statement in [
    {
      Sid      = "Schemas"
      Effect   = "Allow"
      Action   = "glue:GetSchemaVersion"
      Resource = "*"
    },
  ] : statement if var.glue_schema_registry]

  # Whoever connects reads it for itself: the API, functions, and Lambda's pollers in the functions' roles.
  secret_statements = [for statement in [
    {
      Sid      = "KafkaSecret"
      Effect   = "Allow"
      Action   = "secretsmanager:GetSecretValue"
      Resource = try(var.kafka_secret.arn, "")
    },
    {
      Sid      = "KafkaSecretKey"
      Effect   = "Allow"
      Action   = "kms:Decrypt"
      Resource = try(var.kafka_secret.key_arn, "")
    },
  ] : statement if var.kafka_secret != null]

  # What Lambda does in a role's name to reach a VPC. EC2 knows no narrower resource for it.
  network_actions = [
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSecurityGroups",
    "ec2:DescribeSubnets",
    "ec2:DescribeVpcs",
    "ec2:AssignPrivateIpAddresses",
    "ec2:UnassignPrivateIpAddresses",
  ]
}
