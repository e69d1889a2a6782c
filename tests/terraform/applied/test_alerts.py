"""A file of features becomes an alert. A failure becomes a dead letter and an alarm."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import requests

from tests.support.applied import (
    alert_on,
    put_day,
    read_messages,
    requests_of,
    wait_for,
)
from tests.support.stack import Stack


def scored(stack: Stack, day: datetime) -> list[Any]:
    prefix = f"scored/day={day:%Y-%m-%d}/"
    listed = stack.aws.client("s3").list_object_versions(Bucket=stack.outputs()["bucket"], Prefix=prefix)
    return listed.get("Versions", [])  # type: ignore[no-any-return]


def publications(stack: Stack) -> int:
    return sum(r["service"] == "sns" and r["action"] == "Publish" for r in requests_of(stack))


def test_a_file_of_features_becomes_one_alert(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]]
) -> None:
    """The bucket, EventBridge, the Lambda, the endpoint, DynamoDB and SNS all take part."""
    stack, (path, labels) = stacks["serverless"], features
    label = next(label for label in labels if label["name"] == "exfiltration")
    day = datetime.fromisoformat(label["start_hour_utc"]).replace(hour=0)
    messages = read_messages(stack)

    put_day(stack, path, day)
    alert = wait_for(lambda: alert_on(stack, label["resource_id"]))
    (_,) = [message for message in messages() if label["resource_id"] in message["Message"]]
    excess = float(alert["cost_usd"]["N"]) - float(alert["expected_cost_usd"]["N"])
    assert excess == pytest.approx(label["excess_usd"], rel=0.05)
    assert len(alert["model_id"]["S"]) == 16
    key = f"scored/day={day:%Y-%m-%d}/scores.parquet"
    rows = stack.aws.client("s3").get_object(Bucket=stack.outputs()["bucket"], Key=key)["Body"].read()
    assert pc.unique(pq.read_table(io.BytesIO(rows))["model_id"]).to_pylist() == [alert["model_id"]["S"]]

    versions, published = len(scored(stack, day)), publications(stack)
    put_day(stack, path, day)
    wait_for(lambda: len(scored(stack, day)) > versions)
    assert alert_on(stack, label["resource_id"])["alert_id"] == alert["alert_id"]  # type: ignore[index]
    assert publications(stack) == published


def test_a_model_that_is_not_ours_decides_behind_the_same_alerts(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]]
) -> None:
    """Another algorithm, its own script, no manifest, no attributions."""
    stack, (path, labels) = stacks["bring_your_own_model"], features
    label = next(label for label in labels if label["name"] == "exfiltration")
    put_day(stack, path, datetime.fromisoformat(label["start_hour_utc"]).replace(hour=0))
    alert = wait_for(lambda: alert_on(stack, label["resource_id"]))
    assert alert["model_id"]["S"] == ""
    assert float(alert["excess_cost_usd_per_day"]["N"]) > 5


def test_an_event_that_cannot_be_done_becomes_a_dead_letter(stacks: dict[str, Stack]) -> None:
    stack = stacks["serverless"]
    function = stack.outputs()["detector_function_name"]
    event = {"start": "2001-01-01T00:00Z", "end": "2001-01-02T00:00Z"}
    aws = stack.aws
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    assert answer["FunctionError"] == "Unhandled"
    assert "there are no features" in json.loads(answer["Payload"].read())["errorMessage"]
    aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event), InvocationType="Event")
    queue = aws.client("sqs").get_queue_url(QueueName=f"{function}-dead-letters")["QueueUrl"]
    received = wait_for(lambda: aws.client("sqs").receive_message(QueueUrl=queue).get("Messages"))
    assert json.loads(received[0]["Body"]) == event
    assert alarms(stack)["egress-sentinel-errors"] == "ALARM"


def alarms(stack: Stack) -> dict[str, str]:
    states: dict[str, str] = requests.get(f"{stack.aws.url}/local/alarms", timeout=60).json()
    return states


def test_alarms_ring_for_what_matters(stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]]) -> None:
    stack, day = stacks["serverless"], datetime(2026, 10, 3, tzinfo=UTC)
    put_day(stack, features[0], day)
    wait_for(lambda: scored(stack, day))
    states = alarms(stack)
    assert states["egress-sentinel-dollars-at-stake"] == "OK"
    assert states["egress-sentinel-no-data"] == "OK"
    assert states["egress-sentinel-endpoint-5xx"] == "OK"
    idle = alarms(stacks["complete"])  # to whose detector no test gives features
    # Before the first row, no data is missing, so there is no notification.
    assert idle["egress-sentinel-no-data"] == "INSUFFICIENT_DATA"
    assert idle["egress-sentinel-errors"] == "OK"
