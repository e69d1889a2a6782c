"""`egress-sentinel feedback` on this machine: kept in a file, read by the next run, left out of training."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.feedback import add_to_file, judge, read_feedback
from egress_sentinel.pipeline.training import train
from tests.support.alerts import alert_record
from tests.support.models import matrix, write_part

pytestmark = pytest.mark.integration

KEYS = {"account_id": "111122223333", "region": "eu-west-1", "service": "AmazonS3", "egress_class": "internet"}
KEYS |= {"resource_id": "media-prod"}
SIZE = {"excess_gb": 75.0, "day_excess_gb": 75.0}
ALERT = alert_record()


def run(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egress_sentinel.cli", "feedback", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)


def test_the_last_verdict_on_an_alert_counts(tmp_path: Path) -> None:
    (tmp_path / "alerts.json").write_text(json.dumps([ALERT]))
    for verdict, note in (("true", ""), ("planned", "the spring campaign")):
        done = run(ALERT["alert_id"], verdict, "--note", note, "--alerts", "alerts.json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    (record,) = read_feedback(tmp_path / "feedback.json")
    assert (record["verdict"], record["note"]) == ("planned", "the spring campaign")
    assert record["judged_alert_id"] == ALERT["alert_id"]
    keys = {name: KEYS[name] for name in ("region", "service", "egress_class", "resource_id")}
    assert record["causes"] == [keys | SIZE]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("0123456789abcdef", "maybe"), "the verdict is 'maybe'; accepted are true, false, planned"),
        (("fedcba9876543210", "true"), "alerts.json has no alert fedcba9876543210; it has 0123456789abcdef"),
    ],
)
def test_what_makes_no_sense_is_refused(tmp_path: Path, arguments: tuple[str, str], sentence: str) -> None:
    (tmp_path / "alerts.json").write_text(json.dumps([ALERT]))
    done = run(*arguments, "--alerts", "alerts.json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, f"egress-sentinel: {sentence}\n")
    assert not (tmp_path / "feedback.json").exists()


def test_a_file_that_is_no_feedback_is_refused(tmp_path: Path) -> None:
    (tmp_path / "feedback.json").write_text('[{"verdict": "true"}]')
    with pytest.raises(UserError, match="is not a list of verdicts"):
        add_to_file(tmp_path / "feedback.json", judge(ALERT, "true"))
    assert (tmp_path / "feedback.json").read_text() == '[{"verdict": "true"}]'


@pytest.mark.parametrize(("verdict", "left_out"), [("true", 10), ("planned", 10), ("false", 0)])
def test_training_excludes_true_and_planned_alerts(tmp_path: Path, verdict: str, left_out: int) -> None:
    features = with_keys(write_part(tmp_path / "features.parquet", matrix(240)))
    metrics = train(features, tmp_path / "without.tar.gz", feedback=[judge(ALERT, verdict)])
    assert (metrics["rows"], metrics["rows_left_out"]) == (240 - left_out, left_out)


@pytest.mark.parametrize(("verdict", "left_out"), [("", 10), ("false", 0)])
def test_training_excludes_alerts_without_a_verdict(tmp_path: Path, verdict: str, left_out: int) -> None:
    features = with_keys(write_part(tmp_path / "features.parquet", matrix(240)))
    (tmp_path / "alerts.json").write_text(json.dumps([ALERT]))
    given = ["--alerts", "alerts.json", "--json", "-o", "model.tar.gz"]
    if verdict:
        assert run(ALERT["alert_id"], verdict, "--alerts", "alerts.json", cwd=tmp_path).returncode == 0
        given += ["--feedback", "feedback.json"]
    command = [sys.executable, "-m", "egress_sentinel.cli", "train", features.name, *given]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows_left_out"] == left_out


def with_keys(path: Path) -> Path:
    """Give a training part ten days of hours of the alert's series."""
    table = pq.read_table(path)
    start = datetime(2026, 10, 1, tzinfo=UTC)
    columns: dict[str, Any] = {"hour_utc": [start + timedelta(hours=i) for i in range(table.num_rows)]}
    columns |= {name: [value] * table.num_rows for name, value in KEYS.items()}
    for name, values in columns.items():
        kind = pa.timestamp("us", "UTC") if name == "hour_utc" else pa.string()
        table = table.append_column(name, pa.array(values, kind))
    pq.write_table(table, path)
    return path
