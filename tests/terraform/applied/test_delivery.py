"""A delivery of the bill becomes features, in Athena."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from egress_features import build_features
from tests.support.applied import (
    alert_on,
    assert_same_hours,
    deliver_bill,
    of_day,
    read_messages,
    wait_for,
)
from tests.support.stack import Stack


def executions(stack: Stack) -> dict[str, str]:
    """Return the status of each execution of the feature query by its name."""
    arn = stack.outputs()["features_state_machine_arn"]
    found = stack.aws.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
    return {execution["name"]: execution["status"] for execution in found}


def test_a_delivery_that_cannot_be_read_is_one_message(stacks: dict[str, Stack]) -> None:
    stack = stacks["notebook"]
    messages = read_messages(stack)
    period = f"{datetime.now(UTC):%Y-%m}"
    s3, bucket = stack.aws.client("s3"), stack.outputs()["bucket"]
    key = f"exports/egress-sentinel/data/BILLING_PERIOD={period}/broken.parquet"
    s3.put_object(Bucket=bucket, Key=key, Body=b"no parquet")
    arn = stack.outputs()["features_state_machine_arn"]
    stack.aws.client("stepfunctions").start_execution(stateMachineArn=arn, name="broken", input='{"days": 10}')
    wait_for(lambda: executions(stack)["broken"] == "FAILED", 60)
    s3.delete_object(Bucket=bucket, Key=key)
    (message,) = messages()
    assert message["Subject"] == "egress-sentinel: no new features"
    expected = "No new hours are scored. The feature query broken failed at Line_hours: "
    assert message["Message"].startswith(expected)
    assert "arquet" in message["Message"].removeprefix(expected)


def test_a_delivery_of_the_bill_becomes_an_alert(stacks: dict[str, Stack], tmp_path: Path) -> None:
    """EventBridge, the state machine, Athena, Glue, S3; then all that a file of features starts. No command is run."""
    stack = stacks["notebook"]
    s3, bucket, messages = stack.aws.client("s3"), stack.outputs()["bucket"], read_messages(stack)
    before = executions(stack).keys()
    exports, label = deliver_bill(stack, tmp_path)
    s3.put_object(Bucket=bucket, Key="exports/egress-sentinel/metadata/BILLING_PERIOD=2026-10/m.json", Body=b"{}")
    (name,) = wait_for(lambda: executions(stack).keys() - before)
    wait_for(lambda: executions(stack)[name] != "RUNNING", 120)
    assert executions(stack)[name] == "SUCCEEDED"

    build_features(exports, tmp_path / "features.parquet")
    expected = pq.read_table(tmp_path / "features.parquet")
    last = pc.max(expected["hour_utc"]).as_py().replace(hour=0)
    for day in (last - timedelta(days=2), last - timedelta(days=1), last):
        key = f"features/day={day:%Y-%m-%d}/athena.parquet"
        found = pq.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
        assert_same_hours(found, of_day(expected, day))
    tables = stack.aws.client("glue").get_tables(DatabaseName="egress_sentinel")["TableList"]
    assert {table["Name"] for table in tables} == {"cur_2_0", "features", "scored"}

    alert = wait_for(lambda: alert_on(stack, label["resource_id"]), 120)
    excess = float(alert["cost_usd"]["N"]) - float(alert["expected_cost_usd"]["N"])
    assert excess == pytest.approx(label["excess_usd"], rel=0.05)
    sent = [text for text in (message["Message"] for message in messages()) if label["resource_id"] in text]
    assert len(sent) == 1
    assert "main factor" in sent[0]
    # Its account and its tags came through Athena.
    assert alert["account_name"]["S"]
    assert f"{alert['account_name']['S']} ({alert['account_id']['S']}), " in sent[0]
    assert set(alert["tags"]["M"]) == {"owner", "team"}
