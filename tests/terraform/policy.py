"""Evaluates IAM policy documents as AWS documents it: a request is allowed where a statement of the role's own policies and one
of its boundary allow it, and none denies it. Only what our policies use is known; anything else is an error, not a guess."""

import re


class Unknown(Exception):
    """The document uses what this evaluator does not know."""


KNOWN = {"Sid", "Effect", "Action", "Resource", "Condition"}


def listed(value):
    return value if isinstance(value, list) else [value]


def like(pattern, value, ignore_case=False):
    """`*` is any text, `?` any character; nothing else is special."""
    expression = "".join(".*" if c == "*" else "." if c == "?" else re.escape(c) for c in pattern)
    return re.fullmatch(expression, value, re.DOTALL | (re.IGNORECASE if ignore_case else 0)) is not None


def arn_like(pattern, value):
    """Each of an ARN's six parts for itself, so that a `*` does not reach over a colon but in the last one."""
    patterns, values = pattern.split(":", 5), value.split(":", 5)
    return len(patterns) == len(values) and all(map(like, patterns, values))


def holds(operator, key, expected, context):
    expected = [str(each) for each in listed(expected)]
    found = next((value for name, value in context.items() if name.lower() == key.lower()), None)
    if operator == "Null":
        return (found is None) == (expected == ["true"])
    if operator == "ForAllValues:StringEquals":
        return all(each in expected for each in listed(found or []))
    if operator.endswith("IfExists"):
        return found is None or holds(operator.removesuffix("IfExists"), key, expected, context)
    tests = {
        "StringEquals": lambda want, have: want == have,
        "StringLike": like,
        "ArnLike": arn_like,
        "Bool": lambda want, have: want.lower() == have.lower(),
    }
    if operator not in tests:
        raise Unknown(f"the condition operator {operator}")
    if isinstance(found, list):
        raise Unknown(f"several values of {key} under {operator}")
    return found is not None and any(tests[operator](want, found) for want in expected)


def applies(statement, action, resource, context):
    if unknown := set(statement) - KNOWN:
        raise Unknown(f"the element {unknown.pop()}")
    return (
        any(like(pattern, action, ignore_case=True) for pattern in listed(statement["Action"]))
        and any(like(pattern, resource) for pattern in listed(statement["Resource"]))
        and all(
            holds(operator, key, expected, context)
            for operator, keys in statement.get("Condition", {}).items()
            for key, expected in keys.items()
        )
    )


def statements(documents):
    return [statement for document in documents for statement in listed(document["Statement"])]


def allowed(own, boundary, action, resource, context):
    """Whether a role with these own policies under this boundary may do it; without a boundary, `boundary` is None."""
    layers = [statements(own)] + ([] if boundary is None else [statements(boundary)])
    effects = [
        {each["Effect"] for each in layer if applies(each, action, resource, context)} for layer in layers
    ]
    return all("Allow" in layer for layer in effects) and not any("Deny" in layer for layer in effects)
