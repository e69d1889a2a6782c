"""The command line from outside: the whole job on real bills, and one sentence with status 2 for bad input."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from egress_sentinel.demo.outcome import compare
from tests.support.bill import steady, write_parquet
from tests.support.sample_data import sample

pytestmark = pytest.mark.integration

SENTINEL = Path(sys.executable).parent / "egress-sentinel"


def sentinel(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([SENTINEL, *map(str, arguments)], capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("demo") / "output"
    done = sentinel("demo", "-o", output, "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((output / "alerts.json").read_text())
    assert "7 of 7 labelled incidents found" in done.stderr
    return output


@pytest.mark.slow
def test_a_real_bill_without_an_expensive_hour_raises_no_alert(tmp_path: Path) -> None:
    """Its one spike is 3.46 GB in one hour at $0, worth $0.31 at list price: a single hour at $0 needs 24 GB."""
    exports = sorted(sample("cur_legacy").glob("*.parquet"))
    done = sentinel("run", *exports, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []


CAUSES = {
    "exfiltration": "exfiltration",
    "leaked_key": "leaked_key",
    "s3_hot_link": "hot_link",
    "cross_az_chatter": "zone_chatter",
    "s3_through_nat": "s3_through_nat",
    "log_loop": "log_loop",
    "new_region_replication": "new_replica",
}


def test_each_incident_of_the_demo_has_its_cause(demo: Path) -> None:
    alerts, labels = (json.loads((demo / name).read_text()) for name in ("alerts.json", "labels.json"))
    found = compare(alerts, labels).found
    assert {label["kind"]: alert["incident_class"] for label, alert in found} == CAUSES


def test_an_alert_has_the_fields_that_everybody_reads(demo: Path) -> None:
    alerts = json.loads((demo / "alerts.json").read_text())
    asked = {
        "alert_id", "account_id", "region", "service", "egress_class", "usage_type", "resource_id", "start_hour_utc",
        "end_hour_utc", "detected_hour_utc", "cost_usd", "expected_cost_usd", "egress_gb", "expected_egress_gb",
        "severity", "anomaly_score", "p_value", "reasons",
    }  # fmt: skip
    assert all(asked <= set(alert) for alert in alerts)
    assert len({alert["alert_id"] for alert in alerts}) == len(alerts)


@pytest.mark.slow
def test_the_steps_alone_give_what_the_whole_job_gives(demo: Path, tmp_path: Path) -> None:
    features, model = tmp_path / "features.parquet", tmp_path / "model.tar.gz"
    assert sentinel("features", demo / "cur", "-o", features, "--json").returncode == 0
    assert features.read_bytes() == (demo / "processed_features.parquet").read_bytes()
    first = min(path.name for path in (demo / "scored").iterdir()).removeprefix("day=")
    done = sentinel("train", features, "-o", model, "--until", first)
    assert done.returncode == 0, done.stderr
    assert model.read_bytes() == (demo / "model.tar.gz").read_bytes()
    done = sentinel("score", features, "--model", model, "--start", first, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == json.loads((demo / "alerts.json").read_text())
    report = tmp_path / "report.html"
    done = sentinel("report", tmp_path / "out" / "alerts.json", "--features", features, "-o", report)
    assert done.returncode == 0, done.stderr
    assert report.stat().st_size > 1_000_000


@pytest.mark.parametrize(
    "command", ["run", "features", "train", "serve", "score", "backtest", "planned", "report", "demo"]
)
def test_help_teaches(command: str) -> None:
    done = sentinel(command, "--help")
    assert (done.returncode, "Usage" in done.stdout) == (0, True)


def test_bad_input_is_one_sentence_and_leaves_what_was_there(tmp_path: Path) -> None:
    bill = write_parquet(tmp_path / "bill.parquet", steady(24 * 10))
    output = tmp_path / "mine"
    output.mkdir()
    (output / "notes.txt").write_text("keep me")
    cases = [
        (["run", tmp_path / "nothing.parquet"], "no billing export"),
        (["run", bill, "-o", tmp_path / "new"], "days"),
        (["run", bill, "-o", output], str(output)),
        (["run", bill, "--train-until", "soon", "-o", tmp_path / "new"], "soon"),
        (["train", bill.with_name("absent.parquet")], "absent.parquet"),
        (["report", bill.with_name("alerts.json"), "--features", bill], "alerts.json"),
        (["serve", bill.with_name("model.tar.gz")], "model.tar.gz"),
    ]
    for arguments, sentence in cases:
        done = sentinel(*arguments)
        assert done.returncode == 2, (arguments, done.stderr)
        assert sentence in done.stderr, (arguments, done.stderr)
        assert "Traceback" not in done.stderr
    assert [path.name for path in output.iterdir()] == ["notes.txt"]
    assert not (tmp_path / "new").exists()


@pytest.mark.slow
def test_an_endpoint_that_is_down(demo: Path, tmp_path: Path) -> None:
    features = demo / "processed_features.parquet"
    done = sentinel(
        "score", features, "--endpoint-url", "http://127.0.0.1:9", "--start", "2026-10-30", "-o", tmp_path / "out"
    )
    assert done.returncode == 2
    assert "gave no answer" in done.stderr
    assert not (tmp_path / "out").exists()
