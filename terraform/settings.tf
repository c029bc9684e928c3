# What the API is told: its settings as environment variables (docs/configuration.md). No secret is among them.
locals {
  environment = merge(
    {
      MILLRACE_ARTIFACTS__URL               = module.storage.artifacts_url
      MILLRACE_KAFKA__BOOTSTRAP_SERVERS     = module.msk.bootstrap_servers
      MILLRACE_KAFKA__PREFIX                = var.name
      MILLRACE_KAFKA__REPLICATION           = "-1"
      MILLRACE_PLATFORM__TRAININGS          = "lambda"
      MILLRACE_PLATFORM__LAMBDA__PREFIX     = var.name
      MILLRACE_PLATFORM__LAMBDA__TAG_KEY    = local.tag_key
      MILLRACE_PLATFORM__LAMBDA__ROLE       = module.access.inference_role_arn
      MILLRACE_PLATFORM__LAMBDA__SUBNETS    = join(",", local.network.private_subnet_ids)
      MILLRACE_PLATFORM__LAMBDA__GROUPS     = module.functions.security_group_id
      MILLRACE_PLATFORM__LAMBDA__CLUSTER    = module.msk.cluster_arn
      MILLRACE_PLATFORM__LAMBDA__BUCKET     = module.storage.bucket
      MILLRACE_PLATFORM__LAMBDA__PACKAGE    = module.functions.inference_package_key
      MILLRACE_PLATFORM__LAMBDA__SLOTS      = tostring(var.training_slots)
      MILLRACE_PLATFORM__LAMBDA__LOG_DAYS   = tostring(var.log_retention_days)
      MILLRACE_PLATFORM__LAMBDA__MEMORY_MIB = tostring(var.inference_memory_mib)
    },
    {
      for property, value in local.connection :
      "MILLRACE_KAFKA__PROPERTIES__${upper(replace(property, ".", "_"))}" => value
      if property != "bootstrap.servers"
    },
  )
}
