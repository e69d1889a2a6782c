"""Files under batch/input/ come back scored, by transform jobs."""

import csv
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.support.stack import Stack


def run_batch(stack: Stack, *files: Path, output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egress_sentinel.cli", "batch", *map(str, files)]
    command += ["--bucket", stack.outputs()["bucket"], "--json", "-o", str(output)]
    return subprocess.run(
        command, env=os.environ | stack.aws.environment(), capture_output=True, text=True, check=False, timeout=120
    )


def test_a_dropped_file_is_scored_by_a_transform_job(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """The bucket, EventBridge, the Lambda, the model that the endpoint serves, and the event of the job's end."""
    stack = stacks["serverless"]
    table = pq.read_table(features[0]).slice(0, 500)
    pq.write_table(table, tmp_path / "history.parquet")
    done = run_batch(stack, tmp_path / "history.parquet", Path("--scored-rows"), output=tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "500 scored rows of 1 days added" in done.stderr
    first = table["hour_utc"][0].as_py().date()
    body = stack.aws.client("s3").get_object(Bucket=stack.outputs()["bucket"], Key=f"scored/day={first}/scores.parquet")
    (model_id,) = set(pq.read_table(io.BytesIO(body["Body"].read()))["model_id"].to_pylist())
    assert re.fullmatch("[0-9a-f]{16}", model_id)
    (result,) = json.loads(done.stdout)
    with Path(result).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["resource_id"] for row in rows] == table["resource_id"].to_pylist()
    assert all((float(row["anomaly_score"]) < 0) == (row["is_anomaly"] == "1") for row in rows)
    items = stack.aws.client("dynamodb").scan(TableName=stack.outputs()["batch_jobs_table"])["Items"]
    assert [item["model_name"]["S"] for item in items] == [stack.outputs()["model_name"]]


def test_a_dropped_file_that_cannot_be_scored_is_moved(stacks: dict[str, Stack], tmp_path: Path) -> None:
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    done = run_batch(stacks["serverless"], tmp_path / "wrong.csv", output=tmp_path / "out")
    assert done.returncode == 2
    assert "wrong.csv was not scored: the column " in done.stderr
    assert "/batch/failed/wrong.csv" in done.stderr
