"""Compares each role with its calls in the tests of the other files, so these tests run last."""

import json
import re
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import parse_qs

import pytest

from tests.support.applied import requests_of
from tests.support.authorization import USES_KEY, as_list
from tests.support.stack import Stack

ACTIONS = {
    ("GET", "list"): "s3:ListBucket",
    ("GET", "object"): "s3:GetObject",
    ("HEAD", "object"): "s3:GetObject",
    ("PUT", "object"): "s3:PutObject",
    ("POST", "object"): "s3:PutObject",
    ("DELETE", "object"): "s3:DeleteObject",
}


# The field of a SageMaker request that names its resource, and how ARNs name its kind.
RESOURCES = {
    "DescribeEndpoint": ("EndpointName", "endpoint"),
    "DescribeEndpointConfig": ("EndpointConfigName", "endpoint-config"),
    "DescribeFeatureGroup": ("FeatureGroupName", "feature-group"),
    "DescribeModel": ("ModelName", "model"),
    "CreateTransformJob": ("TransformJobName", "transform-job"),
    "CreateTrainingJob": ("TrainingJobName", "training-job"),
    "DescribeTrainingJob": ("TrainingJobName", "training-job"),
    "CreateModel": ("ModelName", "model"),
    "DeleteModel": ("ModelName", "model"),
    "CreateModelPackage": ("ModelPackageGroupName", "model-package-group"),
}


# The operations of other services that are named by their path.
OF_PATHS = {"v1/submitjob": "SubmitJob"}


def prefix_of(request: dict[str, str]) -> str | None:
    """Return the prefix that a bucket is listed by, which a policy may limit."""
    query = parse_qs(request["path"].partition("?")[2], keep_blank_values=True)
    return query.get("prefix", [""])[0] if request["service"] == "s3" else None


def called(request: dict[str, str], account: str) -> tuple[str, str]:
    """Return action and resource of a recorded request, as a policy names them."""
    service, path = request["service"], request["path"].partition("?")[0].strip("/")
    if service == "s3":
        return ACTIONS[request["method"], "object" if "/" in path else "list"], f"arn:aws:s3:::{path}"
    body = json.loads(request["body"]) if request["body"].startswith("{") else {"form": request["body"]}
    region = f"us-east-1:{account}"
    if request["action"] == "DescribeModelPackage":
        return "sagemaker:DescribeModelPackage", body["ModelPackageName"]
    if request["action"] == "FilterLogEvents":
        return "logs:FilterLogEvents", f"arn:aws:logs:{region}:log-group:{body['logGroupName']}:log-stream:"
    if service == "lambda":
        return "lambda:InvokeFunction", f"arn:aws:lambda:{region}:function:{path.split('/')[2]}"
    if service == "sagemaker" and request["action"]:
        field, kind = RESOURCES[request["action"]]
        return f"sagemaker:{request['action']}", f"arn:aws:sagemaker:{region}:{kind}/{body[field]}"
    if service == "sagemaker":
        kind, name = path.split("/")[:2]
        action, kind = {"FeatureGroup": ("PutRecord", "feature-group")}.get(kind, ("InvokeEndpoint", "endpoint"))
        return f"sagemaker:{action}", f"arn:aws:sagemaker:{region}:{kind}/{name}"
    if service == "dynamodb" and request["action"] == "BatchGetItem":
        (table,) = body["RequestItems"]
        return "dynamodb:BatchGetItem", f"arn:aws:dynamodb:{region}:table/{table}"
    if service == "dynamodb" and request["action"] == "TransactWriteItems":
        # Each write needs its own right; these are all puts into one table.
        (table,) = {write["Put"]["TableName"] for write in body["TransactItems"]}
        return "dynamodb:PutItem", f"arn:aws:dynamodb:{region}:table/{table}"
    if service == "dynamodb":
        index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
        return f"dynamodb:{request['action']}", f"arn:aws:dynamodb:{region}:table/{body['TableName']}{index}"
    action = request["action"] or OF_PATHS[path]
    return f"{service}:{action}", by_name(service, body, region)


def by_name(service: str, body: dict[str, Any], region: str) -> str:
    """Return the ARN of the resource in a request to a service with few kinds of resources."""
    if service == "athena":
        return f"arn:aws:athena:{region}:workgroup/egress-sentinel"
    if service == "glue":
        name = body.get("Name") or body.get("TableInput", {}).get("Name") or body["TablesToDelete"][0]
        return f"arn:aws:glue:{region}:table/{body['DatabaseName']}/{name}"
    if service in ("ec2", "cloudtrail"):
        return "*"
    if service == "batch":
        return str(body["jobQueue"])
    if service == "states":
        return str(body.get("stateMachineArn") or body["executionArn"])
    if service == "secretsmanager":
        return str(body["SecretId"])
    assert service == "sns", service
    topic = re.search("egress-sentinel-chat[a-z-]*", str(body))
    return f"arn:aws:sns:{region}:{topic[0] if topic else 'egress-sentinel-alerts'}"


def one_by_one(request: dict[str, str]) -> list[dict[str, str]]:
    """Take a request that deletes several tables for one of each."""
    if request["action"] != "BatchDeleteTable":
        return [request]
    body = json.loads(request["body"])
    return [request | {"body": json.dumps({**body, "TablesToDelete": [name]})} for name in body["TablesToDelete"]]


def statements(stack: Stack, role: str) -> list[dict[str, Any]]:
    iam = stack.aws.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    documents = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
    assert not iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return [statement for document in documents for statement in document["Statement"]]


def pairs(statement: dict[str, Any]) -> list[tuple[str, str]]:
    actions, resources = (
        [value] if isinstance(value, str) else value for value in (statement["Action"], statement["Resource"])
    )
    return [(action, resource) for action in actions for resource in resources]


def is_covered(call: tuple[str, str], granted: tuple[str, str]) -> bool:
    return call[0] == granted[0] and fnmatchcase(call[1], granted[1])


def may_list(statement: dict[str, Any], prefix: str) -> bool:
    patterns = statement.get("Condition", {}).get("StringLike", {}).get("s3:prefix", "*")
    return any(fnmatchcase(prefix, pattern) for pattern in as_list(patterns))


# What AWS does on a function's behalf.
BY_AWS_ITSELF = {"ecr", "logs", "kms", "sqs", "xray"}


# What a file calls that names a model package; AWS checks the role that is passed.
OF_PACKAGES = {"sagemaker:CreateModel", "sagemaker:DeleteModel", "sagemaker:DescribeModelPackage", "iam:PassRole"}


# The output that names each function, an example that uses all its features, and its calls after a fault or in
# another example alone.
FUNCTIONS = [
    # No alert of these bills is long enough for a list in S3; `tests/simulation/test_calls.py` has such alerts.
    ("detector_function_name", "serverless", {"dynamodb:GetItem", "s3:PutObject alerts/*"}),
    # Its alerts are those of a day at most; "serverless" shows that each right on them is used.
    (
        "detector_function_name",
        "complete",
        # CloudTrail is read for alerts with a notification only.
        {
            "cloudtrail:LookupEvents",
            "sns:Publish",
            "s3:PutObject alerts/*",
            *(f"dynamodb:{what}Item" for what in ("Get", "BatchGet", "Put")),
        },
    ),
    ("batch_function_name", "serverless", {"s3:ListBucket", *OF_PACKAGES}),
    # A job is submitted with the right on its definition, too.
    ("batch_function_name", "batch", {"s3:ListBucket", "iam:PassRole", "batch:SubmitJob"}),
    ("drift_function_name", "complete", {"s3:ListBucket", "sagemaker:DescribeModelPackage"}),
    ("digest_function_name", "complete", {"dynamodb:BatchGetItem", "s3:DeleteObject", "s3:ListBucket"}),
    # Making a package needs its own ARN too, which there is only afterwards.
    ("registrar_function_name", "complete", {"sagemaker:CreateModelPackage"}),
    ("forwarder_function_names.oncall", "complete", set()),
    ("forwarder_function_names.chat", "complete", set()),
    ("forwarder_function_names.media", "complete", set()),
]


@pytest.mark.parametrize(("function", "example", "unseen"), FUNCTIONS)
def test_a_function_has_exactly_the_permissions_of_its_calls(
    stacks: dict[str, Stack], function: str, example: str, unseen: set[str], have_all_been_used: bool
) -> None:
    stack = stacks[example]
    output, _, destination = function.partition(".")
    name = stack.outputs()[output][destination] if destination else stack.outputs()[output]
    role = stack.aws.client("lambda").get_function_configuration(FunctionName=name)["Role"].rpartition("/")[2]
    compare([stack], role, f"function-{name}", unseen, both_ways=have_all_been_used)


# Actions of Step Functions itself: it creates a rule for the end of the started job, and tags and stops the job.
BY_STEP_FUNCTIONS = {"events:DescribeRule", "events:PutRule", "events:PutTargets", "states:StopExecution"}


BY_STEP_FUNCTIONS |= {"iam:PassRole", "sagemaker:AddTags", "sagemaker:StopTrainingJob", "athena:StopQueryExecution"}


# What Athena asks for beyond what the local one does: of the catalog, of partitions, and for large files.
BY_ATHENA = {"athena:GetDataCatalog", "glue:CreateDatabase", "glue:GetDatabase", "glue:GetPartitions"}


BY_ATHENA |= {"glue:BatchCreatePartition", "s3:GetBucketLocation", "s3:AbortMultipartUpload"}


BY_ATHENA |= {"s3:ListMultipartUploadParts"}


@pytest.mark.parametrize("machine", ["features", "retraining", "flow-hours"])
def test_a_state_machine_has_exactly_the_permissions_of_its_calls(
    stacks: dict[str, Stack], machine: str, have_all_been_used: bool
) -> None:
    """Retraining writes other files of features than a delivery does, with the same role."""
    role = f"egress-sentinel-{machine}-us-east-1"
    examples = ["realtime"] if machine == "flow-hours" else ["complete", "notebook"]
    compare(
        [stacks[name] for name in examples], role, role, BY_STEP_FUNCTIONS | BY_ATHENA, both_ways=have_all_been_used
    )


# SageMaker publishes the metrics that it finds in a training job's log with the job's role.
BY_SAGEMAKER = {"cloudwatch:PutMetricData"}


@pytest.mark.parametrize(
    ("example", "role"), [("complete", "retraining-job"), ("serverless", "endpoint"), ("batch", "large-files")]
)
def test_sagemaker_roles_have_exactly_the_permissions_of_their_calls(
    stacks: dict[str, Stack], example: str, role: str, have_all_been_used: bool
) -> None:
    """A training job; a model, which an endpoint and transform jobs serve; and a job of AWS Batch."""
    name = f"egress-sentinel-{role}-us-east-1"
    compare([stacks[example]], name, name, BY_SAGEMAKER, both_ways=have_all_been_used)


def compare(stacks: list[Stack], role: str, access_key: str, unseen: set[str], *, both_ways: bool) -> None:
    """Compare a role's calls with its policy in both directions."""
    recorded = [single for stack in stacks for request in requests_of(stack) for single in one_by_one(request)]
    calls = {called(r, "123456789012") for r in recorded if r["access_key"] == access_key}
    of_role = statements(stacks[0], role)
    granted = [pair for statement in of_role for pair in pairs(statement)]
    prefixes = {(*called(r, "123456789012"), prefix_of(r)) for r in recorded if r["access_key"] == access_key}
    for action, resource, prefix in prefixes:
        assert any(
            is_covered((action, resource), pair)
            for statement in of_role
            if action != "s3:ListBucket" or may_list(statement, prefix or "")
            for pair in pairs(statement)
        ), f"{action} on {resource} is not allowed, prefix {prefix}"
        for needed in USES_KEY.get(action, set()):
            assert any(needed == pair[0] for pair in granted), f"{action} on {resource} needs {needed}"
    if not both_ways:
        pytest.skip(
            "what a role never uses is known once all tests of this folder have passed; what it used is allowed"
        )
    # A forwarder makes one call: it reads its secret, or writes to the chat.
    assert len(calls) >= (1 if "-to-" in role else 4)
    for action, resource in granted:
        # Who asks for a table of Glue needs the same right on its catalog and database.
        is_above_table = ":glue:" in resource and ":table/" not in resource
        is_unseen = action in unseen or f"{action} {resource.partition('/')[2]}" in unseen
        if action.split(":")[0] not in BY_AWS_ITSELF and not is_unseen and not is_above_table:
            assert any(is_covered(call, (action, resource)) for call in calls), f"{action} on {resource} is never used"


# Actions that AWS knows on no resource.
WITHOUT_RESOURCE = {
    "cloudtrail:LookupEvents",
    "cloudwatch:PutMetricData",
    "ecr:GetAuthorizationToken",
    "xray:PutTelemetryRecords",
    "xray:PutTraceSegments",
}


WITHOUT_RESOURCE |= {
    f"ec2:Describe{what}" for what in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
}


WITHOUT_RESOURCE |= {
    f"logs:{what}"
    for what in (
        "CreateLogDelivery",
        "DeleteLogDelivery",
        "DescribeLogGroups",
        "DescribeResourcePolicies",
        "GetLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "UpdateLogDelivery",
    )
}


WITHOUT_RESOURCE |= {"xray:GetSamplingRules", "xray:GetSamplingTargets"}


def test_no_role_has_a_wildcard_that_is_not_argued(stacks: dict[str, Stack]) -> None:
    for stack in stacks.values():
        for role in stack.aws.client("iam").list_roles()["Roles"]:
            for statement in statements(stack, role["RoleName"]):
                for action, resource in pairs(statement):
                    assert "*" not in action, f"{role['RoleName']}: {action}"
                    assert resource != "*" or action in WITHOUT_RESOURCE, f"{role['RoleName']}: {action} on *"
