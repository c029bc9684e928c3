# Every rule on a variable rejects what it should: each run gives wrong values to many variables at once, and each of them must
# be refused. A check beside this file holds that no rule is left out.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  topics          = ["orders*"]
  packages        = { inference = "tests/packages/inference.zip", training = "tests/packages/training.zip" }
  certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
  allowed_cidrs   = ["10.0.0.0/8"]
}

run "texts_and_names" {
  command = plan

  variables {
    name                    = "Millrace_1"
    tags                    = { "aws:owner" = "us" }
    vpc_cidr                = "10.60.0.0/24"
    kafka_cluster_arn       = "theirs"
    kafka_security_group_id = "group"
    kafka_version           = "latest"
    kafka_instance_type     = "m7g.large"
    topics                  = []
    packages                = { inference = "inference.tar", training = "training.zip" }
    image_digest            = "latest"
    certificate_arn         = "arn:aws:iam::123456789012:server-certificate/old"
    allowed_cidrs           = []
    database_version        = "9.6"
    alarm_emails            = ["somebody"]
    existing_network        = { vpc_id = "vpc-1", private_subnet_ids = ["subnet-1"] }
  }

  expect_failures = [
    var.name, var.tags, var.vpc_cidr, var.kafka_cluster_arn, var.kafka_security_group_id, var.kafka_version,
    var.kafka_instance_type, var.topics, var.packages, var.image_digest, var.certificate_arn, var.allowed_cidrs,
    var.database_version, var.alarm_emails, var.existing_network,
  ]
}

run "brokers_and_yet_a_cluster" {
  command = plan

  variables {
    kafka_cluster_arn = "arn:aws:kafka:us-east-1:123456789012:cluster/theirs/dddd-1"
  }

  expect_failures = [var.kafka_mode]
}

run "too_little" {
  command = plan

  variables {
    availability_zones             = 1
    kafka_brokers_in_each_zone     = 0
    kafka_storage_gib              = 0
    inference_memory_mib           = 128
    training_memory_mib            = 128
    training_scratch_mib           = 100
    training_slots                 = 0
    training_pollers               = { minimum = 0, maximum = 1 }
    api_cpu                        = 100
    requests_per_5_minutes         = 1
    database_instances             = 0
    database_min_capacity          = 0
    database_backup_retention_days = 0
    deleted_retention_days         = 0
    log_retention_days             = 2
    key_deletion_window_days       = 1
  }

  expect_failures = [
    var.availability_zones, var.kafka_brokers_in_each_zone, var.kafka_storage_gib,
    var.inference_memory_mib, var.training_memory_mib, var.training_scratch_mib, var.training_slots, var.training_pollers,
    var.api_cpu, var.requests_per_5_minutes, var.database_instances, var.database_min_capacity,
    var.database_backup_retention_days, var.deleted_retention_days, var.log_retention_days,
    var.key_deletion_window_days,
  ]
}

# A rule that looks at another variable, too, is asked only where that one is right.
run "less_than_another" {
  command = plan

  variables {
    kafka_max_storage_gib = 10
    api_memory            = 512
    database_max_capacity = 0.5
  }

  expect_failures = [var.kafka_max_storage_gib, var.api_memory, var.database_max_capacity]
}

run "a_cluster_without_its_network" {
  command = plan

  variables {
    kafka_mode              = "existing"
    kafka_cluster_arn       = "arn:aws:kafka:us-east-1:123456789012:cluster/theirs/dddd-1"
    kafka_security_group_id = "sg-0123456789abcdef0"
  }

  expect_failures = [var.kafka_mode]
}

run "a_cluster_that_is_not_named" {
  command = plan

  variables {
    kafka_mode       = "existing"
    existing_network = { vpc_id = "vpc-1", private_subnet_ids = ["subnet-1", "subnet-2"] }
  }

  expect_failures = [var.kafka_mode]
}

run "a_kind_of_kafka_that_is_none" {
  command = plan

  variables {
    kafka_mode = "confluent"
  }

  expect_failures = [var.kafka_mode]
}

run "a_secret_that_is_incomplete" {
  command = plan

  variables {
    kafka_secret = { kind = "scram", arn = "theirs", key_arn = "key", username = null }
  }

  expect_failures = [var.kafka_secret]
}

run "a_secret_that_is_none" {
  command = plan

  variables {
    kafka_secret = { kind = "scram", arn = "theirs", key_arn = "key", username = "millrace" }
  }

  expect_failures = [var.kafka_secret]
}

run "a_secret_for_brokers_that_are_made_here" {
  command = plan

  variables {
    kafka_secret = {
      kind     = "certificate"
      arn      = "arn:aws:secretsmanager:us-east-1:123456789012:secret:AmazonMSK_x"
      key_arn  = "arn:aws:kms:us-east-1:123456789012:key/1"
      username = null
    }
  }

  expect_failures = [var.kafka_secret]
}
