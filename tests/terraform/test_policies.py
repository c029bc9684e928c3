"""Who may do what, asked of the policies that Terraform wrote: a request a line, and whether it is allowed.

Usage: test_policies.py OUTPUT, where OUTPUT is what `terraform output -json` said of the example `minimal`.
"""

import copy
import json
import sys

from policy import allowed

ACCOUNT = "us-east-1:123456789012"
FUNCTION = f"arn:aws:lambda:{ACCOUNT}:function:millrace-orders"
FOREIGN = f"arn:aws:lambda:{ACCOUNT}:function:payroll"
MAPPING = f"arn:aws:lambda:{ACCOUNT}:event-source-mapping:11111111-2222-3333-4444-555555555555"
LOGS = f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/millrace-orders"
OURS = {"aws:ResourceTag/millrace:installation": "millrace"}
REQUESTED = {"aws:RequestTag/millrace:installation": "millrace"}
TO_LAMBDA = {"iam:PassedToService": "lambda.amazonaws.com"}
ROLES = "arn:aws:iam::123456789012:role"


def requests(told):
    """(role, action, resource, context, expected)"""
    cluster = told["cluster_arn"]
    topic, group = cluster.replace(":cluster/", ":topic/"), cluster.replace(":cluster/", ":group/")
    bucket = f"arn:aws:s3:::{told['bucket']}"
    place = {
        "lambda:VpcIds": told["vpc_id"],
        "lambda:SubnetIds": told["private_subnet_ids"],
        "lambda:SecurityGroupIds": [told["function_security_group_id"]],
    }
    new = {**REQUESTED, **place}
    yes, no = True, False
    return [
        # Functions: by name, tag, network and role, or not at all.
        ("api", "lambda:CreateFunction", FUNCTION, new, yes),
        ("api", "lambda:CreateFunction", FUNCTION, place, no),
        ("api", "lambda:CreateFunction", FUNCTION, {**new, "aws:RequestTag/millrace:installation": "other"}, no),
        ("api", "lambda:CreateFunction", FOREIGN, new, no),
        ("api", "lambda:CreateFunction", FUNCTION, REQUESTED, no),
        ("api", "lambda:CreateFunction", FUNCTION, {**new, "lambda:VpcIds": "vpc-other"}, no),
        ("api", "lambda:CreateFunction", FUNCTION, {**new, "lambda:SecurityGroupIds": ["sg-other"]}, no),
        ("api", "lambda:CreateFunction", FUNCTION, {**new, "lambda:SubnetIds": ["subnet-other"]}, no),
        ("api", "lambda:CreateFunction", FUNCTION, {**new, "lambda:Layer": ["arn:aws:lambda:::layer:x"]}, no),
        ("api", "iam:PassRole", told["function_role_arn"], TO_LAMBDA, yes),
        ("api", "iam:PassRole", told["function_role_arn"], {"iam:PassedToService": "ec2.amazonaws.com"}, no),
        ("api", "iam:PassRole", told["function_role_arn"], {}, no),
        ("api", "iam:PassRole", told["api_role_arn"], TO_LAMBDA, no),
        ("api", "iam:PassRole", f"{ROLES}/admin", TO_LAMBDA, no),
        ("api", "iam:CreateRole", f"{ROLES}/millrace-new", {}, no),
        ("api", "iam:PutRolePolicy", told["function_role_arn"], {}, no),
        ("api", "lambda:TagResource", FUNCTION, REQUESTED, yes),
        ("api", "lambda:TagResource", FUNCTION, {}, no),
        ("api", "lambda:UntagResource", FUNCTION, OURS, no),
        # What is not there has no tag.
        ("api", "lambda:GetFunction", FUNCTION, {}, yes),
        ("api", "lambda:GetFunction", FOREIGN, {}, no),
        ("api", "lambda:UpdateFunctionCode", FUNCTION, OURS, yes),
        ("api", "lambda:UpdateFunctionCode", FUNCTION, {}, no),
        ("api", "lambda:UpdateFunctionCode", FOREIGN, OURS, no),
        ("api", "lambda:UpdateFunctionConfiguration", FUNCTION, {**OURS, **place}, yes),
        ("api", "lambda:UpdateFunctionConfiguration", FUNCTION, {**OURS, "lambda:VpcIds": "vpc-other"}, no),
        ("api", "lambda:UpdateFunctionConfiguration", FUNCTION, {**OURS, "lambda:Layer": ["arn"]}, no),
        ("api", "lambda:PublishVersion", FUNCTION, OURS, yes),
        ("api", "lambda:CreateAlias", FUNCTION, OURS, yes),
        ("api", "lambda:UpdateAlias", FUNCTION, OURS, yes),
        ("api", "lambda:DeleteAlias", FUNCTION, OURS, yes),
        ("api", "lambda:PutFunctionConcurrency", FUNCTION, OURS, yes),
        ("api", "lambda:DeleteFunction", FUNCTION, OURS, yes),
        ("api", "lambda:DeleteFunction", FUNCTION, {"aws:ResourceTag/millrace:installation": "other"}, no),
        ("api", "lambda:DeleteFunction", FOREIGN, {}, no),
        ("api", "lambda:AddPermission", FUNCTION, OURS, no),
        ("api", "lambda:CreateFunctionUrlConfig", FUNCTION, OURS, no),
        ("api", "lambda:InvokeFunction", FUNCTION, OURS, no),
        ("api", "cloudwatch:GetMetricData", "*", {}, yes),
        ("api", "cloudwatch:PutMetricData", "*", {}, no),
        # Mappings: on our functions alone.
        ("api", "lambda:CreateEventSourceMapping", "*", {**REQUESTED, "lambda:FunctionArn": FUNCTION}, yes),
        ("api", "lambda:CreateEventSourceMapping", "*", {**REQUESTED, "lambda:FunctionArn": FOREIGN}, no),
        ("api", "lambda:CreateEventSourceMapping", "*", {"lambda:FunctionArn": FUNCTION}, no),
        ("api", "lambda:UpdateEventSourceMapping", MAPPING, {"lambda:FunctionArn": FUNCTION}, yes),
        ("api", "lambda:GetEventSourceMapping", MAPPING, {"lambda:FunctionArn": FUNCTION}, yes),
        ("api", "lambda:DeleteEventSourceMapping", MAPPING, {"lambda:FunctionArn": FOREIGN}, no),
        ("api", "lambda:TagResource", MAPPING, REQUESTED, yes),
        ("api", "lambda:ListEventSourceMappings", "*", {}, yes),
        # Code, artifacts, logs.
        ("api", "s3:GetObject", f"{bucket}/functions/0123/inference.zip", {}, yes),
        ("api", "s3:PutObject", f"{bucket}/functions/0123/inference.zip", {}, no),
        ("api", "s3:PutObject", f"{bucket}/artifacts/sha256/0123", {}, yes),
        ("api", "s3:PutBucketPolicy", bucket, {}, no),
        ("api", "s3:ListBucket", bucket, {"s3:prefix": "artifacts/sha256/"}, yes),
        ("api", "s3:ListBucket", bucket, {"s3:prefix": "functions/"}, no),
        ("api", "s3:GetObject", "arn:aws:s3:::other/artifacts/x", {}, no),
        ("api", "logs:CreateLogGroup", LOGS, {}, yes),
        ("api", "logs:PutRetentionPolicy", LOGS, {}, yes),
        ("api", "logs:DeleteLogGroup", f"arn:aws:logs:{ACCOUNT}:log-group:/aws/lambda/payroll", {}, no),
        ("api", "cloudwatch:GetMetricData", "*", {}, yes),
        ("api", "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:123456789012:secret:x", {}, no),
        # Kafka: all of its own, of others' what was named, and never their end.
        ("api", "kafka-cluster:CreateTopic", f"{topic}/millrace.events", {}, yes),
        ("api", "kafka-cluster:DeleteTopic", f"{topic}/millrace.dlq.orders", {}, yes),
        ("api", "kafka-cluster:ReadData", f"{topic}/orders-in", {}, yes),
        ("api", "kafka-cluster:DeleteTopic", f"{topic}/orders-in", {}, no),
        ("api", "kafka-cluster:ReadData", f"{topic}/payroll", {}, no),
        ("api", "kafka-cluster:AlterGroup", f"{group}/millrace.inference.orders", {}, yes),
        ("api", "kafka-cluster:AlterGroup", f"{group}/payroll", {}, no),
        ("inference", "kafka-cluster:Connect", cluster, {}, yes),
        ("inference", "kafka-cluster:ReadData", f"{topic}/orders-in", {}, yes),
        ("inference", "kafka-cluster:WriteData", f"{topic}/orders-out", {}, yes),
        ("inference", "kafka-cluster:WriteData", f"{topic}/millrace.dlq.orders", {}, yes),
        ("inference", "kafka-cluster:AlterGroup", f"{group}/millrace.inference.orders", {}, yes),
        ("inference", "kafka-cluster:CreateTopic", f"{topic}/millrace.new", {}, no),
        ("inference", "kafka-cluster:ReadData", f"{topic}/payroll", {}, no),
        ("inference", "s3:GetObject", f"{bucket}/artifacts/sha256/0123", {}, yes),
        ("inference", "s3:PutObject", f"{bucket}/artifacts/sha256/0123", {}, no),
        ("inference", "s3:GetObject", f"{bucket}/functions/0123/inference.zip", {}, no),
        ("inference", "kafka:GetBootstrapBrokers", cluster, {}, yes),
        ("inference", "ec2:CreateNetworkInterface", "*", {}, yes),
        ("inference", "ec2:CreateNetworkInterface", "*", {"lambda:SourceFunctionArn": FUNCTION}, no),
        ("inference", "logs:PutLogEvents", f"{LOGS}:log-stream:x", {}, yes),
        ("inference", "lambda:CreateFunction", FUNCTION, new, no),
        ("inference", "iam:PassRole", told["function_role_arn"], TO_LAMBDA, no),
        # Whether an object is missing hears only who may list the bucket, by a request that has no prefix.
        ("inference", "s3:ListBucket", bucket, {}, yes),
        ("inference", "s3:ListBucket", bucket, {"s3:prefix": "artifacts/sha256/"}, yes),
        ("inference", "s3:ListBucket", bucket, {"s3:prefix": "functions/"}, no),
        ("training", "s3:ListBucket", bucket, {}, yes),
        ("api", "s3:ListBucket", bucket, {}, yes),
        # Nobody asked for it.
        ("inference", "glue:GetSchemaVersion", "*", {}, no),
        ("training", "kafka-cluster:ReadData", f"{topic}/orders-in", {}, yes),
        ("training", "kafka-cluster:WriteData", f"{topic}/orders-in", {}, no),
        ("training", "kafka-cluster:WriteData", f"{topic}/millrace.training", {}, yes),
        ("training", "s3:PutObject", f"{bucket}/artifacts/checkpoints/1", {}, yes),
        ("training", "s3:PutObject", f"{bucket}/functions/0123/training.zip", {}, no),
    ]


def sizes(policies):
    """IAM's limits, in characters without white space: 10,240 for a role's own policies, 6,144 for a boundary."""
    for role, documents in policies.items():
        size = sum(len(json.dumps(document, separators=(",", ":"))) for document in documents)
        limit = 6144 if role == "boundary" else 10_240
        assert size <= limit, f"the policies of {role} have {size} characters, and IAM takes {limit}"


def check(policies, told):
    """How many requests were answered as they should not be."""
    wrong = []
    for role, action, resource, context, expected in requests(told):
        if allowed(policies[role], policies["boundary"], action, resource, context) != expected:
            wrong.append(f"{role}: {action} on {resource} with {context} should be {'allowed' if expected else 'refused'}")
    return wrong


def without(policies, role, action):
    """The policies with one action taken out."""
    changed = copy.deepcopy(policies)
    for document in changed[role]:
        for statement in document["Statement"]:
            actions = statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]]
            statement["Action"] = [each for each in actions if each != action] or ["none:None"]
    return changed


def main(path):
    with open(path, encoding="utf-8") as file:
        told = json.load(file)["millrace"]["value"]
    policies = {role: [json.loads(document) for document in documents] for role, documents in told["policies"].items()}
    sizes(policies)
    wrong = check(policies, told)
    for role, action in [("api", "lambda:DeleteFunction"), ("api", "iam:PassRole"), ("inference", "s3:GetObject")]:
        if not check(without(policies, role, action), told):
            wrong.append(f"nobody missed {action} of {role}")
    # A boundary that grants less is felt, whatever a role's own policies say.
    bounded = copy.deepcopy(policies)
    bounded["boundary"][0]["Statement"] = [each for each in bounded["boundary"][0]["Statement"] if each["Sid"] != "Artifacts"]
    if not check(bounded, told):
        wrong.append("nobody missed the boundary's artifacts")
    print("\n".join(wrong) or f"{len(requests(told))} requests answered as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
