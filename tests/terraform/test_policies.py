"""Every policy that the configuration makes, against AWS's service authorization reference; the provider is mocked."""

import json
from typing import Any

import pytest

from tests.support.authorization import USES_KEY, as_list, faults, privilege
from tests.support.mocked import of_type
from tests.support.terraform import require_terraform

pytestmark = pytest.mark.integration

KEY = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-3333-4444-555555555555"
OTHER_KEY = "arn:aws:kms:eu-west-1:111122223333:key/22222222-2222-3333-4444-555555555555"
# A statement of AWS's own page has it:
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/encrypt-log-data-kms.html
OF_AWS = "module.storage.aws_kms_key.this[0]: kms:EncryptionContext:aws:logs:arn is no condition key of kms:DescribeKey"
RESOURCE_POLICIES = (
    "aws_kms_key",
    "aws_s3_bucket_policy",
    "aws_sns_topic_policy",
    "aws_sqs_queue_policy",
    "aws_vpc_endpoint",
)


@pytest.fixture(scope="module", autouse=True)
def _needs_terraform() -> None:
    require_terraform()


def statements(kind: str) -> dict[str, list[dict[str, Any]]]:
    return {address: json.loads(values["policy"])["Statement"] for address, values in of_type(kind).items()}


def test_roles_have_actions_resources_and_conditions_that_aws_knows() -> None:
    policies = statements("aws_iam_role_policy")
    assert len(policies) == 23
    found = {f"{role}: {fault}" for role, of_role in policies.items() for s in of_role for fault in faults(s)}
    assert found == set()


def test_resource_policies_have_actions_and_conditions_that_aws_knows() -> None:
    found = set()
    for kind in RESOURCE_POLICIES:
        for address, of_resource in statements(kind).items():
            for statement in of_resource:
                # `*` in a key's policy is this key; `s3:*` is a denial's.
                named = [action for action in as_list(statement["Action"]) if not action.endswith("*")]
                checked = {
                    **statement,
                    "Action": named,
                    "Resource": KEY if kind == "aws_kms_key" else statement["Resource"],
                }
                found |= {f"{address}: {fault}" for fault in faults(checked) if named}
    assert found == {OF_AWS}


def test_the_detector_looks_up_cloudtrail_on_every_resource_and_traces_alone() -> None:
    """LookupEvents and X-Ray support no resources."""
    policies = statements("aws_iam_role_policy")
    (of_detector,) = [policies[role] for role in policies if role.startswith("module.detection.module.function[0]")]
    on_all = {action for s in of_detector if "*" in as_list(s["Resource"]) for action in as_list(s["Action"])}
    assert on_all == {"cloudtrail:LookupEvents", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}


def test_jobs_in_the_vpc_pull_an_image_of_another_account() -> None:
    """Both the role of the job and the VPC's endpoints of ECR allow its repository."""
    image = "arn:aws:ecr:eu-west-1:999988887777:repository/jobs"
    allowing = {
        address
        for kind in ("aws_iam_role_policy", "aws_vpc_endpoint")
        for address, of_resource in statements(kind).items()
        if any("ecr:BatchGetImage" in s["Action"] and image in as_list(s["Resource"]) for s in of_resource)
    }
    endpoints = {f'module.vpc[0].aws_vpc_endpoint.interface["ecr.{name}"]' for name in ("api", "dkr")}
    assert endpoints | {"module.aws_batch[0].aws_iam_role_policy.execution"} == allowing


def test_whoever_uses_what_the_key_encrypts_may_use_the_key() -> None:
    for role, of_role in statements("aws_iam_role_policy").items():
        granted = {(action, key) for s in of_role for action in as_list(s["Action"]) for key in as_list(s["Resource"])}
        for action, resource in granted:
            key = OTHER_KEY if "models-of-ours" in resource else KEY
            for needed in USES_KEY.get(action, set()):
                assert (needed, key) in granted, f"{role}: {action} on {resource} needs {needed}"


def test_a_trust_policy_names_a_service_and_its_account() -> None:
    roles = of_type("aws_iam_role")
    assert len(roles) >= 14
    for address, role in roles.items():
        for statement in json.loads(role["assume_role_policy"])["Statement"]:
            assert statement["Action"] == "sts:AssumeRole", address
            assert privilege("sts:AssumeRole")
            services = as_list(statement["Principal"]["Service"])
            assert all(service.endswith(".amazonaws.com") for service in services), address
            # Lambda assumes the role of a function of the same account alone.
            accounts = statement.get("Condition", {}).get("StringEquals", {}).get("aws:SourceAccount")
            assert accounts == "111122223333" or services == ["lambda.amazonaws.com"], address


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"Action": "s3:GetObjects"}, "s3:GetObjects is no action"),
        ({"Resource": "arn:aws:s3:::bucket"}, "is no resource of s3:GetObject"),
        ({"Action": "s3:ListBucket"}, "is no resource of s3:ListBucket"),
        ({"Resource": "*"}, "is no resource of s3:GetObject"),
        ({"Condition": {"StringLike": {"s3:prefix": "a/*"}}}, "s3:prefix is no condition key of s3:GetObject"),
        ({"Action": ["s3:GetObject", "sns:Publish"]}, "sns:Publish takes none of"),
    ],
)
def test_a_fault_is_found(change: dict[str, Any], fault: str) -> None:
    statement = {"Action": "s3:GetObject", "Resource": "arn:aws:s3:::bucket/features/*"}
    assert faults(statement) == []
    assert any(fault in found for found in faults(statement | change))
