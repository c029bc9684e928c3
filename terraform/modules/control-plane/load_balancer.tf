# The way in: TLS ends here. Behind it, one way into the API, from here alone.

resource "aws_security_group" "balancer" {
  #checkov:skip=CKV2_AWS_5:It is the load balancer's, below
  name        = "${var.name}-balancer"
  description = "The way in to the API"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-balancer" })
}

resource "aws_vpc_security_group_ingress_rule" "balancer" {
  for_each          = toset(var.allowed_cidrs)
  security_group_id = aws_security_group.balancer.id
  description       = "HTTPS"
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_vpc_security_group_egress_rule" "balancer" {
  security_group_id            = aws_security_group.balancer.id
  description                  = "To the API"
  referenced_security_group_id = aws_security_group.api.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
  tags                         = var.tags
}

resource "aws_security_group" "api" {
  name        = "${var.name}-api"
  description = "The API"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-api" })
}

resource "aws_vpc_security_group_ingress_rule" "api" {
  security_group_id            = aws_security_group.api.id
  description                  = "From the load balancer"
  referenced_security_group_id = aws_security_group.balancer.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "api" {
  for_each                     = { kafka = { port = var.kafka_port, group = var.broker_security_group_id }, database = { port = 5432, group = var.database_security_group_id } }
  security_group_id            = aws_security_group.api.id
  description                  = "To ${each.key}"
  referenced_security_group_id = each.value.group
  ip_protocol                  = "tcp"
  from_port                    = each.value.port
  to_port                      = each.value.port
  tags                         = var.tags
}

resource "aws_vpc_security_group_egress_rule" "services" {
  security_group_id = aws_security_group.api.id
  description       = "AWS through endpoints"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  tags              = var.tags
}

resource "aws_lb" "this" {
  #checkov:skip=CKV_AWS_91:Access logs need a second bucket; the API logs what it is asked
  #checkov:skip=CKV2_AWS_28:The firewall is a variable: it is paid by the month
  #checkov:skip=CKV2_AWS_76:The firewall has these rules, in a dynamic block that checkov does not look into
  #checkov:skip=CKV_AWS_150:deletion_protection is a variable, true by default
  #checkov:skip=CKV2_AWS_20:There is no listener without TLS that could send elsewhere
  name                       = var.name
  load_balancer_type         = "application"
  internal                   = !var.internet_facing
  subnets                    = var.internet_facing ? var.public_subnet_ids : var.private_subnet_ids
  security_groups            = [aws_security_group.balancer.id]
  drop_invalid_header_fields = true
  enable_deletion_protection = var.deletion_protection
  # Uploads of models and subscriptions by WebSocket are quiet for longer than a minute.
  idle_timeout = 300
  tags         = var.tags
}

resource "aws_lb_target_group" "this" {
  #checkov:skip=CKV_AWS_378:TLS ends at the load balancer; behind it the traffic stays in the VPC, between two security groups
  name        = var.name
  vpc_id      = var.vpc_id
  target_type = "ip"
  protocol    = "HTTP"
  port        = local.port
  # Longer than what the API gives its last requests.
  deregistration_delay = 30
  tags                 = var.tags

  # Ready is who reaches Kafka and writes to the database. A task that can no longer log in there, after RDS changed the
  # password, is replaced by one that has the new one.
  health_check {
    path                = "/readyz"
    matcher             = "200"
    interval            = 15
    timeout             = 10
    healthy_threshold   = 2
    unhealthy_threshold = 8
  }
}

resource "aws_lb_listener" "https" {
  load_balancer_arn = aws_lb.this.arn
  port              = 443
  protocol          = "HTTPS"
  certificate_arn   = var.certificate_arn
  ssl_policy        = "ELBSecurityPolicy-TLS13-1-2-2021-06"
  tags              = var.tags

  default_action {
    type             = "forward"
    target_group_arn = aws_lb_target_group.this.arn
  }
}

# What the API tells Prometheus is for the VPC.
resource "aws_lb_listener_rule" "metrics" {
  listener_arn = aws_lb_listener.https.arn
  priority     = 1
  tags         = var.tags

  condition {
    path_pattern {
      values = ["/metrics"]
    }
  }

  action {
    type = "fixed-response"

    fixed_response {
      content_type = "text/plain"
      status_code  = "404"
      message_body = "metrics are for the VPC: ask the API itself"
    }
  }
}
