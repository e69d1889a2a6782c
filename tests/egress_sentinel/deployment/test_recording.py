"""What `verify --record` writes: AWS's answers, without text that identifies the account."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws
from tests.support.recorded import deviations

pytestmark = [pytest.mark.integration, pytest.mark.slow]

OURS = ("acme", "müller", "finops", "123456789012", "someone")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """A table, a topic and a bucket, as the command writes them; the endpoint does not exist."""
    folder = tmp_path_factory.mktemp("recorded")
    with LocalAws() as aws:
        key = {"AttributeName": "acme-id", "AttributeType": "S"}
        aws.client("dynamodb").create_table(
            TableName="acme-alerts",
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[{"AttributeName": "acme-id", "KeyType": "HASH"}],
            AttributeDefinitions=[key],
            Tags=[{"Key": "Owner", "Value": "Müller of finops, S"}],
        )
        topic = aws.client("sns").create_topic(Name="acme-alerts")["TopicArn"]
        aws.client("sns").subscribe(TopicArn=topic, Protocol="email", Endpoint="someone@acme.example.com")
        aws.client("s3").create_bucket(Bucket="acme-123456789012-us-east-1")
        outputs = {
            "endpoint_name": "acme-egress",
            "region": "us-east-1",
            "bucket": "acme-123456789012-us-east-1",
            "alerts_table": "acme-alerts",
            "topic_arn": topic,
        }
        (folder / "outputs.json").write_text(json.dumps({"egress_sentinel": {"value": outputs}}), encoding="utf-8")
        command = [sys.executable, "-m", "egress_sentinel.cli", "verify", "--outputs", "outputs.json"]
        command += ["--record", "recorded.json"]
        env = os.environ | aws.environment()
        done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr  # the endpoint is not there; the file is
        found: dict[str, Any] = json.loads((folder / "recorded.json").read_text(encoding="utf-8"))
        yield found


def test_a_deployment_without_an_endpoint_is_recorded_too(tmp_path: Path) -> None:
    outputs = {"endpoint_name": None, "region": "us-east-1", "bucket": "acme-files", "model_package_group": "acme"}
    (tmp_path / "outputs.json").write_text(json.dumps({"egress_sentinel": {"value": outputs}}), encoding="utf-8")
    command = [sys.executable, "-m", "egress_sentinel.cli", "verify", "--outputs", "outputs.json"]
    command += ["--record", "recorded.json"]
    with LocalAws() as aws:
        aws.client("s3").create_bucket(Bucket="acme-files")
        env = os.environ | aws.environment()
        done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "this deployment has no endpoint" in done.stderr
    calls = [call["call"] for call in json.loads((tmp_path / "recorded.json").read_text(encoding="utf-8"))["calls"]]
    assert "sagemaker:DescribeEndpoint" not in calls
    assert {"s3:GetBucketLocation", "cloudwatch:DescribeAlarms", "scheduler:ListSchedules"} <= set(calls)


def answers(recorded: dict[str, Any], call: str) -> list[dict[str, Any]]:
    return [found["answer"] for found in recorded["calls"] if found["call"] == call]


def test_nothing_identifies_the_account(recorded: dict[str, Any]) -> None:
    text = json.dumps(recorded, ensure_ascii=False).lower()
    assert [word for word in OURS if word in text] == []
    assert not re.search(r"[\w.]+@[a-z]+\.", text.replace("name-", ""))


def test_what_belonged_together_still_does(recorded: dict[str, Any]) -> None:
    (table,) = answers(recorded, "dynamodb:DescribeTable")
    (attributes,) = answers(recorded, "sns:GetTopicAttributes")
    _, _, _, region, account, name = attributes["Attributes"]["TopicArn"].split(":")
    assert table["Table"]["TableArn"] == f"arn:aws:dynamodb:{region}:{account}:table/{name}"
    assert (region, account, name) == ("us-east-1", "000000000001", table["Table"]["TableName"])
    assert table["Table"]["KeySchema"][0]["AttributeName"] == table["Table"]["AttributeDefinitions"][0]["AttributeName"]


def test_what_aws_wrote_stays(recorded: dict[str, Any]) -> None:
    (table,) = answers(recorded, "dynamodb:DescribeTable")
    assert table["Table"]["TableStatus"] == "ACTIVE"
    assert table["Table"]["ItemCount"] == 0
    assert re.match(r"20\d\d-\d\d-\d\dT", table["Table"]["CreationDateTime"])
    (subscriptions,) = answers(recorded, "sns:ListSubscriptionsByTopic")
    assert subscriptions["Subscriptions"][0]["Protocol"] == "email"


def test_a_tag_keeps_no_word_even_where_aws_has_it(recorded: dict[str, Any]) -> None:
    """`S` is a type of attribute, and here also a letter of a user's tag."""
    (tags,) = answers(recorded, "dynamodb:ListTagsOfResource")
    assert re.fullmatch(r"name-\d+ name-\d+ name-\d+, name-\d+", tags["Tags"][0]["Value"])


def test_an_error_is_an_answer_too(recorded: dict[str, Any]) -> None:
    errors = {found["call"]: found["error"] for found in recorded["calls"] if "error" in found}
    assert errors["sagemaker:DescribeEndpoint"] == "ValidationException"


def test_a_recording_is_compared_with_another(recorded: dict[str, Any]) -> None:
    assert deviations(recorded, recorded) == []
    other = json.loads(json.dumps(recorded))
    for call in other["calls"]:
        if call["call"] == "dynamodb:DescribeTable":
            call["answer"]["Table"]["ItemCount"] = "0"
            del call["answer"]["Table"]["TableStatus"]
            call["answer"]["Table"]["DeletionProtectionEnabled"] = None
            call["answer"]["Table"]["TableClassSummary"] = {"TableClass": "STANDARD"}
        if call["call"] == "sagemaker:DescribeEndpoint":
            call["error"] = "AccessDenied"
    assert deviations(recorded, other) == [
        "dynamodb:DescribeTable: Table.DeletionProtectionEnabled is bool in AWS, NoneType in the local AWS",
        "dynamodb:DescribeTable: Table.ItemCount is int in AWS, str in the local AWS",
        "dynamodb:DescribeTable: the local AWS answers Table.TableClassSummary.TableClass, AWS does not",
        "dynamodb:DescribeTable: AWS answers Table.TableStatus, the local AWS does not",
        "sagemaker:DescribeEndpoint: the local AWS answers the error AccessDenied, AWS does not",
        "sagemaker:DescribeEndpoint: AWS answers the error ValidationException, the local AWS does not",
    ]
