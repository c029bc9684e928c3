# A Millrace in one AWS account and region: the API, Kafka (new, serverless or yours), the database, the bucket, and what the
# API needs to make functions on Lambda. docs/terraform.md explains it module by module.

locals {
  # By this tag the API knows its functions, and IAM lets it touch no others.
  tag_key = "millrace:installation"
  tags    = merge(var.tags, { (local.tag_key) = var.name })

  network = var.existing_network != null ? var.existing_network : {
    vpc_id             = module.network[0].vpc_id
    private_subnet_ids = module.network[0].private_subnet_ids
    public_subnet_ids  = module.network[0].public_subnet_ids
  }

  # How the API and functions connect to Kafka.
  login      = var.kafka_secret == null ? "iam" : var.kafka_secret.kind
  connection = merge({ "bootstrap.servers" = module.msk.bootstrap_servers }, local.logins[local.login])

  # A secret stands there by its ARN: whoever connects reads it in the name of its own role.
  secret = try(var.kafka_secret.arn, "")
  logins = {
    iam = {
      "security.protocol" = "SASL_SSL"
      "sasl.mechanism"    = "AWS_MSK_IAM"
    }
    scram = {
      "security.protocol" = "SASL_SSL"
      "sasl.mechanism"    = "SCRAM-SHA-512"
      "sasl.username"     = try(var.kafka_secret.username, null)
      "sasl.password"     = "$${aws-secret:${local.secret}#password}"
    }
    certificate = {
      "security.protocol"   = "SSL"
      "ssl.certificate.pem" = "$${aws-secret:${local.secret}#certificate}"
      "ssl.key.pem"         = "$${aws-secret:${local.secret}#privateKey}"
    }
  }
}

module "encryption" {
  source = "./modules/encryption"

  name                 = var.name
  deletion_window_days = var.key_deletion_window_days
  tags                 = local.tags
}

module "network" {
  source = "./modules/network"
  count  = var.existing_network == null ? 1 : 0

  name                    = var.name
  cidr                    = var.vpc_cidr
  availability_zones      = var.availability_zones
  internet_facing         = var.internet_facing
  nat_gateway             = var.nat_gateway
  endpoints_in_every_zone = var.endpoints_in_every_zone
  glue_schema_registry    = var.glue_schema_registry
  log_retention_days      = var.log_retention_days
  key_arn                 = module.encryption.key_arn
  tags                    = local.tags
}

module "storage" {
  source = "./modules/storage"

  name                   = var.name
  deleted_retention_days = var.deleted_retention_days
  force_destroy          = !var.deletion_protection
  key_arn                = module.encryption.key_arn
  tags                   = local.tags
}

module "msk" {
  source = "./modules/msk"

  name                      = var.name
  mode                      = var.kafka_mode
  login                     = local.login
  cluster_arn               = var.kafka_cluster_arn
  security_group_id         = var.kafka_security_group_id
  vpc_id                    = local.network.vpc_id
  subnet_ids                = local.network.private_subnet_ids
  client_security_group_ids = { functions = module.functions.security_group_id, api = module.control_plane.security_group_id }
  kafka_version             = var.kafka_version
  instance_type             = var.kafka_instance_type
  brokers_in_each_zone      = var.kafka_brokers_in_each_zone
  storage_gib               = var.kafka_storage_gib
  max_storage_gib           = var.kafka_max_storage_gib
  log_retention_days        = var.log_retention_days
  key_arn                   = module.encryption.key_arn
  tags                      = local.tags
}

module "database" {
  source = "./modules/database"

  name                     = var.name
  vpc_id                   = local.network.vpc_id
  subnet_ids               = local.network.private_subnet_ids
  client_security_group_id = module.control_plane.security_group_id
  engine_version           = var.database_version
  instances                = var.database_instances
  min_capacity             = var.database_min_capacity
  max_capacity             = var.database_max_capacity
  backup_retention_days    = var.database_backup_retention_days
  deletion_protection      = var.deletion_protection
  log_retention_days       = var.log_retention_days
  key_arn                  = module.encryption.key_arn
  tags                     = local.tags
}

module "access" {
  source = "./modules/access"

  name                       = var.name
  tag_key                    = local.tag_key
  cluster_arn                = module.msk.cluster_arn
  topics                     = var.topics
  glue_schema_registry       = var.glue_schema_registry
  kafka_secret               = var.kafka_secret
  bucket_arn                 = module.storage.bucket_arn
  key_arn                    = module.encryption.key_arn
  vpc_id                     = local.network.vpc_id
  function_subnet_ids        = local.network.private_subnet_ids
  function_security_group_id = module.functions.security_group_id
  tags                       = local.tags
}

module "functions" {
  source = "./modules/functions"

  name                     = var.name
  packages                 = var.packages
  bucket                   = module.storage.bucket
  artifacts_url            = module.storage.artifacts_url
  connection               = local.connection
  training_role_arn        = module.access.training_role_arn
  training_memory_mib      = var.training_memory_mib
  training_scratch_mib     = var.training_scratch_mib
  vpc_id                   = local.network.vpc_id
  subnet_ids               = local.network.private_subnet_ids
  broker_security_group_id = module.msk.security_group_id
  kafka_port               = module.msk.port
  log_retention_days       = var.log_retention_days
  key_arn                  = module.encryption.key_arn
  tags                     = local.tags
}

module "control_plane" {
  source = "./modules/control-plane"

  name                       = var.name
  image_digest               = var.image_digest
  cpu                        = var.api_cpu
  memory                     = var.api_memory
  environment                = local.environment
  task_role_arn              = module.access.api_role_arn
  database_url               = module.database.url
  database_secret_arn        = module.database.secret_arn
  database_security_group_id = module.database.security_group_id
  broker_security_group_id   = module.msk.security_group_id
  kafka_port                 = module.msk.port
  vpc_id                     = local.network.vpc_id
  private_subnet_ids         = local.network.private_subnet_ids
  public_subnet_ids          = local.network.public_subnet_ids
  internet_facing            = var.internet_facing
  allowed_cidrs              = var.allowed_cidrs
  certificate_arn            = var.certificate_arn
  firewall                   = var.firewall
  requests_per_5_minutes     = var.requests_per_5_minutes
  container_insights         = var.container_insights
  deletion_protection        = var.deletion_protection
  force_destroy              = !var.deletion_protection
  log_retention_days         = var.log_retention_days
  key_arn                    = module.encryption.key_arn
  tags                       = local.tags
}

module "observability" {
  source = "./modules/observability"

  name              = var.name
  alarm_emails      = var.alarm_emails
  provisioned       = var.kafka_mode == "provisioned"
  cluster_name      = module.msk.cluster_name
  brokers           = var.kafka_brokers_in_each_zone * length(local.network.private_subnet_ids)
  database_cluster  = module.database.cluster_identifier
  load_balancer     = module.control_plane.load_balancer
  training_function = module.functions.training_function_name
  key_arn           = module.encryption.key_arn
  tags              = local.tags
}
