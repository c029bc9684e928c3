# What single modules promise, with the provider mocked.

mock_provider "aws" {
  source = "./tests/mocks"
}

variables {
  name                       = "millrace"
  tags                       = {}
  key_arn                    = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  log_retention_days         = 30
  vpc_id                     = "vpc-1"
  subnet_ids                 = ["subnet-1", "subnet-2"]
  private_subnet_ids         = ["subnet-1", "subnet-2"]
  client_security_group_ids  = { functions = "sg-1", api = "sg-2" }
  broker_security_group_id   = "sg-3"
  database_security_group_id = "sg-4"
  kafka_port                 = 9098
  login                      = "iam"
}

run "a_closed_network" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    cidr                    = "10.60.0.0/16"
    availability_zones      = 2
    internet_facing         = false
    nat_gateway             = false
    endpoints_in_every_zone = false
    glue_schema_registry    = false
  }

  assert {
    condition     = length(aws_internet_gateway.this) == 0 && length(aws_nat_gateway.this) == 0 && length(aws_subnet.public) == 0
    error_message = "unless asked for there is no way to the internet"
  }

  assert {
    condition     = alltrue([for service in ["lambda", "sts"] : contains(keys(aws_vpc_endpoint.interface), service)])
    error_message = "pollers need lambda and sts"
  }

  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway"
    error_message = "the way to S3 is the free one"
  }
}

run "a_network_with_a_way_to_schemas" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    cidr                    = "10.60.0.0/16"
    availability_zones      = 2
    internet_facing         = false
    nat_gateway             = false
    endpoints_in_every_zone = false
    glue_schema_registry    = true
  }

  assert {
    condition     = contains(keys(aws_vpc_endpoint.interface), "glue")
    error_message = "functions ask glue from where there is no other way out"
  }
}

run "schemas_only_where_asked_for" {
  module {
    source = "./modules/access"
  }

  variables {
    tag_key                    = "millrace:installation"
    cluster_arn                = "arn:aws:kafka:us-east-1:123456789012:cluster/millrace/1"
    topics                     = ["orders-*"]
    glue_schema_registry       = false
    kafka_secret               = null
    bucket_arn                 = "arn:aws:s3:::millrace"
    function_subnet_ids        = ["subnet-1"]
    function_security_group_id = "sg-1"
  }

  assert {
    condition     = !strcontains(jsonencode(output.policies), "glue:")
    error_message = "nobody asks Glue unless it was asked for"
  }
}

run "a_login_by_a_secret" {
  module {
    source = "./modules/access"
  }

  variables {
    tag_key                    = "millrace:installation"
    cluster_arn                = "arn:aws:kafka:us-east-1:123456789012:cluster/theirs/1"
    topics                     = ["orders-*"]
    glue_schema_registry       = false
    kafka_secret               = { arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:AmazonMSK_x", key_arn = "arn:aws:kms:us-east-1:123456789012:key/1" }
    bucket_arn                 = "arn:aws:s3:::millrace"
    function_subnet_ids        = ["subnet-1"]
    function_security_group_id = "sg-1"
  }

  assert {
    condition = alltrue([
      for role, documents in output.policies : [
        for statement in flatten([for document in documents : jsondecode(document).Statement]) : [statement.Action, statement.Resource]
        if startswith(try(statement.Sid, ""), "KafkaSecret")
        ] == [
        ["secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:123456789012:secret:AmazonMSK_x"],
        ["kms:Decrypt", "arn:aws:kms:us-east-1:123456789012:key/1"],
      ]
    ])
    error_message = "each role may read this secret and no other, and the boundary lets it"
  }
}

run "schemas_of_glue" {
  module {
    source = "./modules/access"
  }

  variables {
    tag_key                    = "millrace:installation"
    cluster_arn                = "arn:aws:kafka:us-east-1:123456789012:cluster/millrace/1"
    topics                     = ["orders-*"]
    glue_schema_registry       = true
    kafka_secret               = null
    bucket_arn                 = "arn:aws:s3:::millrace"
    function_subnet_ids        = ["subnet-1"]
    function_security_group_id = "sg-1"
  }

  assert {
    condition = alltrue([
      for role, documents in output.policies : [
        for statement in flatten([for document in documents : jsondecode(document).Statement]) : statement.Action
        if try(statement.Sid, "") == "Schemas"
      ] == ["glue:GetSchemaVersion"]
    ])
    error_message = "each role may read a version of a schema, and the boundary lets it"
  }
}

run "a_network_with_a_gateway" {
  command = plan

  module {
    source = "./modules/network"
  }

  variables {
    cidr                    = "10.60.0.0/16"
    availability_zones      = 3
    internet_facing         = false
    nat_gateway             = true
    endpoints_in_every_zone = false
    glue_schema_registry    = false
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_vpc_endpoint.interface) == 0
    error_message = "one gateway in place of endpoints"
  }
}

run "a_closed_bucket" {
  module {
    source = "./modules/storage"
  }

  variables {
    deleted_retention_days = 30
    force_destroy          = false
  }

  assert {
    condition     = [for statement in jsondecode(aws_s3_bucket_policy.this.policy).Statement : statement.Effect] == ["Deny", "Deny"]
    error_message = "the bucket's policy only takes away"
  }

  assert {
    condition     = jsondecode(aws_s3_bucket_policy.this.policy).Statement[0].Condition.Bool["aws:SecureTransport"] == "false"
    error_message = "only encrypted connections"
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "versions are kept"
  }
}

run "serverless_kafka" {
  module {
    source = "./modules/msk"
  }

  variables {
    mode                 = "serverless"
    cluster_arn          = null
    security_group_id    = null
    kafka_version        = "3.9.x"
    instance_type        = "kafka.t3.small"
    brokers_in_each_zone = 1
    storage_gib          = 20
    max_storage_gib      = 200
  }

  assert {
    condition     = length(aws_msk_cluster.this) == 0 && output.bootstrap_servers == "boot-1.example:9098"
    error_message = "no brokers by the hour, and the addresses asked for"
  }
}

run "provisioned_kafka" {
  module {
    source = "./modules/msk"
  }

  variables {
    mode                 = "provisioned"
    cluster_arn          = null
    security_group_id    = null
    subnet_ids           = ["subnet-1", "subnet-2", "subnet-3"]
    kafka_version        = "3.9.x"
    instance_type        = "kafka.m7g.large"
    brokers_in_each_zone = 2
    storage_gib          = 20
    max_storage_gib      = 200
  }

  assert {
    condition     = aws_msk_cluster.this[0].number_of_broker_nodes == 6
    error_message = "two brokers in each of three zones"
  }

  assert {
    condition     = strcontains(aws_msk_configuration.this[0].server_properties, "min.insync.replicas=2\n") && strcontains(aws_msk_configuration.this[0].server_properties, "auto.create.topics.enable=false")
    error_message = "a record is in two zones before it is acknowledged, and no topic appears by itself"
  }

  assert {
    condition     = aws_msk_cluster.this[0].encryption_info[0].encryption_in_transit[0].client_broker == "TLS"
    error_message = "only encrypted connections"
  }

  assert {
    condition     = alltrue([for rule in aws_vpc_security_group_ingress_rule.clients : rule.from_port == 9098 && rule.to_port == 9098])
    error_message = "clients come in by IAM's port only"
  }
}

run "a_package_that_is_missing" {
  command = plan

  module {
    source = "./modules/functions"
  }

  variables {
    packages             = { inference = "tests/packages/missing.zip", training = "tests/packages/training.zip" }
    bucket               = "bucket"
    artifacts_url        = "s3://bucket/artifacts"
    connection           = {}
    training_role_arn    = "arn:aws:iam::123456789012:role/millrace-training"
    training_memory_mib  = 1769
    training_scratch_mib = 512
  }

  expect_failures = [var.packages]
}

run "an_internet_without_subnets" {
  command = plan

  module {
    source = "./modules/control-plane"
  }

  variables {
    image_digest           = null
    cpu                    = 512
    memory                 = 1024
    environment            = {}
    task_role_arn          = "arn:aws:iam::123456789012:role/millrace-api"
    database_url           = "postgres://millrace@example/millrace"
    database_secret_arn    = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds-1"
    public_subnet_ids      = []
    internet_facing        = true
    allowed_cidrs          = ["10.0.0.0/8"]
    certificate_arn        = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
    firewall               = false
    requests_per_5_minutes = 3000
    container_insights     = false
    deletion_protection    = true
    force_destroy          = false
  }

  expect_failures = [var.public_subnet_ids]
}

run "the_api" {
  module {
    source = "./modules/control-plane"
  }

  variables {
    image_digest           = "sha256:0000000000000000000000000000000000000000000000000000000000000000"
    cpu                    = 512
    memory                 = 1024
    environment            = { MILLRACE_KAFKA__PREFIX = "millrace" }
    task_role_arn          = "arn:aws:iam::123456789012:role/millrace-api"
    database_url           = "postgres://millrace@example/millrace"
    database_secret_arn    = "arn:aws:secretsmanager:us-east-1:123456789012:secret:rds-1"
    public_subnet_ids      = []
    internet_facing        = false
    allowed_cidrs          = ["10.0.0.0/8"]
    certificate_arn        = "arn:aws:acm:us-east-1:123456789012:certificate/12345678-1234-1234-1234-123456789012"
    firewall               = true
    requests_per_5_minutes = 3000
    container_insights     = false
    deletion_protection    = true
    force_destroy          = false
  }

  assert {
    condition     = endswith(jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].image, "@sha256:0000000000000000000000000000000000000000000000000000000000000000")
    error_message = "the image goes by its digest"
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].readonlyRootFilesystem
    error_message = "nothing is written beside the two volumes"
  }

  assert {
    condition     = [for secret in jsondecode(aws_ecs_task_definition.this[0].container_definitions)[0].secrets : secret.name] == ["PGPASSWORD"]
    error_message = "the password comes from Secrets Manager, and into nothing but its own variable"
  }

  assert {
    condition     = aws_ecs_service.this[0].deployment_maximum_percent == 100 && aws_ecs_service.this[0].desired_count == 1
    error_message = "a second API would wait for the database, and give up"
  }

  assert {
    condition     = one(aws_wafv2_web_acl_association.this).resource_arn == aws_lb.this.arn
    error_message = "the firewall stands before the load balancer"
  }
}
