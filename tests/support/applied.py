"""What tests do with an applied stack: put bills and features into it, wait, and read what came out."""

import io
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import requests

from egress_features import KEYS
from egress_sentinel.demo import write_demo_bill
from tests.support.exports import write_as
from tests.support.stack import Stack


def together(stacks: dict[str, Stack], work: Callable[[Stack], Any]) -> dict[str, Any]:
    with ThreadPoolExecutor(len(stacks)) as pool:
        return dict(zip(stacks, pool.map(work, stacks.values()), strict=True))


def serving(stacks: dict[str, Stack]) -> dict[str, Stack]:
    """Return the stacks with an endpoint."""
    return {name: stack for name, stack in stacks.items() if name != "batch"}


def of_day(table: pa.Table, day: datetime) -> pa.Table:
    hours, end = table["hour_utc"], pa.scalar(day + timedelta(days=1))
    return table.filter(pc.and_(pc.greater_equal(hours, pa.scalar(day)), pc.less(hours, end)))


def put_day(stack: Stack, features: Path, day: datetime) -> None:
    body = io.BytesIO()
    pq.write_table(of_day(pq.read_table(features), day), body)
    key = f"features/day={day:%Y-%m-%d}/features.parquet"
    stack.aws.client("s3").put_object(Bucket=stack.outputs()["bucket"], Key=key, Body=body.getvalue())


def wait_for(found: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)
    return value


def requests_of(stack: Stack) -> list[dict[str, str]]:
    found: list[dict[str, str]] = requests.get(f"{stack.aws.url}/local/requests", timeout=30).json()
    return found


def write_bill(folder: Path, days: int = 60) -> tuple[list[Path], list[Path], dict[str, Any]]:
    """Write the demo's bill of the last weeks as CUR 2.0; return its files, as legacy CUR too, and its first incident.

    Athena reads the latest months alone, so the bill is the demo's, moved by whole weeks, up to the latest Friday.
    """
    today = datetime.now(UTC).date()
    bill = write_demo_bill(folder, days=days, end=today - timedelta(days=(today.weekday() - 4) % 7 + 1))
    exports = [write_as(path, "CUR 2.0", folder / str(n) / "export.parquet") for n, path in enumerate(bill.files)]
    return exports, bill.files, json.loads(bill.labels.read_text())[0]


def deliver_bill(stack: Stack, folder: Path, days: int = 60) -> tuple[list[Path], dict[str, Any]]:
    """Put a CUR 2.0 export of the last weeks where Data Exports puts it; return its files, and its first incident."""
    exports, _, label = write_bill(folder, days)
    end = datetime.fromisoformat(label["start_hour_utc"]).replace(hour=0) + timedelta(days=1)
    put_bill(stack, exports, until=end)
    return cut(exports, folder / "cut", end), label


def put_bill(stack: Stack, exports: list[Path], until: datetime) -> None:
    """Deliver the bill's lines that begin before `until`."""
    s3, bucket = stack.aws.client("s3"), stack.outputs()["bucket"]
    for path in cut(exports, exports[0].parents[1] / f"{until:%d%H}", until):
        starts = pq.read_table(path, columns=["line_item_usage_start_date"])[0]
        if len(starts):
            period = f"{starts[0].as_py():%Y-%m}"
            s3.upload_file(str(path), bucket, f"exports/egress-sentinel/data/BILLING_PERIOD={period}/export.parquet")


def cut(exports: list[Path], folder: Path, until: datetime) -> list[Path]:
    """Write the lines that begin before `until`."""
    written = []
    for number, path in enumerate(exports):
        table = pq.read_table(path)
        starts = pc.cast(table["line_item_usage_start_date"], pa.timestamp("us"))
        written.append(folder / f"{number}.parquet")
        folder.mkdir(exist_ok=True)
        pq.write_table(table.filter(pc.less(starts, pa.scalar(until.replace(tzinfo=None)))), written[-1])
    return [path for path in written if pq.read_metadata(path).num_rows]


def run_machine(stack: Stack, output: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Run a state machine to its end, and return the execution."""
    states = stack.aws.client("stepfunctions")
    machine, name = stack.outputs()[output], f"by-hand-{time.monotonic_ns()}"
    arn = states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(asked))["executionArn"]
    return wait_for(lambda: ended(states.describe_execution(executionArn=arn)), seconds=180)  # type: ignore[no-any-return]


def alert_on(stack: Stack, resource_id: str) -> dict[str, Any] | None:
    """Return the alert on a resource after its notification."""
    items = stack.aws.client("dynamodb").scan(TableName=stack.outputs()["alerts_table"])["Items"]
    found = [item for item in items if item.get("resource_id", {}).get("S") == resource_id]
    assert len(found) <= 1
    return found[0] if found and found[0]["notified_severity"]["S"] else None


def assert_same_hours(found: pa.Table, expected: pa.Table) -> None:
    order = [(name, "ascending") for name in KEYS]
    found, expected = found.sort_by(order), expected.sort_by(order)
    assert found.column_names == expected.column_names
    for name in expected.column_names:
        if pa.types.is_floating(expected[name].type):
            np.testing.assert_allclose(found[name].to_numpy(), expected[name].to_numpy(), rtol=0, atol=1e-9)
        else:
            assert found[name].cast(expected[name].type).equals(expected[name]), name


def ended(execution: dict[str, Any]) -> dict[str, Any] | None:
    return execution if execution["status"] != "RUNNING" else None


def read_messages(stack: Stack, topic: str = "topic_arn") -> Callable[[], list[dict[str, Any]]]:
    """Subscribe to the topic of an output, or of a name in it.

    Return a function that receives the messages since its last call, or since now.
    """
    sns, sqs = stack.aws.client("sns"), stack.aws.client("sqs")
    output, _, name = topic.partition(".")
    topic_arn = stack.outputs()[output][name] if name else stack.outputs()[output]
    queue = sqs.create_queue(QueueName=f"test-reads-{topic.replace('.', '-')}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic_arn, Protocol="sqs", Endpoint=arn)

    def take() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    every(take)
    return take


def every(messages: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return all that was sent: a queue gives ten at once."""
    found: list[dict[str, Any]] = []
    while taken := messages():
        found += taken
    return found


def forget_alerts(stack: Stack) -> None:
    dynamodb, table = stack.aws.client("dynamodb"), stack.outputs()["alerts_table"]
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.delete_item(TableName=table, Key={"alert_id": item["alert_id"]})
