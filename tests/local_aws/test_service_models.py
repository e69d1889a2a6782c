"""Requests and answers are held against botocore's service models, for every service that the configuration uses."""

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request, Response

from local_aws import LocalAws
from local_aws.patterns import compile_pattern
from local_aws.service_model import Call, find_call
from local_aws.strictness import DEVIATIONS, check_answer
from tests.support.terraform import ROOT

ROLE = "arn:aws:iam::123456789012:role/r"
# Of each service: an operation, a request that AWS refuses for one value, and the constraint that the value breaks, by
# the shape that has it ("pattern", "enum" or "required").
BROKEN: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "application-autoscaling": (
        "DescribeScalableTargets",
        {"ServiceNamespace": "egress"},
        "ServiceNamespace",
        "enum",
    ),
    "athena": ("CreateWorkGroup", {"Name": "my group"}, "WorkGroupName", "pattern"),
    "batch": (
        "CreateJobQueue",
        {"jobQueueName": "q", "state": "ON", "priority": 1, "computeEnvironmentOrder": []},
        "JQState",
        "enum",
    ),
    "bcm-data-exports": ("GetExport", {"ExportArn": "arn:aws:s3:::bucket/export-of-ours"}, "Arn", "pattern"),
    "budgets": (
        "DescribeBudgets",
        {"AccountId": "12345678901x"},
        "AccountId",
        "pattern",
    ),
    "chatbot": (
        "CreateSlackChannelConfiguration",
        {
            "SlackTeamId": "team of ours",
            "SlackChannelId": "C012345678A",
            "IamRoleArn": ROLE,
            "ConfigurationName": "alerts",
        },
        "SlackTeamId",
        "pattern",
    ),
    "cloudtrail": ("LookupEvents", {"MaxResults": 51}, "MaxResults", "max"),
    "cloudwatch": (
        "PutMetricAlarm",
        {
            "AlarmName": "a",
            "EvaluationPeriods": 1,
            "ComparisonOperator": "LessThan",
            "Threshold": 1.0,
            "Namespace": "n",
            "MetricName": "m",
            "Statistic": "Sum",
            "Period": 60,
        },
        "ComparisonOperator",
        "enum",
    ),
    "codebuild": ("ListProjects", {"sortOrder": "UP"}, "SortOrderType", "enum"),
    "dynamodb": (
        "CreateTable",
        {
            "TableName": "table",
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "BillingMode": "ON_DEMAND",
        },
        "BillingMode",
        "enum",
    ),
    "ec2": (
        "CreateFlowLogs",
        {"ResourceIds": ["vpc-0a1b2c3d"], "ResourceType": "VPC", "TrafficType": "ACCEPTED"},
        "TrafficType",
        "enum",
    ),
    "ecr": (
        "CreateRepository",
        {"repositoryName": "images", "imageTagMutability": "NEVER"},
        "ImageTagMutability",
        "enum",
    ),
    "events": ("PutRule", {"Name": "my rule", "ScheduleExpression": "rate(1 hour)"}, "RuleName", "pattern"),
    "glue": ("CreateDatabase", {"DatabaseInput": {"Name": "a\x00b"}}, "NameString", "pattern"),
    "iam": ("CreateRole", {"RoleName": "my role", "AssumeRolePolicyDocument": "{}"}, "roleNameType", "pattern"),
    "kms": ("CreateKey", {"KeyUsage": "ENCRYPT"}, "KeyUsageType", "enum"),
    "lambda": ("GetFunction", {"FunctionName": "my function"}, "NamespacedFunctionName", "pattern"),
    "logs": ("CreateLogGroup", {"logGroupName": "/aws/lambda/my function"}, "LogGroupName", "pattern"),
    "s3": (
        "PutBucketVersioning",
        {"Bucket": "bucket", "VersioningConfiguration": {"Status": "On"}},
        "BucketVersioningStatus",
        "enum",
    ),
    "sagemaker": (
        "CreateModelPackageGroup",
        {"ModelPackageGroupName": "my group"},
        "EntityName",
        "pattern",
    ),
    "sagemaker-runtime": (
        "InvokeEndpoint",
        {"EndpointName": "my endpoint", "Body": b"0"},
        "EndpointName",
        "pattern",
    ),
    "scheduler": (
        "CreateSchedule",
        {
            "Name": "my schedule",
            "ScheduleExpression": "rate(1 hour)",
            "FlexibleTimeWindow": {"Mode": "OFF"},
            "Target": {"Arn": "arn:aws:lambda:us-east-1:123456789012:function:f", "RoleArn": ROLE},
        },
        "Name",
        "pattern",
    ),
    "sagemaker-featurestore-runtime": (
        "GetRecord",
        {"FeatureGroupName": "of ours", "RecordIdentifierValueAsString": "1"},
        "FeatureGroupNameOrArn",
        "pattern",
    ),
    "secretsmanager": ("GetSecretValue", {"SecretId": ""}, "SecretIdType", "min"),
    "sns": ("Publish", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:t"}, "PublishInput", "required"),
    "sqs": ("CreateQueue", {}, "CreateQueueRequest", "required"),
    "stepfunctions": (
        "CreateStateMachine",
        {"name": "m", "definition": "{}", "roleArn": ROLE, "type": "FAST"},
        "StateMachineType",
        "enum",
    ),
    "sts": ("AssumeRole", {"RoleArn": ROLE, "RoleSessionName": "my session"}, "roleSessionNameType", "pattern"),
}


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


def unchecked(aws: LocalAws, service: str) -> Any:
    """Return a client that sends its parameters without validation."""
    return boto3.session.Session().client(
        service,  # type: ignore[call-overload]
        endpoint_url=aws.url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(proxies={}, parameter_validation=False, retries={"total_max_attempts": 1}),
    )


def method_of(service: str, operation: str) -> str:
    from botocore import xform_name

    return str(xform_name(operation))


@pytest.mark.parametrize("service", BROKEN)
def test_a_request_that_breaks_the_model_is_refused(aws: LocalAws, service: str) -> None:
    operation, given, _, _ = BROKEN[service]
    with pytest.raises(ClientError, match=r"1 validation error detected: Value .* failed to satisfy constraint"):
        getattr(unchecked(aws, service), method_of(service, operation))(**given)


@pytest.mark.parametrize("service", BROKEN)
def test_without_its_constraint_the_model_accepts_the_request(service: str) -> None:
    """So it is this constraint, and no other, that the test above sees."""
    from moto.core.model import ServiceModel

    operation, given, shape, constraint = BROKEN[service]
    model = get_session().get_component("data_loader").load_service_model(service, "service-2")
    assert len(problems(ServiceModel(model, service), service, operation, given)) == 1
    mutated = copy.deepcopy(model)
    del mutated["shapes"][shape][constraint]
    assert problems(ServiceModel(mutated, service), service, operation, given) == []


def problems(model: Any, service: str, operation: str, given: dict[str, Any]) -> list[str]:
    return Call(service, model.operation_model(operation), "json").problems_of_request(given)


def test_every_service_of_the_configuration_is_here() -> None:
    """The services that the Lambdas, the state machines, the command line and the roles name."""
    text = "".join(path.read_text() for path in (ROOT / "terraform").rglob("*.tf"))
    names = set(re.findall(r'"([a-z0-9-]+):[A-Z]\w+"', text))
    code = [*(ROOT / "lambdas").rglob("*.py"), *(ROOT / "ml_models" / "egress_sentinel").rglob("*.py")]
    names |= {name for path in code for name in re.findall(r'(?:client|resource)\("([a-z0-9-]+)"', path.read_text())}
    # X-Ray is called by AWS itself. `states` is Step Functions.
    assert names - {"xray", "states", "aws"} <= BROKEN.keys()


def test_every_pattern_compiles() -> None:
    for service in BROKEN:
        model = get_session().get_service_model(service)
        for name in model.shape_names:
            if pattern := model.shape_for(name).metadata.get("pattern"):
                compile_pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "good", "bad"),
    [
        (r"[\p{L}\p{Zs}]+", "Größe 模", "a1"),
        (r"\p{ASCII}*", "a~", "ü"),
        (r"[\u0020-\uD7FF\uD800\uDC00-\uDBFF\uDFFF\t]*", "a\U0001f600", "\x01"),
        (r"[\w-_]*", "a-b_c", "a.b"),
        (r"\A\S[\p{Print}]*\z", "a b", " a"),
        (r"([\p{L}]*)${1,256}", "abc", "1"),
        (r"^(?![^:\\]*/action/|(?i).*<script>.*</script>.*)[^:\\]+$", "ours", "<SCRIPT></script>"),
    ],
)
def test_a_java_pattern_means_the_same(pattern: str, good: str, bad: str) -> None:
    assert compile_pattern(pattern).fullmatch(good)
    assert not compile_pattern(pattern).fullmatch(bad)


def test_a_request_of_no_operation_is_an_error(aws: LocalAws) -> None:
    signed = {"Authorization": "AWS4-HMAC-SHA256 Credential=local/20261130/us-east-1/sagemaker/aws4_request"}
    answer = requests.post(aws.url, json={}, headers={**signed, "X-Amz-Target": "SageMaker.MakeModel"}, timeout=30)
    assert answer.status_code == 501
    assert "no operation of sagemaker" in answer.json()["message"]


@pytest.mark.parametrize(
    ("method", "path", "headers", "operation"),
    [
        ("GET", "/bucket?list-type=2&prefix=a%2F", {}, "ListObjectsV2"),
        ("GET", "/bucket", {}, "ListObjects"),
        ("PUT", "/bucket/a/b%20c", {}, "PutObject"),
        ("PUT", "/bucket/a?partNumber=1&uploadId=u", {}, "UploadPart"),
        ("PUT", "/bucket/a", {"x-amz-copy-source": "/bucket/b"}, "CopyObject"),
        ("PUT", "/bucket?lifecycle", {}, "PutBucketLifecycleConfiguration"),
        ("POST", "/bucket/a?uploads", {}, "CreateMultipartUpload"),
        ("GET", "/", {}, "ListBuckets"),
    ],
)
def test_a_request_of_s3_is_recognized(method: str, path: str, headers: dict[str, str], operation: str) -> None:
    call = find_call("s3", request_of(method, path, headers), b"")
    assert call is not None
    assert call.operation.name == operation


def request_of(method: str, path: str, headers: dict[str, str]) -> Request:
    environ = EnvironBuilder(path, method=method, headers=headers).get_environ()
    environ["RAW_URI"] = path
    return Request(environ)


def test_an_answer_that_breaks_the_model_is_an_error() -> None:
    call = find_call("sagemaker", request_of("POST", "/", {"X-Amz-Target": "SageMaker.DescribeModel"}), b"{}")
    assert call is not None
    good = {"ModelName": "m", "ModelArn": "arn:aws:sagemaker:us-east-1:123456789012:model/m", "CreationTime": 1.0}
    assert check_answer(call, Response(json.dumps(good))).status_code == 200
    for bad in ({**good, "VpcConfig": {}}, {**good, "Color": "red"}, {"ModelArn": good["ModelArn"]}):
        answer = check_answer(call, Response(json.dumps(bad)))
        assert answer.status_code == 500
        assert b"local AWS's response to sagemaker:DescribeModel differs from AWS's" in answer.get_data()
    # An error has no output.
    assert check_answer(call, Response("{}", status=400)).status_code == 400


def test_the_page_has_every_deviation() -> None:
    page = re.sub(r"\s+", " ", (Path(ROOT) / "docs" / "local-aws.md").read_text(encoding="utf-8"))
    for deviation in DEVIATIONS:
        assert deviation.call.replace(":", " ") in page or f"`{deviation.call}`" in page, deviation.call
        assert deviation.why in page, deviation.why
