# A VPC whose workloads stand in private subnets without a way to the internet. What they need of AWS they reach through
# endpoints, or, where asked for, everything through one NAT gateway.

data "aws_availability_zones" "available" {
  #checkov:skip=CKV_AWS_394:The first two or three by name are taken; a zone that AWS adds comes after them
  state = "available"

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

data "aws_region" "current" {}

locals {
  zones = slice(data.aws_availability_zones.available.names, 0, var.availability_zones)
  # Public subnets hold the load balancer of an API that the internet may reach, and the NAT gateway; nothing else.
  public = var.internet_facing || var.nat_gateway
  # On-demand pollers of Lambda come with the brokers' security group and call lambda and sts from there. Fargate starts
  # the API from ecr, with logs and a secret; the API itself calls lambda and monitoring.
  services = concat(
    ["lambda", "sts", "ecr.api", "ecr.dkr", "logs", "secretsmanager", "monitoring"],
    var.glue_schema_registry ? ["glue"] : [],
  )
  endpoints = var.nat_gateway ? [] : local.services
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name })
}

# Whatever names no security group gets this one, which lets nothing through.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-default-closed" })
}

resource "aws_subnet" "private" {
  count             = var.availability_zones
  vpc_id            = aws_vpc.this.id
  availability_zone = local.zones[count.index]
  cidr_block        = cidrsubnet(var.cidr, 4, count.index)
  tags              = merge(var.tags, { Name = "${var.name}-private-${local.zones[count.index]}" })
}

resource "aws_route_table" "private" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-private" })
}

resource "aws_route_table_association" "private" {
  count          = var.availability_zones
  subnet_id      = aws_subnet.private[count.index].id
  route_table_id = aws_route_table.private.id
}
