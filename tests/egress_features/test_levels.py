"""Rows of levels: sums of the rows of resources, with "*" in the keys that they sum over."""

from collections import Counter
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.rows import without_levels
from egress_features import FEATURES, FlowLogs, build_features, find_flow_logs
from egress_features.engines import DuckDBEngine
from egress_features.feature_file import write_features
from egress_features.windows import DAY
from tests.support.bill import START, line, write_parquet
from tests.support.flow_logs import write_flow_logs
from tests.support.random_lines import add_up_random_lines
from tests.support.sql_features import SqlEngine

NAMES = [feature.name for feature in FEATURES]
SERIES = ["account_id", "region", "service", "egress_class", "resource_id"]
ACCOUNT, OTHER_ACCOUNT = "011122223333", "044455556666"
EC2 = {"product_code": "AmazonEC2", "operation": "RunInstances"}


def built(folder: Path, lines: list[dict[str, Any]]) -> pd.DataFrame:
    build_features([write_parquet(folder / "bill.parquet", lines)], folder / "features.out")
    return pq.read_table(folder / "features.out").to_pandas()


def levels(rows: pd.DataFrame) -> dict[tuple[str, ...], pd.DataFrame]:
    """Return the rows of each level by its keys, without its class and resource."""
    every = rows[rows["resource_id"] == "*"].groupby(SERIES)
    return {keys[:3]: found.reset_index(drop=True) for keys, found in every}


def billionths(values: pd.Series) -> list[int]:
    return [int(Decimal(value * 1e9).quantize(Decimal(1), ROUND_HALF_UP)) for value in values]


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**31), st.integers(2 * DAY, 12 * DAY), st.integers(2, 24), st.booleans())
def test_a_level_is_the_sum_of_its_leaves_in_every_hour(
    tmp_path_factory: pytest.TempPathFactory, seed: int, hours: int, series: int, is_daily: bool
) -> None:
    path = tmp_path_factory.mktemp("sums") / "features.parquet"
    with DuckDBEngine() as engine:
        add_up_random_lines(engine, seed, hours, series, is_daily=is_daily)
        write_features(engine, path, {})
    rows = pq.read_table(path).to_pandas()
    leaves, found = rows[rows["resource_id"] != "*"], rows[rows["resource_id"] == "*"]
    seen = set()
    for keys, level in found.groupby(SERIES):
        members = leaves
        for name, key in zip(SERIES, keys, strict=True):
            members = members[members[name] == key] if key != "*" else members
        assert members.groupby(SERIES).ngroups > 1
        # Between two leaves that never meet it is 0.
        first, last = members["hour_utc"].min(), members["hour_utc"].max()
        assert level["hour_utc"].tolist() == pd.date_range(first, last, freq="h").tolist()
        for name in ("usage_gb", "cost_usd"):
            total: Counter[pd.Timestamp] = Counter()
            for hour, value in zip(members["hour_utc"], billionths(members[name]), strict=True):
                total[hour] += value
            assert billionths(level[name]) == [total[hour] for hour in level["hour_utc"]]
        provisional = set(members[members["is_provisional"]]["hour_utc"])
        assert level["is_provisional"].tolist() == [hour in provisional for hour in level["hour_utc"]]
        seen.add(keys)
    assert seen == expected_levels(leaves)


def expected_levels(leaves: pd.DataFrame) -> set[tuple[str, ...]]:
    """Levels whose leaves differ in the keys next to their own."""
    keys = leaves[SERIES].drop_duplicates()
    steps = [
        (["account_id", "region", "service", "egress_class"], ["resource_id"]),
        (["account_id", "egress_class"], ["region", "service"]),
        (["egress_class"], ["account_id"]),
    ]
    found = set()
    for kept, below in steps:
        for _, members in keys.groupby(kept):
            if len(members[below].drop_duplicates()) > 1:
                found.add(tuple(members.iloc[0][name] if name in kept else "*" for name in SERIES))
    return found


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 2**31), st.integers(9 * DAY, 40 * DAY), st.integers(2, 16), st.booleans())
def test_rows_of_resources_are_the_same_with_and_without_levels(
    tmp_path_factory: pytest.TempPathFactory, seed: int, hours: int, series: int, is_daily: bool
) -> None:
    folder = tmp_path_factory.mktemp("leaves")
    with DuckDBEngine() as duckdb:
        add_up_random_lines(duckdb, seed, hours, series, is_daily=is_daily)
        engine = SqlEngine(duckdb)
        write_features(engine, folder / "with.parquet", {})
        engine.run("DELETE FROM series WHERE resource_id = '*'")
        write_features(engine, folder / "without.parquet", {})
    found, expected = (pq.read_table(folder / f"{name}.parquet") for name in ("with", "without"))
    assert without_levels(found).equals(expected)


def test_a_level_exists_where_it_sums_more_than_the_level_below_it(tmp_path: Path) -> None:
    abroad = {"usage_type": "EU-DataTransfer-Out-Bytes"}
    two = [line(h, 1.0, resource_id=name) for h in range(240) for name in ("a", "b")]
    rows = built(tmp_path, two)
    # One region, one service and one account: the levels above would be the same again.
    assert list(levels(rows)) == [(ACCOUNT, "us-east-1", "AmazonS3")]
    rows = built(tmp_path, [*two, *(line(h, 1.0, resource_id="c", **abroad) for h in range(240))])
    assert set(levels(rows)) == {(ACCOUNT, "us-east-1", "AmazonS3"), (ACCOUNT, "*", "*")}
    other = [line(h, 1.0, resource_id="d", usage_account_id=OTHER_ACCOUNT) for h in range(240)]
    rows = built(tmp_path, [*two, *other])
    assert set(levels(rows)) == {(ACCOUNT, "us-east-1", "AmazonS3"), ("*", "*", "*")}
    assert levels(rows)["*", "*", "*"]["usage_gb"].eq(3.0).all()


def test_classes_are_never_added_up(tmp_path: Path) -> None:
    kinds = ("DataTransfer-Out-Bytes", "DataTransfer-Regional-Bytes")
    rows = built(tmp_path, [line(h, 1.0, usage_type=kind) for h in range(240) for kind in kinds])
    assert levels(rows) == {}


def test_a_fleet_whose_ids_rotate_has_an_expectation_at_its_level(tmp_path: Path) -> None:
    hours = 21 * DAY
    lines = [line(h, 2.0, resource_id=f"i-{n}-{(h + n) // 12}", **EC2) for h in range(hours) for n in range(6)]
    rows = built(tmp_path, lines)
    (level,) = levels(rows).values()
    assert len(level) == hours
    assert level["usage_gb"].eq(12.0).all()
    assert level["expected_usage_gb"].eq(12.0).all()
    grown = level["hour_utc"] >= START + timedelta(days=8)
    assert not level[grown][NAMES].to_numpy().any()


def test_a_level_borrows_no_habit_and_takes_no_traffic_over(tmp_path: Path) -> None:
    job = [line(h, 80.0, resource_id=n) for run in (200, 400) for h in range(run, run + 5) for n in ("job", "other")]
    new = [line(h, 4.0, resource_id=name, **EC2) for h in range(560, 720) for name in ("c", "d")]
    rows = built(tmp_path, [line(0, 0.1), line(719, 0.1), *job, *new])
    leaf, level = rows[rows["resource_id"] == "c"], levels(rows)[ACCOUNT, "us-east-1", "AmazonEC2"]
    enough = 0.25 / 0.09
    assert leaf.iloc[30]["excess_3d_log"] == pytest.approx(np.log((31 * 4 + enough) / (400 / 8 + enough)), rel=1e-6)
    assert level.iloc[30]["excess_3d_log"] == pytest.approx(np.log((31 * 8 + enough) / enough), rel=1e-6)
    old = [line(h, 4.0, resource_id=name) for h in range(600) for name in ("a", "b")]
    moved = [line(h, 4.0, resource_id=name, **EC2) for h in range(600, 720) for name in ("c", "d")]
    rows = built(tmp_path, [*old, *moved])
    assert rows[rows["resource_id"] == "c"]["expected_usage_gb"].eq(4.0).all()
    assert levels(rows)[ACCOUNT, "us-east-1", "AmazonEC2"]["expected_usage_gb"].eq(0.0).all()
    assert levels(rows)[ACCOUNT, "*", "*"]["expected_usage_gb"].eq(8.0).all()


def test_the_largest_leaf_names_usage_type_and_operation(tmp_path: Path) -> None:
    lines = [
        line(h, 3.0 if (h % 2) == n else 1.0, resource_id=name, operation=f"Operation{n}")
        for h in range(240)
        for n, name in enumerate(("a", "b"))
    ]
    lines += [line(h, 0.0, resource_id="c", operation="Operation2") for h in range(240)]
    (level,) = levels(built(tmp_path, lines)).values()
    assert level["operation"].tolist() == ["Operation0", "Operation1"] * 120
    equal = [line(h, 1.0, resource_id=name, operation=name) for h in range(240) for name in ("b", "a")]
    (level,) = levels(built(tmp_path, equal)).values()
    assert level["operation"].eq("a").all()


def test_a_level_of_fees_alone_is_a_fee(tmp_path: Path) -> None:
    fee = {"usage_type": "NatGateway-Bytes", "product_code": "AmazonEC2"}
    rows = built(tmp_path, [line(h, 5.0, 0.2, resource_id=name, **fee) for h in range(240) for name in ("a", "b")])
    (level,) = levels(rows).values()
    assert level["usage_gb"].eq(10.0).all()
    assert level["egress_gb"].eq(0.0).all()


def test_a_level_is_complete_where_every_service_is(tmp_path: Path) -> None:
    hours, late = 12 * DAY, 20
    lines = [line(h, 1.0, bill_invoice_id="") for h in range(hours)]
    lines += [line(h, 1.0, bill_invoice_id="", resource_id="i-1", **EC2) for h in range(hours - late)]
    (level,) = levels(built(tmp_path, lines)).values()
    assert len(level) == hours
    assert level["is_complete"].tolist() == [True] * (hours - late) + [False] * late
    assert level["usage_gb"].tolist() == [2.0] * (hours - late) + [1.0] * late


def test_flow_logs_go_on_with_a_level(tmp_path: Path) -> None:
    names = {**EC2, "usage_type": "EU-DataTransfer-Out-Bytes"}
    bill = write_parquet(
        tmp_path / "bill.parquet", [line(h, 1.0, resource_id=n, **names) for h in range(250) for n in ("i-0a", "i-0b")]
    )
    whole = write_parquet(
        tmp_path / "whole.parquet", [line(h, 1.0, resource_id=n, **names) for h in range(300) for n in ("i-0a", "i-0b")]
    )
    window = {"start": START + timedelta(hours=220), "end": START + timedelta(hours=300)}
    logs = FlowLogs(find_flow_logs([write_flow_logs([whole], tmp_path / "logs", **window) / "AWSLogs"]))
    build_features([bill], tmp_path / "features.out", flow_logs=logs)
    rows = pq.read_table(tmp_path / "features.out").to_pandas()
    leaf = rows[rows["resource_id"] == "i-0a"]
    (level,) = levels(rows).values()
    assert len(level) == 300
    np.testing.assert_allclose(level["usage_gb"], 2.0, atol=1e-8)
    for name in ("is_estimated", "is_complete"):
        assert level[name].tolist() == leaf[name].tolist()
    assert level["is_estimated"].any()


def test_the_summary_counts_resources(tmp_path: Path) -> None:
    accounts = (ACCOUNT, OTHER_ACCOUNT)
    lines = [line(h, 1.0, usage_account_id=account) for h in range(240) for account in accounts]
    summary = build_features([write_parquet(tmp_path / "bill.parquet", lines)], tmp_path / "features.out")
    assert (summary.series, summary.levels, summary.rows) == (2, 1, 3 * 240)
    assert summary.accounts == list(accounts)
    assert pc.sum(without_levels(pq.read_table(tmp_path / "features.out"))["usage_gb"]).as_py() == 480
