"""A daily bill: the hours of a day are equal parts, add up to the cent, and are compared by days."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from egress_features import FEATURES, BadInputError, FeaturesSummary, FlowLogs, build_features
from egress_sentinel.demo import write_demo_bill
from tests.support.bill import START, line, write_parquet
from tests.support.daily_exports import daily_exports
from tests.support.exports import KINDS, write_as

NAMES = [feature.name for feature in FEATURES]


def of_day(day: int, gb: float, *, shift: int = 0, hours: int = 24, **other: Any) -> dict[str, Any]:
    """Return the line of a day; `shift` moves its start, as where a local day begins at another hour."""
    end = START + timedelta(hours=24 * day + shift + hours)
    return line(24 * day + shift, gb, usage_end_date=end, **other)


def built(folder: Path, lines: list[dict[str, Any]]) -> tuple[FeaturesSummary, pd.DataFrame]:
    summary = build_features([write_parquet(folder / "bill.parquet", lines)], folder / "features.out")
    return summary, pq.read_table(folder / "features.out").to_pandas()


def uneven(days: int) -> list[dict[str, Any]]:
    """Return days with decimals that no 24th has, and with little traffic on weekends. Day 0 is a Tuesday."""
    return [of_day(day, (0.0100000007 if day % 7 in (4, 5) else 71.3) + day / 7) for day in range(days)]


def test_each_hour_is_a_24th_and_a_day_adds_up(tmp_path: Path) -> None:
    lines = uneven(30)
    summary, rows = built(tmp_path, lines)
    assert (summary.is_daily, summary.rows) == (True, 30 * 24)
    assert summary.end_hour_utc == START + timedelta(hours=30 * 24 - 1)
    by_day = rows.groupby(rows["hour_utc"].dt.floor("D"))
    assert by_day["usage_gb"].nunique().eq(1).all()
    for column, name in (("usage_gb", "line_item_usage_amount"), ("cost_usd", "line_item_unblended_cost")):
        np.testing.assert_allclose(by_day[column].sum(), [row[name] for row in lines], rtol=0, atol=1e-9)
    assert rows["is_daily"].all()


def test_all_rows_of_a_day_are_the_same_but_for_their_hour(tmp_path: Path) -> None:
    _, rows = built(
        tmp_path, [row for n in range(3) for row in uneven(40)[n:] if row.update(line_item_resource_id=f"r{n}") is None]
    )
    numbers = ["usage_gb", "expected_usage_gb", "expected_spread_gb", *NAMES]
    distinct = rows.groupby(["resource_id", rows["hour_utc"].dt.floor("D")])[numbers].nunique()
    assert distinct.eq(1).all(axis=None)


def test_a_day_is_compared_with_its_weekday_and_with_no_other(tmp_path: Path) -> None:
    weekly = [of_day(day, 240.0 if day % 7 else 24.0) for day in range(42)]
    _, rows = built(tmp_path, weekly)
    known = rows[rows["hour_utc"] >= START + timedelta(days=14)]
    np.testing.assert_array_equal(known["expected_usage_gb"], known["usage_gb"])
    assert not known[NAMES].to_numpy().any()


def test_a_quiet_weekday_is_not_held_against_the_days_beside_it(tmp_path: Path) -> None:
    weekly = [of_day(day, 240.0 if day % 7 or day == 35 else 24.0) for day in range(37)]
    _, rows = built(tmp_path, weekly)
    hot = rows[rows["hour_utc"].dt.floor("D") == START + timedelta(days=35)]
    assert hot["expected_usage_gb"].eq(1.0).all()


def test_a_day_that_rises_is_held_against_the_days_before(tmp_path: Path) -> None:
    _, rows = built(tmp_path, [of_day(day, 2400.0 if day == 40 else 240.0) for day in range(42)])
    hot = rows[rows["hour_utc"].dt.floor("D") == START + timedelta(days=40)].iloc[5]
    assert hot["expected_usage_gb"] == 10.0
    enough = 0.25 / 0.09
    assert hot["excess_3d_log"] == pytest.approx(np.log((2160 + enough) / (0.6 * 240 + enough)), rel=1e-6)
    assert hot["steady_18h_log"] == hot["repeated_3d_log"] == 0.0
    assert hot["persistence"] == 1.0
    assert hot["expected_spread_gb"] == 0.0


def test_the_last_day_of_an_open_bill_is_never_complete(tmp_path: Path) -> None:
    def incomplete(**other: Any) -> set[str]:
        _, rows = built(tmp_path, [of_day(day, 24.0, **other) for day in range(20)])
        return {f"{hour:%m-%d}" for hour in rows[~rows["is_complete"]]["hour_utc"]}

    assert incomplete(bill_invoice_id="") == {"09-20"}
    assert incomplete(bill_invoice_id="7") == set()


def test_a_service_that_is_late_ends_with_its_last_day(tmp_path: Path) -> None:
    late = [of_day(d, 24.0, bill_invoice_id="", resource_id="i-1", product_code="AmazonEC2") for d in range(18)]
    summary, rows = built(tmp_path, [of_day(d, 24.0, bill_invoice_id="") for d in range(20)] + late)
    last = rows.groupby("resource_id")["hour_utc"].max()
    assert last["i-1"] == START + timedelta(hours=18 * 24 - 1)
    assert last["media-prod"] == START + timedelta(hours=20 * 24 - 1)
    assert "AmazonEC2 through 2026-09-18, AmazonS3 through 2026-09-19 UTC" in " ".join(summary.notes)


@pytest.mark.parametrize("shift", [-2, 5])
def test_local_days_are_the_utc_days_that_they_overlap_most(shift: int, tmp_path: Path) -> None:
    # From day 10 on clocks are an hour back: that day has 25 hours.
    lines = [of_day(d, 24.0 * (d + 1), shift=shift + (d > 10), hours=24 + (d == 10)) for d in range(20)]
    summary, rows = built(tmp_path, lines)
    assert summary.start_hour_utc == START
    by_day = rows.groupby(rows["hour_utc"].dt.floor("D"))["usage_gb"]
    np.testing.assert_allclose(by_day.sum(), [24.0 * (d + 1) for d in range(20)])
    assert by_day.count().eq(24).all()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Path], pd.DataFrame]:
    """Return the demo's bill as a daily legacy CUR, and its rows."""
    home = tmp_path_factory.mktemp("demo")
    files = daily_exports(write_demo_bill(home / "bill", days=30).files, home / "cur")
    build_features(files, home / "features.out")
    return files, pq.read_table(home / "features.out").to_pandas()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_export_may_be_daily(kind: str, demo: tuple[list[Path], pd.DataFrame], tmp_path: Path) -> None:
    files, expected = demo
    summary = build_features([write_as(f, kind, tmp_path / f.name) for f in files], tmp_path / "features.out")
    rows = pq.read_table(tmp_path / "features.out").to_pandas()
    assert summary.is_daily
    keys = ["hour_utc", "account_id", "service", "egress_class", "resource_id"]
    pd.testing.assert_frame_equal(rows[[*keys, "usage_gb", "cost_usd"]], expected[[*keys, "usage_gb", "cost_usd"]])


def test_an_hourly_bill_is_not_daily(tmp_path: Path) -> None:
    summary, rows = built(tmp_path, [line(hour, 1.0) for hour in range(240)])
    assert not summary.is_daily
    assert not rows["is_daily"].any()


def test_flow_logs_beside_a_daily_bill_are_refused(tmp_path: Path) -> None:
    bill = write_parquet(tmp_path / "bill.parquet", [of_day(day, 24.0) for day in range(20)])
    with pytest.raises(BadInputError, match=r"this one is daily \(.*bill\.parquet\): .* leave --flow-logs out$"):
        build_features([bill], tmp_path / "features.out", flow_logs=FlowLogs([tmp_path / "log.gz"]))


def test_too_few_days_are_counted_in_days(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"cover 5 days \(2026-09-01 to 2026-09-05 UTC\).* a day is compared"):
        built(tmp_path, [of_day(day, 24.0) for day in range(5)])
