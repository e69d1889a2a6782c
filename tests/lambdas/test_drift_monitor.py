"""The drift monitor as it is deployed, in a local AWS, and the command that decides the same in process."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from egress_sentinel.cli.app import app
from local_aws import DetectorResources, LocalAws, create_detector_resources
from local_aws.lambda_runner import LambdaProcess
from tests.support.drift import (
    FIRST,
    HANDLER,
    TRAINED_DAYS,
    body,
    changed,
    day_table,
    days,
    drift_model,
    monitor_environment,
)
from tests.support.in_process import run_in_process
from tests.support.pictures import figure_of

pytestmark = pytest.mark.integration

JUDGED = FIRST + timedelta(days=TRAINED_DAYS)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return drift_model(tmp_path_factory.mktemp("drift"))


@pytest.fixture(scope="module")
def world(
    model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[DetectorResources, dict[str, str], Path]]:
    with LocalAws() as aws:
        resources = create_detector_resources(aws)
        yield resources, monitor_environment(aws, resources, model), tmp_path_factory.mktemp("log") / "monitor.log"


def put(resources: DetectorResources, day: date, table: pa.Table, scores: float | None = None) -> pa.Table:
    values = 0.3 - 0.1 * table["excess"].to_numpy().astype(float) if scores is None else [scores] * table.num_rows
    scored = table.append_column("anomaly_score", pa.array(values))
    key = f"scored/day={day}/scores.parquet"
    resources.aws.client("s3").put_object(Bucket=resources.bucket, Key=key, Body=body(scored))
    return scored


def read_bytes(resources: DetectorResources, day: date | str, name: str) -> bytes:
    folder = day if isinstance(day, str) else f"day={day}"
    answer = resources.aws.client("s3").get_object(Bucket=resources.bucket, Key=f"drift/{folder}/{name}")
    content: bytes = answer["Body"].read()
    return content


def read(resources: DetectorResources, day: date | str, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(read_bytes(resources, day, name))
    return document


def test_drift_is_notified_once_on_its_second_day_and_in_process_alike(
    world: tuple[DetectorResources, dict[str, str], Path], model: Path, tmp_path: Path
) -> None:
    resources, environment, log = world
    rows = []
    for place, day in enumerate(days(JUDGED, 7)):
        table = day_table(day)
        times = np.float32(4 if place >= 4 else 1)
        rows.append(put(resources, day, changed(table, "ratio", table["ratio"].to_numpy() * times)))
    with LambdaProcess(HANDLER, environment=environment, log_file=log) as monitor:
        outcomes = [monitor.invoke({"time": f"{day + timedelta(days=2)}T06:00:00Z"}) for day in days(JUDGED, 8)]
        again = monitor.invoke({"day": str(JUDGED + timedelta(days=6))})
    assert [outcome["status"] for outcome in outcomes] == ["judged"] * 7 + ["no rows"]
    # The scores are not the model's, so that they have drifted as well.
    assert ["ratio" in outcome["drifted"] for outcome in outcomes[:7]] == [False] * 5 + [True, True]
    assert [outcome["violations"] > 2 for outcome in outcomes[4:7]] == [True] * 3
    assert again["drifted"] == outcomes[6]["drifted"]
    messages = resources.messages()
    assert [outcome["is_notified"] for outcome in outcomes].count(True) == len(messages)
    assert "720 rows of " in messages[-1]

    drifted = JUDGED + timedelta(days=5)
    statistics = read(resources, drifted, "statistics.json")
    assert statistics["dataset"] == {"item_count": 720}
    by_name = {feature["name"]: feature for feature in statistics["features"]}
    assert by_name["ratio"]["inferred_type"] == "Fractional"
    numbers = by_name["ratio"]["numerical_statistics"]
    assert numbers["common"] == {"num_present": 720, "num_missing": 0}
    assert sum(bucket["count"] for bucket in numbers["distribution"]["kll"]["buckets"]) == 720
    assert by_name["region"]["string_statistics"]["distinct_count"] == 2
    violations = read(resources, drifted, "constraint_violations.json")["violations"]
    (violation,) = [v for v in violations if v["feature_name"] == "ratio" and "drift" in v["constraint_check_type"]]
    assert violation["constraint_check_type"] == "baseline_drift_check"
    assert "PSI" in violation["description"]
    # The last invocation but one found no rows, the last judged the newest day again.
    latest = read(resources, "latest", "measures.json")
    assert latest == read(resources, JUDGED + timedelta(days=6), "measures.json")
    logged = log.read_text()
    assert '"DriftedFeatures"' in logged
    assert '"WorstDrift"' in logged

    pq.write_table(pa.concat_tables(rows), tmp_path / "scored.parquet")
    done = run(tmp_path / "scored.parquet", "--model", model, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == outcomes[:7]
    for day in days(JUDGED, 7):
        for name in ("statistics.json", "constraints.json", "constraint_violations.json", "measures.json"):
            assert (tmp_path / "out" / f"day={day}" / name).read_bytes() == read_bytes(resources, day, name)
    # The last day was judged twice.
    published = "\n\n".join(messages).replace(f"s3://{resources.bucket}/drift/", "")
    assert (tmp_path / "out" / "messages.txt").read_text() == f"{published}\n"


def test_scores_of_another_model_are_not_held_against_this_one(
    world: tuple[DetectorResources, dict[str, str], Path],
) -> None:
    resources, environment, log = world
    day = JUDGED + timedelta(days=20)
    table = day_table(day)
    put(resources, day, table.append_column("model_id", pa.array(["another"] * table.num_rows)))
    with LambdaProcess(HANDLER, environment=environment, log_file=log) as monitor:
        outcome = monitor.invoke({"day": str(day)})
    assert outcome["flagged_share"] is None
    assert outcome["violations"] == 0


def test_a_real_time_endpoint_s_capture_is_read(world: tuple[DetectorResources, dict[str, str], Path]) -> None:
    resources, environment, log = world
    day = JUDGED + timedelta(days=30)
    table = day_table(day)
    rows = "\n".join(",".join(map(str, row.values())) for row in table.select(["ratio", "novelty"]).to_pylist())
    scores = "\n".join(["is_anomaly,anomaly_score", *(["0,0.1"] * table.num_rows)])
    data = {
        "endpointInput": {"data": f"ratio,novelty\n{rows}\n", "encoding": "CSV"},
        "endpointOutput": {"data": scores, "encoding": "CSV"},
    }
    key = f"capture/egress-sentinel/primary/{day:%Y/%m/%d}/07/00-00-1.jsonl"
    line = json.dumps({"captureData": data, "eventVersion": "0"})
    resources.aws.client("s3").put_object(Bucket=resources.bucket, Key=key, Body=f"{line}\n".encode())
    captured = environment | {"CAPTURE_PREFIX": "capture/egress-sentinel/primary/"}
    with LambdaProcess(HANDLER, environment=captured, log_file=log) as monitor:
        outcome = monitor.invoke({"day": str(day)})
    assert (outcome["rows"], outcome["drifted"]) == (720, ["excess"])
    assert "feature_baseline_drift_ratio" not in log.read_text()
    hourly = captured | {"WINDOW": "hour", "FEATURE_METRICS": "true"}
    with LambdaProcess(HANDLER, environment=hourly, log_file=log) as monitor:
        outcome = monitor.invoke({"time": f"{day}T08:20:00Z"})
    assert (outcome["day"], outcome["rows"], outcome["drifted"]) == (f"{day}T07", 720, ["excess"])
    assert '"feature_baseline_drift_ratio"' in log.read_text()
    assert read(resources, f"hour={day}T07", "measures.json") == read(resources, "latest", "measures.json")
    (missing,) = [
        v for v in read(resources, day, "constraint_violations.json")["violations"] if v["feature_name"] == "excess"
    ]
    assert missing["constraint_check_type"] == "missing_column_check"


def test_the_command_line_shows_schedule_reports_violations_and_metrics_of_a_deployment(
    world: tuple[DetectorResources, dict[str, str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources, environment, log = world
    name, day = "egress-sentinel-drift", JUDGED + timedelta(days=60)
    put(resources, day, day_table(day), scores=np.nan)
    broken = day + timedelta(days=1)
    put(resources, broken, day_table(broken).drop_columns(["excess"]), scores=np.nan)
    with LambdaProcess(HANDLER, environment=environment, log_file=log) as monitor:
        for each in (day, broken, day):
            monitor.invoke({"day": str(each)})
    assert read(resources, "latest", "measures.json")["day"] == str(broken)
    resources.aws.client("scheduler").create_schedule(
        Name=name,
        ScheduleExpression="cron(0 6 * * ? *)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": "arn:aws:lambda:us-east-1:123456789012:function:f",
            "RoleArn": "arn:aws:iam::123456789012:role/r",
        },
    )
    resources.aws.client("cloudwatch").put_metric_data(
        Namespace="EgressSentinel",
        MetricData=[{"MetricName": "DriftedFeatures", "Value": 1, "Dimensions": [{"Name": "service", "Value": name}]}],
    )
    outputs = {"endpoint_name": "e", "bucket": resources.bucket, "drift_function_name": name}
    terraform = tmp_path / "terraform"
    terraform.write_text(f"#!/bin/sh\necho '{json.dumps({key: {'value': value} for key, value in outputs.items()})}'\n")
    terraform.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    for variable, value in resources.aws.environment().items():
        monkeypatch.setenv(variable, value)
    done = CliRunner().invoke(app, ["drift", "--terraform-dir", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    status = json.loads(done.stdout)
    assert status["schedule"] == {"name": name, "state": "ENABLED", "expression": "cron(0 6 * * ? *)"}
    assert [report["day"] for report in status["reports"][:2]] == [str(broken), str(day)]
    assert [report["drifted"] for report in status["reports"][:2]] == [["excess"], []]
    assert [v["feature_name"] for v in status["violations"]] == ["excess"]
    assert [point["maximum"] for point in status["metrics"]["DriftedFeatures"]] == [1]
    shown = CliRunner().invoke(app, ["drift", "--terraform-dir", str(tmp_path)]).stdout
    assert "missing_column_check" in shown
    assert "ENABLED, cron(0 6 * * ? *)" in shown
    refused = CliRunner().invoke(app, ["drift", "--terraform-dir", str(tmp_path), "--model", "m.tar.gz"])
    assert "either ROWS and --model, or --terraform-dir" in str(refused.exception)


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return run_in_process("drift", *arguments)


@pytest.mark.slow
def test_the_command_line_judges_the_days_after_training(model: Path, tmp_path: Path) -> None:
    tables = []
    for place, day in enumerate(days(JUDGED - timedelta(days=2), 6)):
        table = day_table(day)
        tables.append(changed(table, "excess", table["excess"].to_numpy() * np.float32(3 if place >= 4 else 1)))
    pq.write_table(pa.concat_tables(tables), tmp_path / "features.parquet")
    done = run(tmp_path / "features.parquet", "--model", model, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert [outcome["day"] for outcome in outcomes] == [str(day) for day in days(JUDGED, 4)]
    assert [("excess" in o["drifted"], "anomaly_score" in o["drifted"]) for o in outcomes] == [(False, False)] * 3 + [
        (True, True)
    ]
    assert (tmp_path / "out" / f"day={JUDGED}" / "statistics.json").is_file()
    (cells,), _ = figure_of(tmp_path / "out" / "drift.html")
    assert cells["x"] == [str(day) for day in days(JUDGED, 4)]
    drifted = {(name, outcome["day"]) for outcome in outcomes for name in outcome["drifted"]}
    drawn = {
        (name, day)
        for name, row in zip(cells["y"], cells["z"], strict=True)
        for day, cell in zip(cells["x"], row, strict=True)
        if cell > 2
    }
    assert drawn == drifted


@pytest.mark.slow
def test_the_command_line_names_rows_that_it_cannot_check(model: Path, tmp_path: Path) -> None:
    pq.write_table(day_table(FIRST), tmp_path / "seen.parquet")
    seen = run(tmp_path / "seen.parquet", "--model", model, "-o", tmp_path / "out")
    assert (seen.returncode, "no whole day after the model's training" in seen.stderr) == (2, True), seen.stderr
    limits = run(tmp_path / "seen.parquet", "--model", model, "--limits", "{", "-o", tmp_path / "out")
    assert (limits.returncode, "the limits are not JSON" in limits.stderr) == (2, True), limits.stderr
    young = drift_model(tmp_path, trained_days=9)
    pq.write_table(day_table(JUDGED), tmp_path / "later.parquet")
    later = run(tmp_path / "later.parquet", "--model", young, "-o", tmp_path / "out")
    assert (later.returncode, "was trained on 9 whole days" in later.stderr) == (2, True), later.stderr
    assert not (tmp_path / "out").exists()
