# What AWS would say, in the shapes that the provider checks: mocks invent other texts by themselves.

mock_data "aws_availability_zones" {
  defaults = {
    names = ["us-east-1a", "us-east-1b", "us-east-1c"]
  }
}

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "123456789012"
  }
}

mock_data "aws_partition" {
  defaults = {
    partition = "aws"
  }
}

mock_data "aws_region" {
  defaults = {
    name = "us-east-1"
  }
}

mock_data "aws_msk_bootstrap_brokers" {
  defaults = {
    bootstrap_brokers_sasl_iam   = "boot-1.example:9098"
    bootstrap_brokers_sasl_scram = "boot-1.example:9096"
    bootstrap_brokers_tls        = "boot-1.example:9094"
  }
}

mock_resource "aws_kms_key" {
  defaults = {
    arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  }
}

mock_resource "aws_s3_bucket" {
  defaults = {
    id  = "millrace-123456789012-us-east-1"
    arn = "arn:aws:s3:::millrace-123456789012-us-east-1"
  }
}

mock_resource "aws_iam_policy" {
  defaults = {
    arn = "arn:aws:iam::123456789012:policy/millrace-boundary"
  }
}

mock_resource "aws_iam_role" {
  defaults = {
    arn = "arn:aws:iam::123456789012:role/millrace-inference"
  }
}

mock_resource "aws_msk_cluster" {
  defaults = {
    arn                        = "arn:aws:kafka:us-east-1:123456789012:cluster/millrace/aaaa-1"
    bootstrap_brokers_sasl_iam = "b-1.example:9098,b-2.example:9098"
  }
}

mock_resource "aws_msk_serverless_cluster" {
  defaults = {
    arn = "arn:aws:kafka:us-east-1:123456789012:cluster/millrace/bbbb-s1"
  }
}

mock_resource "aws_msk_configuration" {
  defaults = {
    arn             = "arn:aws:kafka:us-east-1:123456789012:configuration/millrace/cccc-1"
    latest_revision = 1
  }
}

mock_resource "aws_rds_cluster" {
  defaults = {
    endpoint           = "millrace.cluster.example"
    port               = 5432
    master_user_secret = [{ secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds-1" }]
  }
}

mock_resource "aws_cloudwatch_log_group" {
  defaults = {
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/millrace/millrace/api"
  }
}

mock_resource "aws_lambda_function" {
  defaults = {
    arn = "arn:aws:lambda:us-east-1:123456789012:function:millrace-training"
  }
}

mock_resource "aws_sns_topic" {
  defaults = {
    arn = "arn:aws:sns:us-east-1:123456789012:millrace-alarms"
  }
}

mock_resource "aws_ecr_repository" {
  defaults = {
    arn            = "arn:aws:ecr:us-east-1:123456789012:repository/millrace"
    repository_url = "123456789012.dkr.ecr.us-east-1.amazonaws.com/millrace"
  }
}

mock_resource "aws_ecs_task_definition" {
  defaults = {
    arn = "arn:aws:ecs:us-east-1:123456789012:task-definition/millrace:1"
  }
}

mock_resource "aws_lb" {
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/millrace/1234567890abcdef"
    arn_suffix = "app/millrace/1234567890abcdef"
    dns_name   = "internal-millrace.us-east-1.elb.amazonaws.com"
  }
}

mock_resource "aws_lb_target_group" {
  defaults = {
    arn        = "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/millrace/1234567890abcdef"
    arn_suffix = "targetgroup/millrace/1234567890abcdef"
  }
}

mock_resource "aws_lb_listener" {
  defaults = {
    arn = "arn:aws:elasticloadbalancing:us-east-1:123456789012:listener/app/millrace/1234567890abcdef/1234567890abcdef"
  }
}

mock_resource "aws_wafv2_web_acl" {
  defaults = {
    arn = "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/millrace/12345678-1234-1234-1234-123456789012"
  }
}
