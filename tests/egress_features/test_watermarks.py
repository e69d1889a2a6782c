"""Hours for which a service's lines are yet to come are neither zeros nor silently whole."""

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress_alerts.rows import without_levels
from egress_features import FeaturesSummary, build_features
from egress_features.watermarks import SETTLED_HOURS, complete_until
from tests.support.bill import START, line, write_parquet

HOURS = 12 * 24
FIRST = START.replace(tzinfo=None)
LAST = FIRST + timedelta(hours=HOURS - 1)
OPEN: dict[str, Any] = {"bill_invoice_id": ""}


def hourly(until: int, **other: Any) -> list[dict[str, Any]]:
    return [line(hour, 1.0, **OPEN, **other) for hour in range(until)]


def built(folder: Path, lines: list[dict[str, Any]]) -> tuple[FeaturesSummary, pd.DataFrame]:
    summary = build_features([write_parquet(folder / "bill.parquet", lines)], folder / "features.out")
    return summary, without_levels(pq.read_table(folder / "features.out")).to_pandas()


def cdn(until: int) -> list[dict[str, Any]]:
    return hourly(until, product_code="AmazonCloudFront", usage_type="EU-DataTransfer-Out-Bytes", resource_id="cdn")


def test_a_late_service_ends_earlier_and_the_others_do_not(tmp_path: Path) -> None:
    summary, rows = built(tmp_path, [*hourly(HOURS), *cdn(HOURS - 20)])
    last = {name: hours.max() for name, hours in rows.groupby("resource_id")["hour_utc"]}
    assert last["media-prod"] - last["cdn"] == timedelta(hours=20)
    assert rows["is_complete"].all()
    assert (rows["usage_gb"] > 0).all()
    assert summary.complete_until_utc["AmazonCloudFront"] == START + timedelta(hours=HOURS - 21)
    assert any("AmazonCloudFront through 2026-09-12 03:00 UTC" in note for note in summary.notes)


def test_a_line_beyond_the_watermark_is_there_and_marked(tmp_path: Path) -> None:
    # Sixty lines an hour, and of the last five hours one each.
    crowd = [line for n in range(60) for line in hourly(HOURS - 5, identity_line_item_id=f"n{n}", resource_id=f"r{n}")]
    spike = [line(hour, 50.0, **OPEN, resource_id="r0") for hour in range(HOURS - 5, HOURS)]
    _, rows = built(tmp_path, [*crowd, *spike])
    beyond = rows[rows["hour_utc"] > START + timedelta(hours=HOURS - 6)]
    assert set(beyond["resource_id"]) == {"r0"}
    assert len(beyond) == 5
    assert not beyond["is_complete"].any()
    assert rows.drop(beyond.index)["is_complete"].all()


def test_a_closed_bill_is_complete(tmp_path: Path) -> None:
    _, rows = built(tmp_path, [row | {"bill_invoice_id": "7"} for row in [*hourly(HOURS), *cdn(HOURS - 20)]])
    assert rows["hour_utc"].value_counts().nunique() == 1
    assert rows["is_complete"].all()


def test_silence_of_more_than_two_days_is_silence(tmp_path: Path) -> None:
    summary, rows = built(tmp_path, [*hourly(HOURS), *cdn(HOURS - 60)])
    quiet = rows[(rows["resource_id"] == "cdn") & (rows["usage_gb"] == 0)]
    assert len(quiet) == 60 - SETTLED_HOURS
    assert quiet["is_complete"].all()
    assert summary.complete_until_utc["AmazonCloudFront"] == summary.end_hour_utc - timedelta(hours=SETTLED_HOURS)


def counts(until: int, each: int = 4) -> dict[datetime, int]:
    return {FIRST + timedelta(hours=hour): each for hour in range(until)}


def test_half_of_the_usual_lines_are_enough() -> None:
    partial = counts(HOURS) | {LAST: 1, LAST - timedelta(hours=1): 2}
    assert complete_until({"a": partial}, FIRST, LAST) == {"a": LAST - timedelta(hours=1)}


def test_what_is_seldom_there_is_as_late_as_the_latest() -> None:
    seldom = {FIRST + timedelta(hours=hour): 1 for hour in range(0, HOURS, 30)}
    lines = {"late": counts(HOURS - 9), "early": counts(HOURS), "seldom": seldom}
    assert complete_until(lines, FIRST, LAST)["seldom"] == LAST - timedelta(hours=9)
    assert complete_until({"seldom": seldom}, FIRST, LAST) == {"seldom": LAST}


@given(st.integers(0, 60), st.integers(2, 50))
def test_lag_is_found_for_any_lag_and_size(lag: int, each: int) -> None:
    found = complete_until({"a": counts(HOURS - lag, each), "b": counts(HOURS)}, FIRST, LAST)
    assert found["a"] == LAST - timedelta(hours=min(lag, SETTLED_HOURS))
    assert found["b"] == LAST


@pytest.mark.parametrize("night_lines", [1, 40])
def test_the_usual_number_is_that_of_the_hour_of_the_day(night_lines: int) -> None:
    lines = {FIRST + timedelta(hours=hour): 40 if hour % 24 >= 12 else night_lines for hour in range(HOURS)}
    assert complete_until({"a": lines}, FIRST, LAST) == {"a": LAST}
    # Ending in the night, the few lines of the night are enough.
    morning = FIRST + timedelta(hours=HOURS - 24 + 5)
    early = {hour: count for hour, count in lines.items() if hour <= morning}
    assert complete_until({"a": early}, FIRST, morning) == {"a": morning}
