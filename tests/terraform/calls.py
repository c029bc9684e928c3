"""The calls that the API's driver of Lambda made, as the rights that IAM would ask for. Whatever it does not know is an error."""

import re

TAG = "aws:ResourceTag/"
REQUESTED = "aws:RequestTag/"


def tags(kind, body):
    return {kind + key: value for key, value in (body.get("Tags") or {}).items()}


class Rights:
    """Turns calls into rights. It remembers the tags that functions were made with: whoever is changed has these."""

    def __init__(self, told):
        place = told["cluster_arn"].split(":")
        self.place = f"{place[3]}:{place[4]}"
        self.vpc = told["vpc_id"]
        self.made = {}

    def function(self, name):
        return f"arn:aws:lambda:{self.place}:function:{name}"

    def network(self, body):
        config = body.get("VpcConfig")
        if config is None:
            return {}
        return {
            "lambda:VpcIds": self.vpc,
            "lambda:SubnetIds": config["SubnetIds"],
            "lambda:SecurityGroupIds": config["SecurityGroupIds"],
            **({"lambda:Layer": body["Layers"]} if "Layers" in body else {}),
        }

    def role(self, body):
        return ("iam:PassRole", body["Role"], {"iam:PassedToService": "lambda.amazonaws.com"})

    def code(self, body):
        return ("s3:GetObject", f"arn:aws:s3:::{body['S3Bucket']}/{body['S3Key']}", {})

    def of(self, call):
        """[(action, resource, context)] of one call."""
        body = call["body"] or {}
        if call["target"]:
            action = "logs:" + call["target"].removeprefix("Logs_20140328.")
            group = f"arn:aws:logs:{self.place}:log-group:{body['logGroupName']}"
            return [(action, group, {}), (action, group + ":*", {})]
        path = re.sub(r"^https?://[^/]*", "", call["uri"]).split("?")[0].rstrip("/")
        for method, pattern, rights in self.routes():
            found = re.fullmatch(pattern, path)
            if found and method == call["method"]:
                return rights(body, *found.groups())
        raise SystemExit(f"nobody knows which right this takes: {call['method']} {path}")

    def routes(self):
        functions, mappings = "/2015-03-31/functions", "/2015-03-31/event-source-mappings"
        concurrency = "/2017-10-31/functions/([^/]+)/concurrency"
        return [
            ("GET", f"{functions}/([^/]+)", self.look),
            ("POST", functions, self.create),
            ("PUT", f"{functions}/([^/]+)/code", lambda body, name: [*self.change("UpdateFunctionCode", name), self.code(body)]),
            ("PUT", f"{functions}/([^/]+)/configuration", self.configure),
            ("DELETE", f"{functions}/([^/]+)", lambda _, name: self.change("DeleteFunction", name)),
            ("PUT", concurrency, lambda _, name: self.change("PutFunctionConcurrency", name)),
            ("DELETE", concurrency, lambda _, name: self.change("DeleteFunctionConcurrency", name)),
            ("GET", mappings, lambda _: [("lambda:ListEventSourceMappings", "*", {})]),
            ("POST", mappings, self.bring),
            ("PUT", f"{mappings}/([^/]+)", lambda _, id: self.mapping("UpdateEventSourceMapping", id)),
            ("DELETE", f"{mappings}/([^/]+)", lambda _, id: self.mapping("DeleteEventSourceMapping", id)),
        ]

    def look(self, _body, name):
        # Without the second one the answer has no tags.
        return [("lambda:GetFunction", self.function(name), {}), ("lambda:ListTags", self.function(name), {})]

    def create(self, body):
        arn = self.function(body["FunctionName"])
        self.made[body["FunctionName"]] = tags(TAG, body)
        requested = tags(REQUESTED, body)
        return [
            ("lambda:CreateFunction", arn, {**requested, **self.network(body)}),
            ("lambda:TagResource", arn, requested),
            self.role(body),
            self.code(body["Code"]),
            ("ec2:DescribeSubnets", "*", {}),
            ("ec2:DescribeSecurityGroups", "*", {}),
            ("ec2:DescribeVpcs", "*", {}),
        ]

    def change(self, operation, name, context=None):
        return [(f"lambda:{operation}", self.function(name), {**self.made.get(name, {}), **(context or {})})]

    def configure(self, body, name):
        return [*self.change("UpdateFunctionConfiguration", name, self.network(body)), self.role(body)]

    def bring(self, body):
        requested, arn = tags(REQUESTED, body), self.function(body["FunctionName"])
        self.fed = arn
        return [
            ("lambda:CreateEventSourceMapping", "*", {**requested, "lambda:FunctionArn": arn}),
            ("lambda:TagResource", f"arn:aws:lambda:{self.place}:event-source-mapping:new", requested),
        ]

    def mapping(self, operation, id):
        return [(f"lambda:{operation}", f"arn:aws:lambda:{self.place}:event-source-mapping:{id}", {"lambda:FunctionArn": self.fed})]
