# Brokers, and Lambda's pollers, which come into the cluster's subnets with the brokers' own security group: so it lets
# itself in, and out to the endpoints of lambda and sts.

resource "aws_security_group" "this" {
  count       = local.existing ? 0 : 1
  name        = "${var.name}-brokers"
  description = "Brokers, and Lambda pollers that read from them"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-brokers" })
}

resource "aws_vpc_security_group_ingress_rule" "itself" {
  count                        = local.existing ? 0 : 1
  security_group_id            = aws_security_group.this[0].id
  description                  = "Pollers to brokers, and brokers to each other"
  referenced_security_group_id = aws_security_group.this[0].id
  ip_protocol                  = "-1"
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "itself" {
  count                        = local.existing ? 0 : 1
  security_group_id            = aws_security_group.this[0].id
  description                  = "Pollers to brokers, and brokers to each other"
  referenced_security_group_id = aws_security_group.this[0].id
  ip_protocol                  = "-1"
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "services" {
  count             = local.existing ? 0 : 1
  security_group_id = aws_security_group.this[0].id
  description       = "Pollers to lambda and sts"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

# A foreign cluster's group is left as it is but for this way in.
resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each                     = var.client_security_group_ids
  security_group_id            = local.security_group_id
  description                  = "Kafka from ${var.name}-${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
  tags                         = var.tags
}
