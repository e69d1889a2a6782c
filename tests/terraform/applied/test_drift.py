"""The drift monitor, its alarm, and the retraining that it starts."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import requests

from tests.support.applied import (
    ended,
    read_messages,
    wait_for,
)
from tests.support.stack import Stack


def test_a_day_unlike_those_of_training_is_told_and_starts_retraining(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]]
) -> None:
    """The drift monitor on rows as the detector writes them, three days of which carry a feature that is off by one."""
    stack = stacks["complete"]
    messages = read_messages(stack)
    s3, bucket = stack.aws.client("s3"), stack.outputs()["bucket"]
    table = pq.read_table(features[0])
    days = [datetime(2026, 10, day, tzinfo=UTC) for day in (13, 14, 15)]
    for day in days:
        hours = table["hour_utc"]
        rows = table.filter(
            pc.and_(pc.greater_equal(hours, pa.scalar(day)), pc.less(hours, pa.scalar(day + timedelta(days=1))))
        )
        shifted = pc.add(rows["persistence"], pa.scalar(1, pa.float32()))
        rows = rows.set_column(rows.column_names.index("persistence"), "persistence", shifted)
        rows = rows.append_column("anomaly_score", pa.array([0.1] * rows.num_rows))
        body = io.BytesIO()
        pq.write_table(rows, body)
        s3.put_object(Bucket=bucket, Key=f"scored/day={day:%Y-%m-%d}/scores.parquet", Body=body.getvalue())

    def judge(event: dict[str, str]) -> dict[str, Any]:
        function = stack.outputs()["drift_function_name"]
        answer = stack.aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        return result

    first, second = judge({"day": "2026-10-13"}), judge({"time": "2026-10-16T06:00:00Z"})
    assert first["drifted"] == []
    assert first["violations"] > 0
    assert "persistence" in second["drifted"]
    (message,) = [m for m in messages() if m.get("Subject", "").startswith("Drift on 2026-10-14: ")]
    assert "\npersistence: " in message["Message"]
    assert not judge({"day": "2026-10-15"})["is_notified"]
    names = ("statistics.json", "constraint_violations.json", "measures.json")
    documents = {
        name: json.loads(s3.get_object(Bucket=bucket, Key=f"drift/day=2026-10-14/{name}")["Body"].read())
        for name in names
    }
    assert documents["statistics.json"]["dataset"]["item_count"] == second["rows"]
    assert "persistence" in {v["feature_name"] for v in documents["constraint_violations.json"]["violations"]}
    limits = {(m["feature"], m["statistic"]): m["limit"] for m in documents["measures.json"]["measures"]}
    assert limits["persistence", "psi"] >= 0.15

    states, machine = stack.aws.client("stepfunctions"), stack.outputs()["retraining_state_machine_arn"]

    def executions() -> set[str]:
        return {each["executionArn"] for each in states.list_executions(stateMachineArn=machine)["executions"]}

    before = executions()
    alarms = requests.get(f"{stack.aws.url}/local/alarms", timeout=60).json()
    assert (alarms["egress-sentinel-drift"], alarms["egress-sentinel-drift-dead-letters"]) == ("ALARM", "OK")
    (started,) = wait_for(lambda: executions() - before)
    # Another test checks the training itself. It must end before its stack.
    wait_for(lambda: ended(states.describe_execution(executionArn=started)), seconds=180)
