"""Whether the API may make the calls that its driver of Lambda makes, by the policies that Terraform wrote; and whether a right
that is taken away is missed.

Usage: test_calls.py OUTPUT CALLS, where OUTPUT is what `terraform output -json` said, and CALLS what the driver's tests recorded.
"""

import json
import sys

from calls import Rights
from policy import allowed
from test_policies import without


def refused(policies, rights):
    return [right for right in rights if not allowed(policies["api"], policies["boundary"], *right)]


def main(output, calls):
    with open(output, encoding="utf-8") as file:
        told = json.load(file)["millrace"]["value"]
    policies = {role: [json.loads(document) for document in documents] for role, documents in told["policies"].items()}
    reader, rights, count = Rights(told), [], 0
    with open(calls, encoding="utf-8") as file:
        for line in file:
            count += 1
            rights += [right for right in reader.of(json.loads(line)) if right not in rights]
    actions = sorted({action for action, _, _ in rights})
    wrong = [f"the API may not {action} on {resource} with {context}" for action, resource, context in refused(policies, rights)]
    wrong += [f"nobody missed {action}" for action in actions if not refused(without(policies, "api", action), rights)]
    # All that the driver can call: fewer were recorded only if a test has gone.
    if len(actions) < 21:
        wrong.append(f"only {len(actions)} actions were recorded")
    print("\n".join(wrong) or f"{count} calls, which take {len(actions)} rights: {', '.join(actions)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
