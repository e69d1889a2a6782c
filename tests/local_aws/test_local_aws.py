"""The local AWS: its own state, its environment for other processes, and the detector's resources."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError
from botocore.httpsession import URLLib3Session

from local_aws import DetectorResources, LocalAws, create_detector_resources

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws(sagemaker_runtime_url="http://127.0.0.1:1") as aws:
        yield aws


@pytest.fixture(scope="module")
def resources(aws: LocalAws) -> DetectorResources:
    return create_detector_resources(aws)


def test_objects_come_back_with_their_metadata(aws: LocalAws, resources: DetectorResources) -> None:
    s3 = aws.client("s3")
    body = os.urandom(5_000_000)
    s3.put_object(Bucket=resources.bucket, Key="features/day=2026-01-01/f.parquet", Body=body, Metadata={"a_b": "c"})
    got = s3.get_object(Bucket=resources.bucket, Key="features/day=2026-01-01/f.parquet")
    assert got["Body"].read() == body
    assert got["Metadata"] == {"a_b": "c"}


def test_alerts_are_found_by_account_and_region_in_order(aws: LocalAws, resources: DetectorResources) -> None:
    dynamodb = aws.client("dynamodb")
    for hour in ("2026-01-02", "2026-01-01", "2026-01-03"):
        item = {"alert_id": hour, "account_region": "1#eu-west-1", "end_hour_utc": f"{hour}T00:00:00Z"}
        dynamodb.put_item(TableName=resources.alerts_table, Item={k: {"S": v} for k, v in item.items()})
    found = dynamodb.query(
        TableName=resources.alerts_table,
        IndexName="account-region",
        KeyConditionExpression="account_region = :a AND end_hour_utc >= :h",
        ExpressionAttributeValues={":a": {"S": "1#eu-west-1"}, ":h": {"S": "2026-01-02"}},
    )
    assert [item["alert_id"]["S"] for item in found["Items"]] == ["2026-01-02", "2026-01-03"]


def test_what_the_topic_sends_is_read_once(aws: LocalAws, resources: DetectorResources) -> None:
    sns = aws.client("sns")
    for number in range(12):
        sns.publish(TopicArn=resources.topic_arn, Subject=f"HIGH {number}", Message="hot link\nsecond line")
    sns.publish(TopicArn=resources.topic_arn, Message="no subject")
    assert resources.messages() == [f"HIGH {n}\nhot link\nsecond line" for n in range(12)] + ["no subject"]
    assert resources.messages() == []


def test_the_lambdas_variables_name_the_resources(resources: DetectorResources) -> None:
    environment = resources.environment("sentinel")
    assert environment["BUCKET"] == resources.bucket
    assert environment["TOPIC_ARN"] == resources.topic_arn
    assert environment["ENDPOINT_NAME"] == "sentinel"
    assert environment["ALERTS_TABLE"] == resources.alerts_table


def test_another_process_needs_only_the_environment(aws: LocalAws, resources: DetectorResources) -> None:
    code = (
        "import boto3, json\n"
        "buckets = [b['Name'] for b in boto3.client('s3').list_buckets()['Buckets']]\n"
        "print(json.dumps([buckets, boto3.client('sagemaker-runtime').meta.endpoint_url]))\n"
    )
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | aws.environment()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True)
    assert json.loads(done.stdout) == [[resources.bucket], "http://127.0.0.1:1"]


def test_two_of_them_know_nothing_of_each_other(aws: LocalAws, resources: DetectorResources) -> None:
    with LocalAws() as other:
        assert other.client("s3").list_buckets()["Buckets"] == []
        assert create_detector_resources(other).bucket == resources.bucket
        assert "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME" not in other.environment()
    assert aws.client("s3").list_buckets()["Buckets"] != []


def test_a_listed_rule_has_the_members_that_aws_lists(aws: LocalAws) -> None:
    """Moto adds the creator, which only a described rule has."""
    aws.client("events").put_rule(Name="listed", ScheduleExpression="rate(1 hour)")
    (rule,) = aws.client("events").list_rules(NamePrefix="listed")["Rules"]
    assert (rule["Name"], "CreatedBy" in rule) == ("listed", False)


def test_a_call_is_repeated_if_the_connection_closes_before_its_answer(aws: LocalAws) -> None:
    """The repeated attempt gets the answer of the first one. A second call with the same name is refused."""
    client = aws.client("sagemaker")
    closed: list[Any] = []

    def close_once(request: Any, **_: Any) -> None:
        if not closed:
            closed.append(URLLib3Session().send(request.prepare() if hasattr(request, "prepare") else request))
            raise ConnectionClosedError(endpoint_url=request.url)

    client.meta.events.register("before-send.sagemaker.CreateModel", close_once)
    asked = {"ModelName": "repeated", "ExecutionRoleArn": "arn:aws:iam::123456789012:role/model"}
    asked |= {"PrimaryContainer": {"Image": "123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1"}}  # type: ignore[dict-item]
    assert client.create_model(**asked)["ModelArn"].endswith(":model/repeated")
    assert closed
    with pytest.raises(ClientError, match="already existing"):
        client.create_model(**asked)
