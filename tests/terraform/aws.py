"""AWS for the tests: moto's server, and what moto 5.2.1 lacks before Terraform can make a Millrace on it: configurations,
states and addresses of MSK clusters, event source mappings on Kafka, services of ECS that run, CloudWatch by JSON.

Usage: aws.py PORT
"""

import json
import os
import sys
import time
import uuid
from urllib.parse import unquote, urlparse

from moto.applicationautoscaling.responses import ApplicationAutoScalingResponse
from moto.awslambda import models as functions
from moto.awslambda.exceptions import InvalidParameterValueException
from moto.core import responses as protocols
from moto.core.exceptions import JsonRESTError
from moto.ec2.models import security_groups
from moto.ecs import models as containers
from moto.ecs.responses import EC2ContainerServiceResponse as ContainerResponse
from moto.iam import access_control
from moto.kafka import models as kafka
from moto.kafka import urls as kafka_urls
from moto.rds import models as databases
from moto.s3.models import FakeDeleteMarker
from moto.server import main

BROKERS = "b-1.example:9098,b-2.example:9098"


class NotFound(JsonRESTError):
    code = 404

    def __init__(self):
        super().__init__("NotFoundException", "not found")


def clusters():
    """Clusters are there at once, and one that isn't is not found."""
    backend = kafka.KafkaBackend
    describe, describe_v2 = backend.describe_cluster, backend.describe_cluster_v2

    def active(self, arn):
        if arn not in self.clusters:
            raise NotFound
        self.clusters[arn].state = "ACTIVE"

    def one(self, cluster_arn):
        active(self, cluster_arn)
        return describe(self, cluster_arn)

    def two(self, cluster_arn):
        active(self, cluster_arn)
        return describe_v2(self, cluster_arn)

    backend.describe_cluster, backend.describe_cluster_v2 = one, two


CONFIGURATIONS = {}


def configurations():
    """Configurations of brokers, and brokers' addresses."""

    def now():
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def public(configuration):
        return json.dumps({key: value for key, value in configuration.items() if key != "properties"})

    def collection(request, _url, _headers):
        body = json.loads(request.data or b"{}")
        arn = f"arn:aws:kafka:us-east-1:123456789012:configuration/{body['name']}/{uuid.uuid4()}-1"
        CONFIGURATIONS[arn] = {
            "arn": arn,
            "name": body["name"],
            "description": body.get("description", ""),
            "kafkaVersions": body.get("kafkaVersions", []),
            "creationTime": now(),
            "state": "ACTIVE",
            "latestRevision": {"creationTime": now(), "revision": 1, "description": body.get("description", "")},
            "properties": body["serverProperties"],
        }
        return 200, {}, public(CONFIGURATIONS[arn])

    def member(request, url, _headers):
        arn, _, revision = unquote(urlparse(url).path).split("/v1/configurations/", 1)[1].partition("/revisions/")
        configuration = CONFIGURATIONS.get(arn)
        if configuration is None:
            body = json.dumps({"message": "Configuration ARN does not exist"})
            return 400, {"x-amzn-errortype": "BadRequestException"}, body
        if request.method == "DELETE":
            del CONFIGURATIONS[arn]
            return 200, {}, json.dumps({"arn": arn, "state": "DELETING"})
        if revision:
            body = {**configuration["latestRevision"], "arn": arn, "serverProperties": configuration["properties"]}
            return 200, {}, json.dumps(body)
        return 200, {}, public(configuration)

    def addresses(_request, _url, _headers):
        return 200, {}, json.dumps({"bootstrapBrokerStringSaslIam": BROKERS})

    kafka_urls.url_paths = {
        "{0}/v1/configurations$": collection,
        "{0}/v1/configurations/(?P<arn>.+)$": member,
        "{0}/v1/clusters/(?P<arn>.+)/bootstrap-brokers$": addresses,
        **kafka_urls.url_paths,
    }


def mappings():
    """Event source mappings on Kafka, held to what AWS documents: one topic, 1 to 10,000 records a batch, a start."""
    mapping, backend = functions.EventSourceMapping, functions.LambdaBackend
    service, describe, create, listed = (
        mapping._get_service_source_from_arn,
        mapping.get_configuration,
        backend.create_event_source_mapping,
        backend.list_event_source_mappings,
    )
    set_arn, set_size = mapping.event_source_arn.fset, mapping.batch_size.fset

    def is_kafka(arn):
        return arn is not None and arn.split(":")[2] == "kafka"

    def source(self, arn=None):
        arn = arn or self._event_source_arn
        return "kafka" if is_kafka(arn) else service(self, arn)

    def arn_setter(self, arn):
        if is_kafka(arn):
            self._event_source_arn = arn
        else:
            set_arn(self, arn)

    def size_setter(self, size):
        if not is_kafka(self._event_source_arn):
            set_size(self, size)
            return
        size = 100 if size is None else int(size)
        if not 1 <= size <= 10_000:
            raise InvalidParameterValueException(f"BatchSize {size} is out of range")
        self._batch_size = size

    def configuration(self):
        answer = describe(self)
        if is_kafka(self._event_source_arn):
            answer.setdefault("AmazonManagedKafkaEventSourceConfig", {"ConsumerGroupId": self.uuid})
            answer.setdefault("MaximumBatchingWindowInSeconds", 0)
        return answer

    def creation(self, spec):
        arn = spec.get("EventSourceArn")
        if not is_kafka(arn):
            return create(self, spec)
        if len(spec.get("Topics") or []) != 1:
            raise InvalidParameterValueException("Topics must name exactly one topic")
        if spec.get("StartingPosition") not in ("TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"):
            raise InvalidParameterValueException("StartingPosition is required")
        if arn not in kafka.kafka_backends[self.account_id][self.region_name].clusters:
            raise InvalidParameterValueException(f"there is no cluster {arn}")
        function = self._lambdas.get_function_by_name_or_arn_with_qualifier(spec["FunctionName"])
        spec.update(
            RegionName=self.region_name,
            AccountId=self.account_id,
            FunctionArn=function.function_arn,
            FunctionName=function.function_name,
        )
        made = mapping(spec)
        self._event_source_mappings[made.uuid] = made
        return made

    def listing(self, event_source_arn, function_name):
        name = (function_name or "").split(":function:")[-1].split(":")[0]
        found = listed(self, event_source_arn, None)
        return [each for each in found if not name or each.function_arn.split(":function:")[1].split(":")[0] == name]

    mapping._get_service_source_from_arn = source
    mapping.event_source_arn = property(lambda self: self._event_source_arn, arn_setter)
    mapping.batch_size = property(lambda self: self._batch_size, size_setter)
    mapping.get_configuration = configuration
    backend.create_event_source_mapping = creation
    backend.list_event_source_mappings = listing


def answers():
    """What was given, given back: else a second plan would find differences."""
    rule = security_groups.SecurityGroupRule
    rule.description = property(
        lambda self: self.ip_range.get("Description") or (self.source_group or {}).get("Description")
    )

    cluster = databases.DBCluster
    scaling = cluster.scaling_configuration_info
    cluster.scaling_configuration_info = property(
        lambda self: scaling.fget(self) if self.scaling_configuration else None
    )

    create_service = containers.EC2ContainerServiceBackend.create_service

    def with_defaults(self, *arguments, **named):
        service = create_service(self, *arguments, **named)
        service.availability_zone_rebalancing = "DISABLED"
        return service

    containers.EC2ContainerServiceBackend.create_service = with_defaults
    answer_service = ContainerResponse.create_service

    def with_grace(self):
        answer = answer_service(self)
        answer.result["service"].health_check_grace_period_seconds = self._get_param("healthCheckGracePeriodSeconds")
        return answer

    ContainerResponse.create_service = with_grace

    function = functions.LambdaFunction
    build, describe = function.__init__, function.get_configuration

    def remember(self, *arguments, **named):
        build(self, *arguments, **named)
        spec = named.get("spec") or next(each for each in arguments if isinstance(each, dict))
        self.told = {key: spec[key] for key in ("KMSKeyArn", "LoggingConfig") if key in spec}

    def configuration(self, *arguments, **named):
        return {**describe(self, *arguments, **named), **self.told}

    function.__init__, function.get_configuration = remember, configuration


def metrics():
    """CloudWatch by its JSON protocol, which it has beside the two that moto's service model names."""
    named = protocols.determine_request_protocol

    def by_json(service_model, content_type=None):
        if service_model.service_name == "cloudwatch" and content_type == "application/x-amz-json-1.0":
            return "json"
        return named(service_model, content_type)

    protocols.determine_request_protocol = by_json


def small_gaps():
    permitted = access_control.IAMPolicyStatement.is_action_permitted

    def by_conditions(self, *arguments, **named):
        # moto reads no conditions, and would deny whatever a statement denies under some.
        if self._statement.get("Effect") == "Deny" and self._statement.get("Condition"):
            return access_control.PermissionResult.NEUTRAL
        return permitted(self, *arguments, **named)

    access_control.IAMPolicyStatement.is_action_permitted = by_conditions
    ApplicationAutoScalingResponse.list_tags_for_resource = lambda self: json.dumps({"Tags": {}})
    FakeDeleteMarker.dispose = lambda self, *_arguments, **_named: None

    for kind in vars(databases).values():
        if isinstance(kind, type) and kind.__module__ == databases.__name__ and kind.__name__ == "DBInstance":
            build = kind.__init__

            def with_id(self, *arguments, __build=build, **named):
                __build(self, *arguments, **named)
                self.dbi_resource_id = "db-" + uuid.uuid4().hex[:26].upper()

            kind.__init__ = with_id


if __name__ == "__main__":
    clusters()
    configurations()
    mappings()
    answers()
    metrics()
    small_gaps()
    # A service runs the one task that it wants.
    os.environ["MOTO_ECS_SERVICE_RUNNING"] = "1"
    main(["-H", "127.0.0.1", "-p", sys.argv[1]])
