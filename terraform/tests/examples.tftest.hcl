# Each example as it stands, against a provider that is mocked.

mock_provider "aws" {
  source          = "./tests/mocks"
  override_during = plan
}

variables {
  topics          = ["orders*"]
  packages        = { inference = "tests/packages/inference.zip", training = "tests/packages/training.zip" }
  image_digest    = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
  certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
}

run "minimal" {
  command = plan

  module {
    source = "./examples/minimal"
  }

  assert {
    condition     = length(output.millrace.private_subnet_ids) == 2
    error_message = "two zones, two subnets"
  }

  assert {
    condition     = output.millrace.settings["MILLRACE_ARTIFACTS__URL"] == "s3://millrace-123456789012-us-east-1/artifacts"
    error_message = "the API must be told where artifacts are"
  }

  assert {
    condition     = output.millrace.settings["MILLRACE_KAFKA__BOOTSTRAP_SERVERS"] == "b-1.example:9098,b-2.example:9098"
    error_message = "the API must be told where the brokers are"
  }
}

run "complete" {
  command = plan

  module {
    source = "./examples/complete"
  }

  variables {
    allowed_cidrs = ["203.0.113.0/24"]
    alarm_emails  = ["somebody@example.com"]
  }

  assert {
    condition     = length(output.millrace.private_subnet_ids) == 3
    error_message = "three zones, three subnets"
  }
}

run "existing_msk" {
  command = plan

  module {
    source = "./examples/existing-msk"
  }

  variables {
    allowed_cidrs            = ["10.0.0.0/8"]
    cluster_arn              = "arn:aws:kafka:us-east-1:123456789012:cluster/theirs/dddd-1"
    broker_security_group_id = "sg-0123456789abcdef0"
    vpc_id                   = "vpc-0123456789abcdef0"
    private_subnet_ids       = ["subnet-1", "subnet-2"]
  }

  assert {
    condition     = output.millrace.cluster_arn == "arn:aws:kafka:us-east-1:123456789012:cluster/theirs/dddd-1"
    error_message = "the cluster is theirs"
  }

  assert {
    condition     = output.millrace.bootstrap_servers == "boot-1.example:9098"
    error_message = "its brokers are asked for"
  }

  assert {
    condition     = output.millrace.vpc_id == "vpc-0123456789abcdef0"
    error_message = "no VPC is made beside theirs"
  }
}

run "existing_msk_by_a_password" {
  command = plan

  variables {
    topics                  = ["orders*"]
    packages                = { inference = "tests/packages/inference.zip", training = "tests/packages/training.zip" }
    certificate_arn         = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
    image_digest            = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
    allowed_cidrs           = ["10.0.0.0/8"]
    kafka_mode              = "existing"
    kafka_cluster_arn       = "arn:aws:kafka:us-east-1:123456789012:cluster/theirs/dddd-1"
    kafka_security_group_id = "sg-0123456789abcdef0"
    existing_network        = { vpc_id = "vpc-0123456789abcdef0", private_subnet_ids = ["subnet-1", "subnet-2"] }

    kafka_secret = {
      kind     = "scram"
      arn      = "arn:aws:secretsmanager:us-east-1:123456789012:secret:AmazonMSK_x"
      key_arn  = "arn:aws:kms:us-east-1:123456789012:key/1"
      username = "millrace"
    }
  }

  assert {
    condition     = output.settings["MILLRACE_KAFKA__PROPERTIES__SASL_PASSWORD"] == "$${aws-secret:arn:aws:secretsmanager:us-east-1:123456789012:secret:AmazonMSK_x#password}"
    error_message = "the API is told where the password lies, and not the password"
  }

  assert {
    condition     = output.settings["MILLRACE_KAFKA__BOOTSTRAP_SERVERS"] == "boot-1.example:9096"
    error_message = "brokers take passwords on a port of their own"
  }

  assert {
    condition     = [for access in aws_lambda_event_source_mapping.training[0].source_access_configuration : access.type] == ["SASL_SCRAM_512_AUTH"]
    error_message = "pollers log in in the same way"
  }
}
