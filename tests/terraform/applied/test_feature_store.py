"""The latest features of a series, by key: the deployed detector writes them, a command and an example read them."""

import io
import json
import os
import re
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from egress_features import KEYS, build_features
from tests.support.applied import of_day, wait_for, write_bill
from tests.support.stack import Stack
from tests.support.terraform import ROOT

PAGE = ROOT / "docs" / "feature-store.md"


@pytest.fixture(scope="module")
def delivered(stacks: dict[str, Stack], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Deliver a day up to the middle of an incident; return its last row of the incident's series."""
    folder = tmp_path_factory.mktemp("recent")
    _, files, label = write_bill(folder)
    build_features(files, folder / "features.parquet")
    start, end = (datetime.fromisoformat(label[name]) for name in ("start_hour_utc", "end_hour_utc"))
    last = start + timedelta(hours=(end - start) // timedelta(hours=2))
    rows = of_day(pq.read_table(folder / "features.parquet"), last.replace(hour=0))
    rows = rows.filter(pc.less_equal(rows["hour_utc"], pa.scalar(last)))
    body = io.BytesIO()
    pq.write_table(rows, body)
    stack = stacks["complete"]
    key = f"features/day={last:%Y-%m-%d}/features.parquet"
    stack.aws.client("s3").put_object(Bucket=stack.outputs()["bucket"], Key=key, Body=body.getvalue())
    of_incident = rows.filter(pc.equal(rows["resource_id"], label["resource_id"])).sort_by("hour_utc")
    found: dict[str, Any] = of_incident.slice(of_incident.num_rows - 1).to_pylist()[0]
    return found


def key_of(row: dict[str, Any]) -> str:
    return "#".join(row[name] for name in KEYS[1:])


def get(stack: Stack, *keys: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egress_sentinel.cli", "features", "get", *keys, "--json"]
    command += ["--terraform-dir", str(stack.folder)]
    env = os.environ | stack.aws.environment()
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_the_latest_features_of_a_series_are_read_by_key(stacks: dict[str, Stack], delivered: dict[str, Any]) -> None:
    stack, key = stacks["complete"], key_of(delivered)
    done = wait_for(lambda: done if (done := get(stack, key)).returncode == 0 else None)
    (found,) = json.loads(done.stdout).values()
    for name, value in delivered.items():
        expected = f"{value:%Y-%m-%dT%H:%M:%SZ}" if isinstance(value, datetime) else value
        assert found[name] == expected, name
    unknown = get(stack, key, "nobody")
    assert unknown.returncode == 2
    assert "has no series 'nobody'; a key is ACCOUNT#REGION#SERVICE#EGRESS_CLASS#RESOURCE" in unknown.stderr
    without = get(stacks["serverless"], key)
    assert (without.returncode, without.stderr.strip()) == (
        2,
        "egress-sentinel: the deployment has no feature group; set feature_store = {} in Terraform and apply it",
    )


def test_features_are_fetched_by_key_scored_and_decided_on(
    stacks: dict[str, Stack], delivered: dict[str, Any], tmp_path: Path
) -> None:
    """The example of docs/feature-store.md works without changes."""
    stack, key = stacks["complete"], key_of(delivered)
    wait_for(lambda: get(stack, key).returncode == 0)
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)

    def decide(series: str) -> subprocess.CompletedProcess[str]:
        env = os.environ | stack.aws.environment() | {"KEY": series}
        return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False)

    done = decide(key)
    assert done.returncode == 0, done.stderr
    held = json.loads(done.stdout)
    assert (held["decision"], held["is_anomaly"]) == ("hold", 1)
    assert held["excess_usd"] == pytest.approx(delivered["cost_usd"] - delivered["expected_cost_usd"])
    unknown = decide("nobody")
    assert (unknown.returncode, unknown.stderr.strip()) == (1, "no series nobody")
