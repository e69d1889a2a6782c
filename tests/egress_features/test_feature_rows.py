"""The features from numpy equal those from the SQL that defines them."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_features import FEATURES, FlowLogs, build_features, find_exports, find_flow_logs, windows
from egress_features.engines import DuckDBEngine
from egress_features.feature_file import write_features
from egress_features.windows import DAY, History, RollingMax, Totals, least_of_last, median
from egress_sentinel.demo import write_demo_bill
from tests.support.bill import START, line, write_parquet
from tests.support.daily_exports import daily_exports
from tests.support.flow_logs import write_flow_logs
from tests.support.random_lines import add_up_random_lines
from tests.support.sample_data import sample
from tests.support.sql_features import SqlEngine

METADATA = {"key": "value"}
NAMES = {feature.name for feature in FEATURES}


@pytest.mark.parametrize("bill", ["demo", "real", "growing", "daily"])
def test_a_bill_gives_what_sql_gives(bill: str, tmp_path: Path) -> None:
    exports = {
        "demo": lambda: write_demo_bill(tmp_path / "demo").files,
        "real": lambda: find_exports([sample("cur_legacy")]),
        "daily": lambda: daily_exports(write_demo_bill(tmp_path / "demo").files, tmp_path / "daily"),
        "growing": lambda: [write_parquet(tmp_path / "bill.parquet", growing())],
    }[bill]()
    with DuckDBEngine() as duckdb:
        expected = build_features(exports, tmp_path / "sql.parquet", engine=SqlEngine(duckdb))
    assert build_features(exports, tmp_path / "numpy.parquet") == expected
    assert_same(tmp_path)


def growing() -> list[dict[str, Any]]:
    """Series that begin one after the other, a job that summer time moves, one that moves to another resource."""
    lines = [line(hour, 0.5 + hour % 5, resource_id="steady") for hour in range(1201)]
    for number in range(12):
        account, region = f"{number % 3:012d}", ("", "EU-", "USW2-")[number % 2]
        lines += [
            line(
                hour,
                3.0 * (number + 1),
                usage_account_id=account,
                usage_type=f"{region}DataTransfer-Out-Bytes",
                resource_id=f"job-{number}",
            )
            for hour in range(97 * number, 1150 if number % 4 else 900, 24 if number % 2 else 5)
        ]
    lines += [line(hour - (hour > 500), 50.0, resource_id="job") for hour in range(6, 1200, 24)]
    return lines


def test_estimated_hours_are_what_sql_gives(tmp_path: Path) -> None:
    names = {"product_code": "AmazonEC2", "operation": "RunInstances", "usage_type": "EU-DataTransfer-Out-Bytes"}
    bill = write_parquet(
        tmp_path / "bill.parquet",
        [line(hour, 1 + hour % 7, resource_id=host, **names) for hour in range(300) for host in ("i-0a", "i-0b")],
    )
    window = {"start": START + timedelta(hours=250), "end": START + timedelta(hours=300)}
    logs = FlowLogs(find_flow_logs([write_flow_logs([bill], tmp_path / "logs", **window) / "AWSLogs"]))
    with DuckDBEngine() as duckdb:
        build_features([bill], tmp_path / "sql.parquet", flow_logs=logs, engine=SqlEngine(duckdb))
    build_features([bill], tmp_path / "numpy.parquet", flow_logs=logs)
    assert pc.any(pq.read_table(tmp_path / "numpy.parquet")["is_estimated"]).as_py()
    assert_same(tmp_path)


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**31), st.integers(2 * DAY, 45 * DAY), st.integers(1, 24), st.booleans())
def test_any_lines_give_what_sql_gives(
    tmp_path_factory: pytest.TempPathFactory, seed: int, hours: int, series: int, is_daily: bool
) -> None:
    folder = tmp_path_factory.mktemp("grid")
    with DuckDBEngine() as engine:
        add_up_random_lines(engine, seed, hours, series, is_daily=is_daily)
        write_features(SqlEngine(engine), folder / "sql.parquet", METADATA)
        write_features(engine, folder / "numpy.parquet", METADATA)
    assert_same(folder)


@pytest.fixture
def days() -> np.ndarray:
    """Fifty days of three columns."""
    return np.random.default_rng(3).lognormal(size=(50, DAY, 3))


@pytest.mark.parametrize("in_memory_bytes", [2**30, 0])
def test_windows_are_what_they_say(in_memory_bytes: int, days: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(windows, "_IN_MEMORY_BYTES", in_memory_bytes)
    hours = days.reshape(-1, 3)
    history, totals, largest = History(200, 3), Totals(200, 3), RollingMax(10 * DAY, 3 * DAY, 3)
    whole = np.round(hours * 1e9).astype(np.int64)
    for day, values in enumerate(days):
        history.append(values)
        totals.append(whole[day * DAY : (day + 1) * DAY])
        found = largest.with_next(values)
        for hour in (0, 7, DAY - 1):
            n = day * DAY + hour
            np.testing.assert_array_equal(history.lag(191)[hour], hours[n - 191] if n >= 191 else np.zeros(3))
            np.testing.assert_array_equal(history.since(5)[hour + 5], hours[n])
            window = slice(max(n - 168, 0), max(n, 0))
            np.testing.assert_array_equal(totals.last(168, 1)[hour], whole[window].sum(axis=0))
            before = hours[max(n - 10 * DAY, 0) : max(n - 3 * DAY + 1, 0)]
            np.testing.assert_array_equal(found[hour], before.max(axis=0, initial=0))


@pytest.mark.parametrize("size", [1, 2, 3, 17, 18])
def test_the_least_of_the_last_hours(days: np.ndarray, size: int) -> None:
    hours = days.reshape(-1, 3)[:60]
    expected = [hours[at : at + size].min(axis=0) for at in range(len(hours) - size + 1)]
    np.testing.assert_array_equal(least_of_last(hours, size), expected)


@pytest.mark.parametrize("size", range(1, 8))
def test_the_median_is_numpys(days: np.ndarray, size: int) -> None:
    np.testing.assert_array_equal(median(list(days[:size])), np.median(days[:size], axis=0))


def assert_same(folder: Path) -> None:
    """Compare sql.parquet and numpy.parquet: exactly, but numbers only to a logarithm's last digit."""
    found, expected = (pq.read_table(folder / f"{name}.parquet") for name in ("numpy", "sql"))
    assert [(field.name, field.type) for field in found.schema] == [(f.name, f.type) for f in expected.schema]
    assert found.schema.metadata == expected.schema.metadata
    assert found.num_rows == expected.num_rows > 0
    for name in expected.column_names:
        if pa.types.is_floating(expected[name].type):
            tolerance = {"rtol": 2e-7, "atol": 1e-12} if name in NAMES else {"rtol": 1e-9, "atol": 1e-12}
            np.testing.assert_allclose(found[name].to_numpy(), expected[name].to_numpy(), **tolerance, err_msg=name)
        else:
            assert found[name].equals(expected[name]), name
