variable "name" {
  description = "Name of the installation. Functions are called NAME-…, topics and consumer groups NAME.…; two installations in one account need two names."
  type        = string
  default     = "millrace"
  nullable    = false

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,18}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "Give 3 to 20 lower-case letters, digits and single hyphens, beginning with a letter: load balancers and buckets take no more."
  }
}

variable "tags" {
  description = "Tags of everything that can bear them."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = alltrue([for key in keys(var.tags) : !startswith(lower(key), "aws:") && key != "millrace:installation"])
    error_message = "Tags that begin with aws: are AWS's, and millrace:installation is set here."
  }
}

# --- network

variable "existing_network" {
  description = "Your VPC, with private subnets in two zones or more (and public ones for `internet_facing`). You give it the endpoints that docs/terraform.md lists. Without it a VPC is made."
  type        = object({ vpc_id = string, private_subnet_ids = list(string), public_subnet_ids = optional(list(string), []) })
  default     = null

  validation {
    condition     = var.existing_network == null || try(length(var.existing_network.private_subnet_ids) >= 2, false)
    error_message = "Name private subnets in two zones or more: Kafka and the database want no fewer."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC that is made."
  type        = string
  default     = "10.60.0.0/16"
  nullable    = false

  validation {
    condition     = can(cidrsubnet(var.vpc_cidr, 4, 15)) && try(tonumber(split("/", var.vpc_cidr)[1]) <= 22, false)
    error_message = "Give an IPv4 network of /22 or larger, as 10.60.0.0/16: it is cut into sixteen subnets."
  }
}

variable "availability_zones" {
  description = "Over how many zones everything is laid, 2 or 3. Brokers are paid for each."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = contains([2, 3], var.availability_zones)
    error_message = "Brokers and the database want 2 or 3 zones."
  }
}

variable "nat_gateway" {
  description = "Whether private subnets reach AWS, and the internet, through one NAT gateway in place of endpoints."
  type        = bool
  default     = false
  nullable    = false
}

variable "endpoints_in_every_zone" {
  description = "Whether endpoints stand in every zone: they outlive the loss of one then, and cost as many times."
  type        = bool
  default     = false
  nullable    = false
}

# --- Kafka

variable "kafka_mode" {
  description = "`provisioned` (brokers by the hour), `serverless` (by partition and volume) or `existing` (your MSK cluster)."
  type        = string
  default     = "provisioned"
  nullable    = false

  validation {
    condition     = contains(["provisioned", "serverless", "existing"], var.kafka_mode)
    error_message = "Kafka is `provisioned`, `serverless` or `existing`."
  }

  validation {
    condition     = (var.kafka_mode == "existing") == (var.kafka_cluster_arn != null) && (var.kafka_mode == "existing") == (var.kafka_security_group_id != null)
    error_message = "Give kafka_cluster_arn and kafka_security_group_id where the cluster exists already (mode `existing`), and only there."
  }

  validation {
    condition     = var.kafka_mode != "existing" || var.existing_network != null
    error_message = "Functions must stand where they reach your cluster: give existing_network with kafka_mode `existing`."
  }
}

variable "kafka_cluster_arn" {
  description = "Your MSK cluster, where `kafka_mode` is `existing`. Clients log in to it by IAM, unless `kafka_secret` says otherwise."
  type        = string
  default     = null

  validation {
    condition     = var.kafka_cluster_arn == null || can(regex("^arn:[a-z-]+:kafka:[a-z0-9-]+:[0-9]{12}:cluster/[^/]+/[^/]+$", var.kafka_cluster_arn))
    error_message = "Give the ARN of an MSK cluster: arn:aws:kafka:REGION:ACCOUNT:cluster/NAME/UUID."
  }
}

variable "kafka_security_group_id" {
  description = "The security group of your cluster's brokers, where `kafka_mode` is `existing`: it gets a rule that lets the API and functions in."
  type        = string
  default     = null

  validation {
    condition     = var.kafka_security_group_id == null || can(regex("^sg-[0-9a-f]+$", var.kafka_security_group_id))
    error_message = "Give a security group's id, sg-…"
  }
}

variable "kafka_secret" {
  description = "How everybody logs in to your cluster where not by IAM: `kind` is `scram` (with a `username`) or `certificate` (no `username`), `arn` the secret in Secrets Manager as MSK has it, `key_arn` the key that it is encrypted with."
  type        = object({ kind = string, arn = string, key_arn = string, username = string })
  default     = null

  validation {
    condition     = var.kafka_secret == null || try(contains(["scram", "certificate"], var.kafka_secret.kind) && (var.kafka_secret.kind == "scram") == (var.kafka_secret.username != null), false)
    error_message = "A secret's kind is `scram`, with a username, or `certificate`, without one."
  }

  validation {
    condition     = var.kafka_secret == null || try(can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:.+$", var.kafka_secret.arn)) && can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.kafka_secret.key_arn)), false)
    error_message = "Give the ARN of the secret, arn:aws:secretsmanager:…, and that of its key, arn:aws:kms:…:key/…"
  }

  validation {
    condition     = var.kafka_secret == null || var.kafka_mode == "existing"
    error_message = "Clusters that are made here know logins by IAM alone: a secret goes with kafka_mode `existing`."
  }
}

variable "kafka_version" {
  description = "Apache Kafka's version, as MSK calls it, where brokers are made."
  type        = string
  default     = "3.9.x"
  nullable    = false

  validation {
    condition     = can(regex("^[3-9]\\.[0-9]+\\.([0-9]+|x)(\\.kraft)?$", var.kafka_version))
    error_message = "Give a version as MSK writes it, 3.9.x or 3.9.x.kraft for instance."
  }
}

variable "kafka_instance_type" {
  description = "Kind of broker. kafka.t3.small is for trying out: it takes few new connections a second."
  type        = string
  default     = "kafka.t3.small"
  nullable    = false

  validation {
    condition     = can(regex("^kafka\\.[a-z0-9]+\\.[a-z0-9]+$", var.kafka_instance_type))
    error_message = "Brokers are kafka.t3.small, kafka.m7g.large and the like."
  }
}

variable "kafka_brokers_in_each_zone" {
  description = "Brokers in each zone."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = var.kafka_brokers_in_each_zone >= 1 && var.kafka_brokers_in_each_zone <= 10 && floor(var.kafka_brokers_in_each_zone) == var.kafka_brokers_in_each_zone
    error_message = "Give 1 to 10 brokers a zone."
  }
}

variable "kafka_storage_gib" {
  description = "A broker's disk at first; it grows by itself and never shrinks."
  type        = number
  default     = 20
  nullable    = false

  validation {
    condition     = var.kafka_storage_gib >= 1 && var.kafka_storage_gib <= 16384
    error_message = "A broker's disk has 1 to 16,384 GiB."
  }
}

variable "kafka_max_storage_gib" {
  description = "How far a broker's disk may grow."
  type        = number
  default     = 200
  nullable    = false

  validation {
    condition     = var.kafka_max_storage_gib >= var.kafka_storage_gib && var.kafka_max_storage_gib <= 16384
    error_message = "A broker's disk grows from what it has at first to 16,384 GiB at most."
  }
}

variable "topics" {
  description = "Names of your topics that the API and functions may read and write, with * at the end where they begin alike. Others stay closed to them."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.topics) > 0 && alltrue([for topic in var.topics : can(regex("^[A-Za-z0-9._-]*\\*?$", topic)) && topic != ""])
    error_message = "Name at least one topic: letters, digits, dots, underscores and hyphens, with * at the end or alone."
  }
}

variable "glue_schema_registry" {
  description = "Whether functions and the API may read schemas of the account's AWS Glue Schema Registry. Takes an endpoint more, in a VPC of your own too."
  type        = bool
  default     = false
  nullable    = false
}

# --- functions

variable "packages" {
  description = "The zips of the functions, by kind, as `make lambda` builds them."
  type        = object({ inference = string, training = string })
  nullable    = false

  validation {
    condition     = alltrue([for path in values(var.packages) : endswith(path, ".zip")])
    error_message = "Functions' code comes as .zip."
  }
}

variable "inference_memory_mib" {
  description = "Memory of a function that predicts, unless its inference says otherwise; 1,769 MiB have one processor."
  type        = number
  default     = 1024
  nullable    = false

  validation {
    condition     = var.inference_memory_mib >= 256 && var.inference_memory_mib <= 10240 && floor(var.inference_memory_mib) == var.inference_memory_mib
    error_message = "Give 256 to 10,240 MiB."
  }
}

variable "training_memory_mib" {
  description = "Memory of a training; 1,769 MiB have one processor."
  type        = number
  default     = 3538
  nullable    = false

  validation {
    condition     = var.training_memory_mib >= 512 && var.training_memory_mib <= 10240 && floor(var.training_memory_mib) == var.training_memory_mib
    error_message = "Give 512 to 10,240 MiB."
  }
}

variable "training_scratch_mib" {
  description = "Disk of a training, for records that its memory doesn't hold."
  type        = number
  default     = 2048
  nullable    = false

  validation {
    condition     = var.training_scratch_mib >= 512 && var.training_scratch_mib <= 10240 && floor(var.training_scratch_mib) == var.training_scratch_mib
    error_message = "Give 512 to 10,240 MiB."
  }
}

variable "training_slots" {
  description = "How many trainings may run at once."
  type        = number
  default     = 4
  nullable    = false

  validation {
    condition     = var.training_slots >= 1 && var.training_slots <= 64 && floor(var.training_slots) == var.training_slots
    error_message = "Give 1 to 64 slots."
  }
}

variable "training_pollers" {
  description = "Pollers of the training pool that are always there, at extra cost: with them a training begins within seconds, without them when Lambda's own pollers come around to it."
  type        = object({ minimum = number, maximum = number })
  default     = null

  validation {
    condition     = var.training_pollers == null || try(var.training_pollers.minimum >= 1 && var.training_pollers.minimum <= 200 && var.training_pollers.maximum >= var.training_pollers.minimum && var.training_pollers.maximum <= 2000, false)
    error_message = "Give a minimum of 1 to 200 and a maximum from there to 2,000."
  }
}

# --- the API

variable "image_digest" {
  description = "Digest of the API's image in the repository that is made here (output `repository_url`). Without it everything but the API is made, and the image can be pushed."
  type        = string
  default     = null

  validation {
    condition     = var.image_digest == null || can(regex("^sha256:[0-9a-f]{64}$", var.image_digest))
    error_message = "Give the digest that `docker push` printed, sha256: and 64 hexadecimal digits; tags can be moved."
  }
}

variable "api_cpu" {
  description = "Processor units of the API's task: 1,024 are one."
  type        = number
  default     = 512
  nullable    = false

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096], var.api_cpu)
    error_message = "Fargate has 256, 512, 1024, 2048 or 4096 units."
  }
}

variable "api_memory" {
  description = "Memory of the API's task in MiB."
  type        = number
  default     = 1024
  nullable    = false

  validation {
    condition     = var.api_memory >= 2 * var.api_cpu && var.api_memory <= 8 * var.api_cpu && var.api_memory % 512 == 0
    error_message = "Fargate has 2 to 8 MiB of memory for each processor unit, in steps of 512."
  }
}

variable "certificate_arn" {
  description = "Certificate in ACM of the name under which the API is reached."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^arn:[a-z-]+:acm:[a-z0-9-]+:[0-9]{12}:certificate/", var.certificate_arn))
    error_message = "Give the ARN of a certificate in ACM, of the region of everything else."
  }
}

variable "internet_facing" {
  description = "Whether the internet reaches the API; else only the VPC and what is connected to it."
  type        = bool
  default     = false
  nullable    = false
}

variable "allowed_cidrs" {
  description = "From where the API may be reached."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.allowed_cidrs) > 0 && alltrue([for cidr in var.allowed_cidrs : can(cidrhost(cidr, 0))])
    error_message = "Give at least one network, as 10.0.0.0/8 or 203.0.113.7/32."
  }
}

variable "firewall" {
  description = "Whether a web application firewall (AWS WAF) stands before the API."
  type        = bool
  default     = false
  nullable    = false
}

variable "requests_per_5_minutes" {
  description = "How many requests one address may make in five minutes, where there is a firewall."
  type        = number
  default     = 3000
  nullable    = false

  validation {
    condition     = var.requests_per_5_minutes >= 10 && var.requests_per_5_minutes <= 2000000000
    error_message = "AWS WAF limits to 10 requests in five minutes or more."
  }
}

variable "container_insights" {
  description = "Whether CloudWatch counts more about the API's task, at a price."
  type        = bool
  default     = false
  nullable    = false
}

# --- the database

variable "database_version" {
  description = "Version of Aurora PostgreSQL."
  type        = string
  default     = "16.6"
  nullable    = false

  validation {
    condition     = can(regex("^1[5-9]\\.[0-9]+$", var.database_version))
    error_message = "Give a version of Aurora PostgreSQL, 15 or later, 16.6 for instance."
  }
}

variable "database_instances" {
  description = "Instances: a second one, in another zone, takes over within seconds."
  type        = number
  default     = 1
  nullable    = false

  validation {
    condition     = contains([1, 2, 3], var.database_instances)
    error_message = "Give 1, 2 or 3 instances."
  }
}

variable "database_min_capacity" {
  description = "Aurora capacity units (2 GiB each) of an instance that are always there, and paid."
  type        = number
  default     = 0.5
  nullable    = false

  validation {
    condition     = var.database_min_capacity >= 0.5 && var.database_min_capacity <= 256 && floor(var.database_min_capacity * 2) == var.database_min_capacity * 2
    error_message = "Give 0.5 to 256 in steps of a half. (With 0 Aurora pauses when nobody is connected; the API always is.)"
  }
}

variable "database_max_capacity" {
  description = "Aurora capacity units of an instance at most."
  type        = number
  default     = 2
  nullable    = false

  validation {
    condition     = var.database_max_capacity >= max(1, var.database_min_capacity) && var.database_max_capacity <= 256 && floor(var.database_max_capacity * 2) == var.database_max_capacity * 2
    error_message = "Give 1 to 256 in steps of a half, and no less than the units that are always there."
  }
}

variable "database_backup_retention_days" {
  description = "For how many days the database can be put back to any second."
  type        = number
  default     = 7
  nullable    = false

  validation {
    condition     = var.database_backup_retention_days >= 1 && var.database_backup_retention_days <= 35
    error_message = "Aurora keeps backups for 1 to 35 days."
  }
}

# --- what is kept, and who is told

variable "deleted_retention_days" {
  description = "For how many days a deleted or overwritten artifact can be brought back."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.deleted_retention_days >= 1 && floor(var.deleted_retention_days) == var.deleted_retention_days
    error_message = "Give whole days, 1 or more."
  }
}

variable "log_retention_days" {
  description = "For how many days logs are kept."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653 days."
  }
}

variable "key_deletion_window_days" {
  description = "For how many days after a teardown the key can still be brought back, and what lies under it be read."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.key_deletion_window_days >= 7 && var.key_deletion_window_days <= 30
    error_message = "AWS keeps a deleted key for 7 to 30 days."
  }
}

variable "deletion_protection" {
  description = "Whether a teardown stops before the database, the load balancer and what the bucket and the repository hold. Set it to false, and apply, before you destroy."
  type        = bool
  default     = true
  nullable    = false
}

variable "alarm_emails" {
  description = "Who is written to when an alarm goes off; AWS asks each address first."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for address in var.alarm_emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "Give addresses as somebody@example.com."
  }
}
