"""From billing lines to processed_features.parquet."""

import hashlib
import math
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.rows import without_levels
from egress_features import FEATURES, KEYS, LABELS, MEASURES, build_features, find_exports, schema_hash, schema_json
from tests.support.bill import line, steady, write_csv, write_parquet
from tests.support.sample_data import sample

NAMES = [feature.name for feature in FEATURES]
EPS = 0.1


def built(folder: Path, lines: list[dict[str, Any]]) -> pa.Table:
    output = folder / "features.parquet"
    build_features([write_parquet(folder / "bill.parquet", lines)], output)
    return without_levels(pq.read_table(output))


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    output = tmp_path_factory.mktemp("real") / "features.parquet"
    build_features(find_exports([sample("cur_legacy")]), output)
    return without_levels(pq.read_table(output)).to_pandas()


def test_the_real_bill_reconciles_with_pandas(real: pd.DataFrame) -> None:
    columns = ["line_item_usage_type", "line_item_usage_amount", "line_item_unblended_cost"]
    parts = [pd.read_parquet(path, columns=columns) for path in find_exports([sample("cur_legacy")])]
    lines = pd.concat(parts)
    kinds = r"DataTransfer-Out-Bytes$|DataTransfer-Regional-Bytes$|AWS-Out-Bytes$|NatGateway-Bytes$"
    egress = lines[lines["line_item_usage_type"].str.contains(kinds, regex=True)]
    assert real["usage_gb"].sum() == pytest.approx(egress["line_item_usage_amount"].sum(), abs=1e-6)
    assert real["cost_usd"].sum() == pytest.approx(egress["line_item_unblended_cost"].sum(), abs=1e-9)


def test_the_real_spike_is_one_row_that_nothing_led_to_expect(real: pd.DataFrame) -> None:
    spike = real[(real["hour_utc"] == "2018-11-27 16:00Z") & (real["resource_id"] == "costworkshop-billing")]
    largest = spike.sort_values("usage_gb").iloc[-1]
    assert largest["usage_gb"] == pytest.approx(3.459, abs=0.001)
    assert (largest["cost_usd"], largest["egress_class"]) == (0, "internet")
    assert largest["expected_usage_gb"] < 0.01
    # 3.46 GB are worth $0.31 at list price, and $0.50 in a day are material.
    assert not spike[NAMES].to_numpy().any()


def test_features_are_finite_and_rows_are_unique_and_sorted(real: pd.DataFrame) -> None:
    assert np.isfinite(real[NAMES].to_numpy()).all()
    keys = real[list(KEYS)]
    assert not keys.duplicated().any()
    assert keys.equals(keys.sort_values(list(KEYS), ignore_index=True))


def test_the_file_says_what_its_columns_are(tmp_path: Path) -> None:
    table = built(tmp_path, steady())
    assert table.column_names == [*KEYS, *MEASURES, *LABELS, *NAMES]
    assert {table.schema.field(name).type for name in NAMES} == {pa.float32()}
    assert table.schema.field("hour_utc").type == pa.timestamp("us", tz="UTC")
    metadata = table.schema.metadata
    assert metadata[b"egress_sentinel.schema"].decode() == schema_json()
    assert metadata[b"egress_sentinel.schema_hash"].decode() == schema_hash()
    assert hashlib.sha256(schema_json().encode()).hexdigest() == schema_hash()


def test_hours_without_a_line_are_zeros(tmp_path: Path) -> None:
    table = built(tmp_path, [line(0, 1.0), line(5, 2.0), line(239, 3.0)])
    usage = table["usage_gb"].to_pylist()
    assert len(usage) == 240
    assert {hour: gb for hour, gb in enumerate(usage) if gb} == {0: 1.0, 5: 2.0, 239: 3.0}


def test_the_two_lines_of_a_price_tier_are_one_hour(tmp_path: Path) -> None:
    split = [line(200, 3.0, 0.27), line(200, 1.0, 0.085, identity_line_item_id="other")]
    table = built(tmp_path, [row for row in steady() if "id-200-" not in row["identity_line_item_id"]] + split)
    assert table["usage_gb"].to_pylist()[200] == 4.0
    assert table["cost_usd"].to_pylist()[200] == pytest.approx(0.355)


def test_lines_alike_but_for_their_ids_are_two_lines(tmp_path: Path) -> None:
    other = line(200, 2.0, identity_line_item_id="other")
    table = built(tmp_path, [*steady(), other])
    assert table["usage_gb"].to_pylist()[199:202] == [2.0, 4.0, 2.0]


@pytest.mark.parametrize("form", ["with nulls", "without statistics", "in another time zone"])
def test_parquet_is_read_whatever_it_says_of_itself(form: str, tmp_path: Path) -> None:
    lines = pa.Table.from_pylist([line(hour, 1.0 + hour % 7, operation="") for hour in range(240)])
    pq.write_table(lines, tmp_path / "plain.parquet")
    if form == "with nulls":
        nulls = pa.array([None if hour % 3 else "" for hour in range(240)], pa.string())
        lines = lines.set_column(lines.column_names.index("line_item_operation"), "line_item_operation", nulls)
    if form == "in another time zone":
        place = lines.column_names.index("line_item_usage_start_date")
        moments = lines["line_item_usage_start_date"].cast(pa.timestamp("ms", tz="America/New_York"))
        lines = lines.set_column(place, "line_item_usage_start_date", moments)
    pq.write_table(lines, tmp_path / "other.parquet", write_statistics=form != "without statistics")
    for name in ("plain", "other"):
        build_features([tmp_path / f"{name}.parquet"], tmp_path / f"{name}.out")
    assert pq.read_table(tmp_path / "other.out").equals(pq.read_table(tmp_path / "plain.out"))


def test_a_processing_fee_counts_in_dollars_and_not_in_egress(tmp_path: Path) -> None:
    fee = [line(h, 5.0, 0.225, usage_type="NatGateway-Bytes", product_code="AmazonEC2") for h in range(240)]
    table = built(tmp_path, fee)
    assert set(table["egress_gb"].to_pylist()) == {0.0}
    assert set(table["usage_gb"].to_pylist()) == {5.0}


def test_csv_gives_what_parquet_gives_whatever_the_order(tmp_path: Path) -> None:
    lines = [line(h, 1 + h % 7 / 3) for h in range(240)]
    one, two = lines[:100], lines[100:]
    parquet = [write_parquet(tmp_path / "a.parquet", one), write_parquet(tmp_path / "b.parquet", two)]
    csvs = [write_csv(tmp_path / "a.csv", two), write_csv(tmp_path / "b.csv", one)]
    outputs = [tmp_path / "1.out", tmp_path / "2.out"]
    for exports, output in zip((parquet, csvs), outputs, strict=True):
        build_features(exports, output)
    assert pq.read_table(outputs[0]).equals(pq.read_table(outputs[1]))


def test_credits_are_left_out_with_a_note(tmp_path: Path) -> None:
    credit = line(100, 0.0, -12.5, line_item_type="Credit", identity_line_item_id="credit")
    bill = write_parquet(tmp_path / "bill.parquet", [*steady(), credit])
    summary = build_features([bill], tmp_path / "f.parquet")
    assert summary.left_out == {"Credit": (1, -12.5)}
    assert "-$12.50" in summary.notes[0]
    assert pq.read_table(tmp_path / "f.parquet")["cost_usd"].to_pandas().sum() == pytest.approx(240 * 2 * 0.09)


def test_traffic_that_moves_to_another_resource_is_expected_there(tmp_path: Path) -> None:
    old = [line(h, 5.0, resource_id="old") for h in range(600)]
    new = [line(h, part, resource_id=name) for h in range(600, 720) for name, part in (("a", 3.0), ("b", 2.0))]
    table = built(tmp_path, [*old, *new]).to_pandas()
    moved = table[(table["resource_id"] != "old") & (table["usage_gb"] > 0)]
    assert moved["expected_usage_gb"].to_numpy() == pytest.approx(moved["usage_gb"].to_numpy())
    assert not moved[NAMES].to_numpy().any()


def test_a_job_that_moves_by_an_hour_is_expected(tmp_path: Path) -> None:
    # The clocks change after the third week.
    runs = [line(h - (h > 500), 50.0, resource_id="job") for h in range(6, 700, 24)]
    table = built(tmp_path, [line(0, 0.1), *runs, line(719, 0.1)]).to_pandas()
    job = table[(table["resource_id"] == "job") & (table["usage_gb"] > 0)].iloc[15:]
    assert job["expected_usage_gb"].to_numpy() == pytest.approx(50)


def test_a_job_on_the_first_of_each_month_is_a_habit_from_its_second_run_on(tmp_path: Path) -> None:
    # From September on: the first of October, November and December. The last run is five times as large.
    firsts = {720: 60.0, 720 + 744: 60.0, 720 + 744 + 720: 300.0}
    runs = [line(first + h, gb, resource_id="export") for first, gb in firsts.items() for h in range(2, 8)]
    table = built(tmp_path, [*steady(2300), *runs]).to_pandas()
    export = table[table["resource_id"] == "export"].set_index("hour_utc")
    start = pd.Timestamp("2026-09-01", tz="UTC")
    times = [math.exp(export.loc[start + pd.Timedelta(hours=first + 7), "beyond_habit_log"]) for first in firsts]
    assert [each >= 2.5 for each in times] == [True, False, True]


def test_a_new_series_borrows_from_the_habit_of_its_peers_and_a_new_region_has_none(tmp_path: Path) -> None:
    job = [line(h, 80.0, resource_id="job") for run in (200, 400) for h in range(run, run + 5)]
    new = [line(h, 4.0, resource_id="new") for h in range(560, 720)]
    abroad = [line(h, 4.0, resource_id="abroad", usage_type="EU-DataTransfer-Out-Bytes") for h in range(560, 720)]
    table = built(tmp_path, [line(0, 0.1), line(719, 0.1), *job, *new, *abroad]).to_pandas()
    by_name = {name: rows.iloc[30] for name, rows in table.groupby("resource_id") if name in {"new", "abroad"}}
    enough = 0.25 / 0.09
    for name, peers in (("new", 400 / 8), ("abroad", 0.0)):
        ratios = [(31 * 4 + enough) / (peers + enough), (4 + enough / 24) / (peers / 24 + enough / 24)]
        assert by_name[name]["excess_3d_log"] == pytest.approx(math.log(ratios[0]), rel=1e-6)
        assert by_name[name]["steady_18h_log"] == pytest.approx(math.log(ratios[1]), rel=1e-6)
        assert by_name[name]["beyond_habit_log"] == pytest.approx(math.log(max(ratios)), rel=1e-6)
        assert by_name[name]["persistence"] == 1.0


@pytest.mark.parametrize(("gb", "is_material"), [(0.231, False), (0.232, True)])
def test_an_hour_is_material_from_half_a_dollar_a_day_on(tmp_path: Path, gb: float, is_material: bool) -> None:
    table = built(tmp_path, [*(line(h, 0.0) for h in (0, 599)), *(line(h, gb) for h in range(560, 584))]).to_pandas()
    assert (table[NAMES].iloc[583].to_numpy() != 0).any() == is_material
    assert not table[NAMES].iloc[584].to_numpy().any()


@pytest.mark.parametrize(("gb", "is_dear"), [(222.0, False), (223.0, True)])
def test_three_hours_are_enough_where_an_hour_costs_20_dollars_more(tmp_path: Path, gb: float, is_dear: bool) -> None:
    # Three days of as much a month ago are the habit; three hours were never more than 30 GB.
    habit = [line(h, 10.0) for h in range(300, 372)]
    table = built(tmp_path, [line(0, 0.0), *habit, *(line(h, gb) for h in range(700, 703)), line(719, 0.0)]).to_pandas()
    row, enough = table.iloc[702], 0.25 / 0.09
    beyond = math.log((3 * gb + enough) / (2 * 30 + enough))
    assert (row["beyond_habit_log"] == pytest.approx(beyond, rel=1e-6)) == is_dear
    assert row["excess_3d_log"] == 0


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(200, 700))
def test_the_future_changes_nothing(tmp_path_factory: pytest.TempPathFactory, seed: int, cut: int) -> None:
    folder = tmp_path_factory.mktemp("future")
    lines = random_lines(seed, 720)
    early = [row for row in lines if row["line_item_usage_start_date"] < line(cut, 0)["line_item_usage_start_date"]]
    whole, part = (built(folder, rows).to_pandas() for rows in (lines, early))
    before = whole[whole["hour_utc"] <= part["hour_utc"].max()].reset_index(drop=True)
    pd.testing.assert_frame_equal(before, part, check_exact=True)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6))
def test_features_are_what_their_definitions_say(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    hours = 720
    table = built(tmp_path_factory.mktemp("slow"), random_lines(seed, hours)).to_pandas()
    usage: dict[str, list[float]] = {}
    for resource, rows in table.groupby("resource_id"):
        usage[str(resource)] = [0.0] * (hours - len(rows)) + rows["usage_gb"].tolist()
    # A series' expectations start with its first line.
    born = {str(resource): hours - len(rows) for resource, rows in table.groupby("resource_id")}
    by_hour = [expected_gb(usage, born, n) for n in range(hours)]
    expected = {name: [by_hour[n].get(name, 0.0) for n in range(hours)] for name in usage}
    for name, rows in table.groupby("resource_id"):
        first = born[str(name)]
        for n in (first, first + 1, first + 30, hours - 200, hours - 1):
            if first <= n < hours:
                row = rows.iloc[n - first]
                slow = slow_features(
                    usage, expected, first, str(name), n, peers_day(usage, expected, born, str(name), n)
                )
                assert {k: row[k] for k in slow} == pytest.approx(slow, abs=1e-5)


def random_lines(seed: int, hours: int) -> list[dict[str, Any]]:
    random = np.random.default_rng(seed)
    rows = [line(hour, 0.0) for hour in (0, hours - 1)]
    for resource in ("busy", "sparse", "late"):
        share = {"busy": 1.0, "sparse": 0.05, "late": 0.5}[resource]
        rows += [
            line(hour, round(float(random.lognormal(0, 1)) * (9 if hour % 400 > 360 else 1), 6), resource_id=resource)
            for hour in range(300 if resource == "late" else 0, hours)
            if random.random() < share
        ]
    return rows


def expected_alone(u: list[float], n: int) -> float:
    weeks = [u[n - k] for k in (168, 336, 504, 672) if n >= k]
    around = [max(u[max(n - k - 1, 0) : n - k + 2]) for k in (168, 336, 504, 672) if n >= k]
    days = [u[n - k] for k in range(24, 169, 24) if n >= k]
    if len(weeks) >= 2:
        return max(median(weeks), min(u[n], median(around)))
    return median(days) if days else u[n]


def expected_gb(usage: dict[str, list[float]], born: dict[str, int], n: int) -> dict[str, float]:
    """Return the expectation of each series of a class, after GB that vanished from one moved to those that rise."""
    alone = {name: expected_alone(u, n) for name, u in usage.items() if n >= born[name]}
    vanished = sum(e - usage[name][n] for name, e in alone.items() if usage[name][n] < 0.5 * e)
    risen = sum(max(usage[name][n] - e, 0.0) for name, e in alone.items())
    moved = min(vanished / risen, 1.0) if risen else 0.0
    return {name: e + max(usage[name][n] - e, 0.0) * moved for name, e in alone.items()}


def net(u: list[float], e: list[float], hours: int, at: int) -> float:
    return sum(u[i] - e[i] for i in range(max(0, at - hours + 1), at + 1)) if at >= 0 else 0.0


def usual_day_excess(u: list[float], e: list[float], n: int) -> float:
    return max((net(u, e, 24, i) for i in range(max(0, n - 840), n - 71)), default=0.0)


def peers_day(
    usage: dict[str, list[float]], expected: dict[str, list[float]], born: dict[str, int], name: str, n: int
) -> float:
    """Return the substitute for the usual excess of a series in its first week."""
    if n - born[name] >= 168:
        return 0.0
    grown_up = [other for other in usage if n - born[other] >= 168]
    return 0.125 * max((usual_day_excess(usage[other], expected[other], n) for other in grown_up), default=0.0)


def slow_features(
    usage: dict[str, list[float]], expected: dict[str, list[float]], born: int, name: str, n: int, peers: float
) -> dict[str, float]:
    u, e, usd_per_gb = usage[name], expected[name], 0.09

    def days(at: int) -> float:
        return max(min(net(u, e, 24, at - back) for back in (0, 24, 48)), 0.0)

    def steady(at: int) -> float:
        return max(min(net(u, e, 3, i) for i in range(at - 17, at + 1)), 0.0) / 3 if at >= 17 else 0.0

    past = range(max(0, n - 168), n)
    lately = range(max(0, n - 840), n - 71)
    e24, e3 = (sum(e[max(0, n - hours + 1) : n + 1]) for hours in (24, 3))
    enough, above = 0.25 / usd_per_gb, u[n] - e[n]
    ratios = [
        against(net(u, e, 72, n), max(0.0, peers, 0.6 * e24, *(net(u, e, 72, i) for i in lately)), enough),
        against(steady(n), max(0.0, peers / 24, 0.1 * e24 / 24, *(steady(i) for i in lately)), enough / 24),
        against(days(n), max(0.0, peers, 0.1 * e24, *(days(i) for i in lately)), enough),
    ]
    usual_3h = max(0.0, peers / 8, 0.6 * e3, *(net(u, e, 3, i) for i in lately))
    soon = against(net(u, e, 3, n), 2 * usual_3h, enough) if above * usd_per_gb >= 20 else 0.0
    last = range(max(born, n - 23), n + 1)
    persistence = sum(u[i] - e[i] >= max(0.3 * e[i], 0.01 / usd_per_gb) for i in last) / len(last)
    is_material = n >= 192 and above > 0 and above >= 0.3 * e[n] and net(u, e, 24, n) * usd_per_gb >= 0.5
    features = [*ratios, max(*ratios, soon), persistence]
    return {
        "expected_usage_gb": e[n],
        "expected_spread_gb": sum(abs(u[i] - e[i]) for i in past) / len(past) if past else 0.0,
        **{key: value if is_material else 0.0 for key, value in zip(NAMES, features, strict=True)},
    }


def against(value: float, usual: float, enough: float) -> float:
    return max(0.0, math.log((max(value, 0.0) + enough) / (usual + enough)))
