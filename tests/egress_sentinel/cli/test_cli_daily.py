"""All steps on a daily export of the demo's bill: the incidents are found, and the output names no hours."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from egress_sentinel.demo import write_demo_bill
from egress_sentinel.demo.outcome import compare
from tests.support.bill import line, write_parquet
from tests.support.daily_exports import daily_exports

pytestmark = pytest.mark.integration

HOUR = re.compile(r"\d\d:\d\d|\bhours?\b")
# Texts about hours that are correct in the output for any bill: hints, and names of columns.
ANYWHERE = ("deployments in the hours before the start", "start_hour_utc", "end_hour_utc", "detected_hour_utc")


def sentinel(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [Path(sys.executable).parent / "egress-sentinel", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


class Daily(NamedTuple):
    """A run on a daily bill: its exports, its folder, its output, and the labels of the bill."""

    exports: Path
    folder: Path
    table: str
    steps: str
    labels: list[dict[str, str]]


@pytest.fixture(scope="module")
def daily(tmp_path_factory: pytest.TempPathFactory) -> Daily:
    home = tmp_path_factory.mktemp("daily")
    bill = write_demo_bill(home / "bill")
    daily_exports(bill.files, home / "cur")
    done = sentinel("run", home / "cur", "-o", home / "out")
    assert done.returncode == 0, done.stderr
    return Daily(home / "cur", home / "out", done.stdout, done.stderr, json.loads(bill.labels.read_text()))


def test_the_incidents_of_the_demo_are_found(daily: Daily) -> None:
    alerts = json.loads((daily.folder / "alerts.json").read_text())
    found = compare(alerts, daily.labels)
    assert not found.missed
    assert len(found.unlabelled) <= 1
    for alert in alerts:
        assert alert["granularity"] == "day"
        assert alert["start_hour_utc"].endswith("T00:00:00Z")
        assert alert["end_hour_utc"].endswith("T23:00:00Z")
        assert alert["anomalous_hours"] % 24 == 0


def test_the_output_names_no_hours(daily: Daily) -> None:
    page = (daily.folder / "report.html").read_text()
    page = re.sub(r"(?s)<(script|style).*?</\1>", "", page)
    for name, text in (
        ("table", daily.table),
        ("messages", (daily.folder / "messages.txt").read_text()),
        ("page", page),
        ("steps", daily.steps),
    ):
        for hint in ANYWHERE:
            text = text.replace(hint, "")
        assert not HOUR.findall(text), (name, HOUR.search(text))
    assert "GB a day" in (daily.folder / "report.html").read_text()


def test_a_time_within_a_day_is_refused(daily: Daily, tmp_path: Path) -> None:
    done = sentinel("run", daily.exports, "-o", tmp_path / "out", "--train-until", "2026-10-16T05:00Z")
    assert done.returncode == 2
    assert "--train-until 2026-10-16T05:00Z is within a day, and the bill is daily: write a date alone" in " ".join(
        done.stderr.split()
    )


def test_flow_logs_beside_a_daily_bill_are_refused_in_one_sentence(daily: Daily, tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("version account-id\n2 111122223333\n")
    done = sentinel("features", daily.exports, "-o", tmp_path / "f.parquet", "--flow-logs", log)
    assert done.returncode == 2
    assert "create the export with hourly granularity, or leave --flow-logs out" in " ".join(done.stderr.split())


def test_a_backtest_takes_whole_days(tmp_path: Path) -> None:
    lines = []
    for day in range(30):
        for n in range(8):
            row = line(
                24 * day, 2400.0 if (day, n) in {(25, 0), (26, 0)} else 24 + 7 * day * n % 11, resource_id=f"r{n}"
            )
            lines.append(row | {"line_item_usage_end_date": line(24 * day + 24, 0)["line_item_usage_start_date"]})
    bill = write_parquet(tmp_path / "bill.parquet", lines)
    done = sentinel("backtest", bill, "-o", tmp_path / "out", "--json", "--lag-hours", "30")
    assert done.returncode == 0, done.stderr
    (alert,) = json.loads(done.stdout)["alerts"]
    # Its day is over at midnight, and 30 hours later all of it has arrived.
    assert (alert["start_hour_utc"], alert["alerted_at_utc"]) == ("2026-09-26T00:00:00Z", "2026-09-28T08:00:00Z")
