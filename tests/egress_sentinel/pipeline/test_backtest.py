"""`egress-sentinel backtest`: nothing of the future is seen, deliveries come when they come, dollars add up."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress_features import dated_deliveries
from egress_sentinel.pipeline.backtest.deliveries import Timing, thinned, usual_deliveries
from egress_sentinel.pipeline.backtest.savings import savings
from tests.support.bill import START, line, write_parquet

pytestmark = pytest.mark.integration

SENTINEL = Path(sys.executable).parent / "egress-sentinel"
DAYS, TODAY = 24, 19
HOT = {"media-prod": range(389, 449), "assets": range(487, 547), "logs-3": range(410, 430)}  # hours with 60 GB more
PLAN = """
[[planned]]
note = "the archive moves"
from = 2026-09-18
to = 2026-09-18
resource = "logs-3"
max_gb = 1500
"""
AS_OF = START + timedelta(days=TODAY)

excesses = st.dictionaries(
    st.integers(0, 300).map(lambda hour: START + timedelta(hours=hour)), st.floats(0, 1e6), min_size=1
)


@given(excesses, st.integers(0, 400), st.integers(0, 100))
def test_each_dollar_is_before_the_alert_or_too_soon_after_it_or_avoidable(
    by_hour: dict[datetime, float], alerted: int, react: int
) -> None:
    at = START + timedelta(hours=alerted)
    found = savings(by_hour, at, react)
    meanwhile = sum(usd for hour, usd in by_hour.items() if at <= hour < at + timedelta(hours=react))
    assert found.excess_before_alert_usd + meanwhile + found.avoidable_usd == pytest.approx(found.excess_usd, abs=1e-4)
    assert savings(by_hour, at, react + 1).avoidable_usd <= found.avoidable_usd
    assert savings(by_hour, at + timedelta(hours=1), react).avoidable_usd <= found.avoidable_usd


def test_savings_of_an_incident() -> None:
    by_hour = {START + timedelta(hours=hour): 10.0 for hour in range(48)}
    found = savings(by_hour, START + timedelta(hours=30, minutes=30), 4)
    assert (found.excess_usd, found.excess_before_alert_usd, found.avoidable_usd) == (480, 310, 130)


@given(st.integers(1, 500), st.integers(0, 72), st.integers(1, 48), st.integers(0, 700))
def test_a_delivery_has_what_is_older_than_the_lag(hours: int, lag: int, every: int, today: int) -> None:
    end, as_of = START + timedelta(hours=hours), START + timedelta(hours=today)
    found = usual_deliveries(START, end, as_of, Timing(lag_hours=lag, every_hours=every))
    seen = [delivery.visible_until for delivery in found]
    assert seen == sorted(set(seen), key=lambda moment: moment or START)
    for delivery in found:
        assert delivery.arrived <= as_of
        assert delivery.visible_until == min(delivery.arrived - timedelta(hours=lag), end)
    if today >= hours + lag + every:
        assert seen[-1] == end


def test_deliveries_with_times_are_thinned_to_the_last_of_each_day() -> None:
    dated = [(START + timedelta(hours=hour), [Path(str(hour))]) for hour in (1, 9, 17, 25, 50)]
    assert [d.files for d in thinned(dated, START + timedelta(hours=30), 24)] == [(Path("17"),), (Path("25"),)]
    assert len(thinned(dated, None, None)) == 5


def lines(days: int = DAYS) -> list[dict[str, Any]]:
    """Return twelve buckets with days and nights; two are hot-linked, one moves as planned."""
    rows = []
    for hour in range(days * 24):
        wave = 2.0 + (hour % 24 in range(8, 20)) + 0.1 * (hour * 7919 % 10)
        for number, name in enumerate(("media-prod", "assets", *(f"logs-{i}" for i in range(10)))):
            extra = 60.0 if hour in HOT.get(name, ()) else 0.0
            rows.append(line(hour, (1 + 0.3 * number) * wave + extra, resource_id=name, invoice_id=""))
    return rows


def backtest(folder: Path, export: Path, *more: str) -> dict[str, Any]:
    plan = folder.parent / "planned.toml"
    plan.write_text(PLAN)
    arguments = ["backtest", export, "-o", folder, "--json", "--n-estimators", "20", "--every-hours", "24", *more]
    arguments += ["--planned", plan]
    done = subprocess.run([SENTINEL, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    result: dict[str, Any] = json.loads(done.stdout)
    page = (folder / "report.html").read_text()
    assert page.partition('id="backtest-table"')[2].partition("</table>")[0].count('<td class="w">') == len(
        result["alerts"]
    )
    assert all(sentence in page for sentence in result["assumptions"])
    assert result == json.loads((folder / "backtest.json").read_text())
    return result


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The bill of 24 days, and its backtest."""
    folder = tmp_path_factory.mktemp("whole")
    bill = write_parquet(folder / "bill.parquet", lines())
    return bill, backtest(folder / "out", bill)


def test_alerts_come_with_the_delivery_that_has_their_hour(whole: tuple[Path, dict[str, Any]]) -> None:
    _, result = whole
    assert [(a["resource_id"], a["start_hour_utc"], a["alerted_at_utc"]) for a in result["alerts"]] == [
        ("media-prod", "2026-09-17T05:00:00Z", "2026-09-19T00:00:00Z"),
        ("assets", "2026-09-21T07:00:00Z", "2026-09-23T00:00:00Z"),
    ]
    assert [t["until_utc"] for t in result["trainings"]] == ["2026-09-15T00:00:00Z", "2026-09-22T00:00:00Z"]
    for alert in result["alerts"]:
        assert alert["as_told"]["end_hour_utc"] < alert["alerted_at_utc"] < alert["end_hour_utc"]
        assert alert["excess_usd"] == pytest.approx(alert["cost_usd"] - alert["expected_cost_usd"], abs=1e-4)
        # 60 hours of 60 GB at 9 cents, of which the bill shows the first ones after two nights at the latest.
        assert alert["excess_usd"] == pytest.approx(60 * 60 * 0.09, rel=0.05)
        assert 0 < alert["avoidable_usd"] < alert["excess_usd"] - alert["excess_before_alert_usd"]
    (quiet,) = result["suppressed"]
    assert (quiet["resource_id"], quiet["suppressed_by"]) == ("logs-3", "planned: the archive moves")
    assert not {"media-prod", "assets"} & {row["resource_id"] for row in quiet["contributors"]}
    total = sum(alert["avoidable_usd"] for alert in result["alerts"])
    assert result["totals"]["avoidable_usd"] == pytest.approx(total, abs=0.01)


@pytest.mark.slow
def test_nothing_of_what_comes_later_is_seen(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    """The alerts until a day are equal bit for bit, whether the bill ends there, continues, or is cut by --as-of."""
    bill, result = whole
    today = f"{AS_OF:%Y-%m-%d}"
    as_of = backtest(tmp_path / "as_of", bill, "--as-of", today)
    # What had arrived by then and nothing else: usage that was a day old.
    shorter = write_parquet(tmp_path / "shorter.parquet", lines(TODAY - 1))
    ended = backtest(tmp_path / "ended", shorter, "--as-of", today)
    assert as_of == ended
    (raised,) = ended["alerts"]
    until_then = [alert for alert in result["alerts"] if alert["alerted_at_utc"] <= f"{AS_OF:%Y-%m-%dT%H:%M:%SZ}"]
    assert [(a["alerted_at_utc"], a["as_told"]) for a in until_then] == [(raised["alerted_at_utc"], raised["as_told"])]


def feedback(path: Path, judged_at: str) -> Path:
    """Write the verdict on an earlier alert of the same bucket, larger than what comes."""
    series = {"region": "us-east-1", "service": "AmazonS3", "egress_class": "internet", "resource_id": "assets"}
    record = {"judged_alert_id": "0123456789abcdef", "verdict": "false", "note": "", "judged_at": judged_at}
    record |= {"account_id": "011122223333", "region": "us-east-1"}
    record |= {"start_hour_utc": "2026-09-10T00:00:00Z", "end_hour_utc": "2026-09-11T00:00:00Z"}
    sizes = {"excess_gb": 5000.0, "day_excess_gb": 2000.0}
    path.write_text(json.dumps([record | {"causes": [series | sizes]}]))
    return path


@pytest.mark.slow
def test_a_verdict_counts_from_the_moment_at_which_it_was_given(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    """A verdict before the alert's delivery suppresses the alert. A later verdict does not."""
    bill, result = whole
    before = backtest(
        tmp_path / "before", bill, "--feedback", str(feedback(tmp_path / "b.json", "2026-09-22T23:00:00Z"))
    )
    assert [alert["resource_id"] for alert in before["alerts"]] == ["media-prod"]
    assert {a["resource_id"]: a["suppressed_by"] for a in before["suppressed"]}["assets"] == "0123456789abcdef"
    assert any(sentence.startswith("1 of 1 verdicts") for sentence in before["assumptions"])
    after = backtest(tmp_path / "after", bill, "--feedback", str(feedback(tmp_path / "a.json", "2026-09-23T00:00:01Z")))
    seen = [[(a["alerted_at_utc"], a["as_told"]) for a in one["alerts"]] for one in (result, after)]
    assert seen[0] == seen[1]
    assert result["trainings"] == after["trainings"]


@pytest.mark.slow
def test_deliveries_of_create_new_exports_come_at_their_own_times(tmp_path: Path) -> None:
    """Each execution has the lines of its time, and the first one with the incident raises the alert."""
    export = tmp_path / "bucket/export"
    moments = [datetime(2026, 9, day, 13, 5, tzinfo=UTC) for day in (16, 18, 19)]
    for moment in moments:
        execution = f"{moment:%Y-%m-%dT%H:%M:%S}.443Z-f9ecf539-bfc5-4494-a1a0-{moment:%d}c5add5d2cb"[:61]
        key = f"export/data/BILLING_PERIOD=2026-09/{execution}/export-00001.snappy.parquet"
        path = tmp_path / "bucket" / key
        path.parent.mkdir(parents=True)
        write_parquet(path, [row for row in lines(moment.day) if row["line_item_usage_start_date"] < moment])
        manifest = export / f"metadata/BILLING_PERIOD=2026-09/{execution}/export-Manifest.json"
        manifest.parent.mkdir(parents=True)
        manifest.write_text(json.dumps({"dataFiles": [f"s3://bucket/{key}"]}))
    assert [moment.replace(microsecond=0) for moment, _ in dated_deliveries([export])] == moments
    done = subprocess.run(
        [SENTINEL, "backtest", export, "-o", tmp_path / "out", "--json", "--n-estimators", "20", "--lag-hours", "0"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["deliveries"] == 3
    # logs-3 has no plan here.
    assert {(a["resource_id"], a["alerted_at_utc"]) for a in result["alerts"]} == {
        ("media-prod", "2026-09-18T13:05:00Z"),
        ("logs-3", "2026-09-18T13:05:00Z"),
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--as-of", "2026-09-10"], "there is nothing to replay: the bill begins at 2026-09-01 00:00 UTC, 14 days"),
        (["--as-of", "soon"], "--as-of 'soon' is no time"),
        (["--from", "2027-01-01"], "0 of 24 deliveries come after them and after 2027-01-01 00:00 UTC"),
    ],
)
def test_what_cannot_be_replayed_is_one_sentence(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path, arguments: list[str], message: str
) -> None:
    command = [SENTINEL, "backtest", whole[0], "-o", tmp_path / "out", "--every-hours", "24", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert message in done.stderr.splitlines()[-1]
    assert not (tmp_path / "out").exists()
