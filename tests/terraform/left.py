"""Looks for what a teardown left behind in the account. Usage: left.py ADDRESS"""

import sys

import boto3


def client(service):
    return boto3.client(service, endpoint_url=sys.argv[1])


left = {
    "functions": client("lambda").list_functions()["Functions"],
    "event source mappings": client("lambda").list_event_source_mappings()["EventSourceMappings"],
    "clusters of Kafka": client("kafka").list_clusters_v2()["ClusterInfoList"],
    "buckets": client("s3").list_buckets()["Buckets"],
    "databases": client("rds").describe_db_clusters()["DBClusters"],
    "roles": client("iam").list_roles()["Roles"],
    "policies": client("iam").list_policies(Scope="Local")["Policies"],
    "load balancers": client("elbv2").describe_load_balancers()["LoadBalancers"],
    # A cluster of services that was removed is listed for a while.
    "clusters of services": [
        each["clusterArn"]
        for each in client("ecs").describe_clusters(clusters=client("ecs").list_clusters()["clusterArns"])["clusters"]
        if each["status"] == "ACTIVE"
    ],
    "repositories": client("ecr").describe_repositories()["repositories"],
    "VPCs": [each for each in client("ec2").describe_vpcs()["Vpcs"] if not each["IsDefault"]],
    "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
    "log groups": client("logs").describe_log_groups()["logGroups"],
}
found = {name: things for name, things in left.items() if things}
for name, things in found.items():
    print(f"{name} left behind: {things}")
sys.exit(1 if found else 0)
