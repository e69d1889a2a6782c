from __future__ import annotations

import hashlib
import json
import os
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow.parquet as pq
import pytest

from egress_sentinel.demo import write_demo_bill
from egress_sentinel.errors import UserError

pytestmark = pytest.mark.integration

if TYPE_CHECKING:
    from egress_sentinel.demo import DemoBill

SCHEMA = Path(__file__).parents[4] / "shared" / "data" / "schemas" / "schema_legacy_cur_2018.json"
TIERS_GB = [(100, 0.0), (10_240, 0.09), (40_960, 0.085), (102_400, 0.07), (float("inf"), 0.05)]


@pytest.fixture(scope="module")
def bill(tmp_path_factory: pytest.TempPathFactory) -> DemoBill:
    return write_demo_bill(tmp_path_factory.mktemp("demo"), seed=3)


@pytest.fixture(scope="module")
def lines(bill: DemoBill) -> pd.DataFrame:
    return _read(bill)


@pytest.fixture(scope="module")
def quiet_lines(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return _read(write_demo_bill(tmp_path_factory.mktemp("quiet"), seed=3, with_incidents=False))


@pytest.fixture(scope="module")
def labels(bill: DemoBill) -> list[dict[str, object]]:
    return json.loads(bill.labels.read_text(encoding="utf-8"))


def _read(bill: DemoBill) -> pd.DataFrame:
    frame = pd.concat([pq.read_table(file, partitioning=None).to_pandas() for file in bill.files], ignore_index=True)
    return frame.rename(columns=lambda name: name.removeprefix("line_item_"))


def _digest(bill: DemoBill) -> list[str]:
    return [hashlib.sha256(file.read_bytes()).hexdigest() for file in (*bill.files, bill.labels)]


def test_same_seed_same_bytes_and_another_seed_another_bill(bill: DemoBill, tmp_path: Path) -> None:
    again = write_demo_bill(tmp_path / "again", seed=3)
    other = write_demo_bill(tmp_path / "other", seed=4)
    assert _digest(again) == _digest(bill)
    assert not set(_digest(other)) & set(_digest(bill))
    mine, theirs = (json.loads(one.labels.read_text()) for one in (bill, other))
    by_kind = {label["kind"]: label for label in theirs}
    for label in mine:
        assert label["excess_gb"] != by_kind[label["kind"]]["excess_gb"]
        assert label["resource_id"] != by_kind[label["kind"]]["resource_id"]
    assert [x["start_hour_utc"] for x in mine] != [x["start_hour_utc"] for x in theirs]


def test_files_are_laid_out_by_billing_month(bill: DemoBill, lines: pd.DataFrame) -> None:
    places = [file.relative_to(bill.labels.parent).as_posix() for file in bill.files]
    assert places == [f"cur/year=2026/month={month}/demo-00001.snappy.parquet" for month in (9, 10)]
    assert bill.lines == len(lines)
    assert 300_000 < bill.lines < 500_000
    assert bill.score_from == datetime(2026, 10, 17, tzinfo=UTC)
    assert lines.usage_start_date.min() == pd.Timestamp("2026-09-01", tz="UTC")
    assert lines.usage_start_date.max() == pd.Timestamp("2026-10-30 23:00", tz="UTC")
    starts = lines.bill_billing_period_start_date
    assert (starts <= lines.usage_start_date).all()
    assert (lines.usage_start_date < lines.bill_billing_period_end_date).all()
    assert not list(bill.labels.parent.rglob("*.part"))


def test_only_the_open_month_has_no_invoice(lines: pd.DataFrame) -> None:
    assert ((lines.bill_invoice_id == "") == (lines.usage_start_date.dt.month == 10)).all()


def test_columns_are_those_of_a_real_export(bill: DemoBill) -> None:
    if not SCHEMA.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{SCHEMA} is missing")
        pytest.skip("the schema of a real export is not here")
    real = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for file in bill.files:
        schema = pq.read_schema(file)
        types = {field.name: str(field.type) for field in schema}
        # Tags differ by company, and the demo adds the names of the accounts.
        own = {name for name in types if name.startswith("resource_tags_user_")} | {"line_item_usage_account_name"}
        assert {types.pop(name) for name in own} == {"string"}
        assert types.items() <= real.items()
        assert len(schema) >= 40


def test_ids_and_signs(lines: pd.DataFrame) -> None:
    assert not lines.duplicated(["identity_line_item_id", "identity_time_interval"]).any()
    assert (lines.usage_amount >= 0).all()
    booked = lines[lines.line_item_type != "Usage"]
    assert sorted(booked.line_item_type) == ["Credit", "Refund"]
    assert (booked.unblended_cost < 0).all()
    assert (booked.usage_amount == 0).all()
    assert (lines[lines.line_item_type == "Usage"].unblended_cost >= 0).all()
    assert lines.notna().all(axis=None)


def test_labels_are_seven_incidents_of_the_scored_weeks(bill: DemoBill, labels: list[dict[str, object]]) -> None:
    assert len(labels) == bill.incidents == 7
    assert len({label["kind"] for label in labels}) == 7
    for label in labels:
        assert bill.score_from <= datetime.fromisoformat(str(label["start_hour_utc"]))
        assert label["start_hour_utc"] <= label["end_hour_utc"] <= "2026-10-30T23:00:00Z"
        assert label["excess_usd"] > 5
        assert label["excess_gb"] > 50


TYPES = {
    "internet": "DataTransfer-Out-Bytes",
    "inter_az": "Regional-Bytes",
    "inter_region": "AWS-Out-Bytes",
    "nat_gateway": "NatGateway-Bytes",
}


def test_labels_are_what_the_bill_has_more_than_the_bill_without_incidents(
    lines: pd.DataFrame, quiet_lines: pd.DataFrame, labels: list[dict[str, object]]
) -> None:
    for label in labels:
        first, last = (pd.Timestamp(str(label[edge])) for edge in ("start_hour_utc", "end_hour_utc"))
        loud, quiet = (_of_label(frame, label) for frame in (lines, quiet_lines))
        excess = (
            loud.groupby("usage_start_date")
            .usage_amount.sum()
            .sub(quiet.groupby("usage_start_date").usage_amount.sum(), fill_value=0.0)
        )
        inside = excess[first:last]
        assert inside.sum() == pytest.approx(label["excess_gb"], abs=1e-4), label["name"]
        assert excess.drop(inside.index).abs().sum() == pytest.approx(0, abs=1e-6), label["name"]
        assert min(inside.iloc[0], inside.iloc[-1]) > 0, label["name"]


def _of_label(frame: pd.DataFrame, label: dict[str, object]) -> pd.DataFrame:
    return frame[
        (frame.usage_account_id == label["account_id"])
        & (frame.product_region == label["region"])
        & (frame.product_code == label["service"])
        & frame.resource_id.isin(label["resource_ids"])
        & frame.usage_type.str.endswith(TYPES[label["egress_class"]])
    ]


def test_money_of_labels_is_volume_at_list_price(labels: list[dict[str, object]]) -> None:
    cheapest_and_dearest = {
        "s3_hot_link": (0.07, 0.09),
        "log_loop": (0.13, 0.135),  # internet and the NAT gateway's fee
        "s3_through_nat": (0.048, 0.048),
        "cross_az_chatter": (0.01, 0.01),
        "exfiltration": (0.09, 0.09),
        "new_region_replication": (0.02, 0.02),
        "leaked_key": (0.126, 0.15),
    }
    for label in labels:
        low, high = cheapest_and_dearest[label["kind"]]
        assert low * 0.999 <= label["excess_usd"] / label["excess_gb"] <= high * 1.001, label["name"]


def test_internet_tiers_are_filled_up_month_by_month(lines: pd.DataFrame) -> None:
    internet = lines[
        lines.usage_type.str.endswith("DataTransfer-Out-Bytes")
        & (lines.product_code != "AmazonCloudFront")
        & (lines.line_item_type == "Usage")
    ]
    standard = internet[~internet.product_region.isin(["sa-east-1", "ap-northeast-2"])]
    whole = standard.usage_account_id.map(internet.groupby("usage_account_id").product_region.agg(set).map(len)) > 0
    assert whole.all()
    months = internet.groupby(["usage_account_id", internet.usage_start_date.dt.month])
    checked = 0
    for _, month in months:
        if month.product_region.isin(["sa-east-1", "ap-northeast-2"]).any():
            continue
        left, expected = month.usage_amount.sum(), 0.0
        for size, rate in TIERS_GB:
            expected += min(left, size) * rate
            left -= min(left, size)
        assert month.unblended_cost.sum() == pytest.approx(expected, abs=0.01)
        checked += expected > 0
    assert checked >= 6


def test_a_price_tier_that_ends_within_an_hour_makes_two_lines(lines: pd.DataFrame) -> None:
    usage = lines[lines.line_item_type == "Usage"]
    key = ["usage_account_id", "product_code", "usage_type", "operation", "resource_id", "usage_start_date"]
    split = usage[usage.duplicated(key, keep=False)]
    assert len(split) >= 6
    assert (split.groupby(key).unblended_rate.nunique() == 2).all()


def test_the_month_starts_again_in_the_free_tier(tmp_path: Path) -> None:
    bill = write_demo_bill(tmp_path, seed=1, end=date(2026, 11, 8))
    assert [file.parent.name for file in bill.files] == ["month=9", "month=10", "month=11"]
    lines = _read(bill)
    internet = lines[lines.usage_type.eq("DataTransfer-Out-Bytes") & lines.product_code.eq("AWSELB")]
    before = internet[internet.usage_start_date == pd.Timestamp("2026-10-31 23:00", tz="UTC")]
    after = internet[internet.usage_start_date == pd.Timestamp("2026-11-01", tz="UTC")]
    assert (before.unblended_cost > 0).all()
    assert (after.unblended_cost == 0).all()


def test_traffic_has_days_and_weeks(quiet_lines: pd.DataFrame) -> None:
    shop = quiet_lines[
        quiet_lines.product_code.eq("AWSELB")
        & quiet_lines.resource_id.str.contains("/shop/")
        & quiet_lines.usage_type.eq("EU-DataTransfer-Out-Bytes")
    ].set_index("usage_start_date")
    hourly = shop.usage_amount.groupby(level=0).sum()
    assert hourly[hourly.index.hour == 13].median() > 3 * hourly[hourly.index.hour == 2].median()
    noon = hourly[hourly.index.hour == 13]
    assert noon[noon.index.day_of_week < 5].median() > 1.5 * noon[noon.index.day_of_week >= 5].median()
    assert hourly.autocorr(168) > 0.7


def test_oddities_are_in_the_scored_weeks(bill: DemoBill, lines: pd.DataFrame) -> None:
    scored = lines[lines.usage_start_date >= bill.score_from]
    calls = scored[scored.operation.eq("DescribeInstances")]
    assert calls.usage_type.nunique() == 20
    assert (calls.unblended_cost == 0).all()
    before = lines[(lines.usage_start_date < bill.score_from) & lines.usage_account_id.isin(calls.usage_account_id)]
    assert not set(calls.usage_type) & set(before.usage_type)
    assert scored.usage_type.isin(["DataTransfer-xAZ-In-Bytes", "DataTransfer-xAZ-Out-Bytes"]).any()
    assert scored[scored.product_region == "ca-central-1"].usage_amount.max() <= 1.0
    assert set(
        scored[scored.usage_amount.between(3.45, 3.55) & scored.operation.eq("RunInstances")].unblended_cost
    ) >= {0}


def test_the_backup_runs_every_sunday(lines: pd.DataFrame) -> None:
    backup = lines[lines.resource_id.str.startswith("lake-backup") & lines.usage_type.str.endswith("AWS-Out-Bytes")]
    nights = backup.groupby(backup.usage_start_date.dt.date).usage_amount.sum()
    assert (pd.to_datetime(nights.index).day_of_week == 6).all()
    assert len(nights) == 8
    assert nights.min() > 300


@pytest.mark.parametrize("seed", [0, 1, 2, 11])
@pytest.mark.parametrize("end", [date(2026, 10, 30), date(2027, 1, 3)])
def test_every_seed_has_seven_whole_incidents(seed: int, end: date, tmp_path: Path) -> None:
    bill = write_demo_bill(tmp_path, days=28, seed=seed, end=end)
    labels = {label["kind"]: label for label in json.loads(bill.labels.read_text())}
    assert len(labels) == 7
    night = labels["exfiltration"]
    assert 75 < night["excess_gb"] < 155
    assert datetime.fromisoformat(night["start_hour_utc"]).weekday() == 5
    for label in labels.values():
        assert datetime.fromisoformat(label["start_hour_utc"]) >= bill.score_from


@pytest.mark.parametrize(("wrong", "sentence"), [({"days": 27}, "27 days is too short"), ({"seed": -1}, "seed -1")])
def test_bad_arguments_are_refused_in_one_sentence(wrong: dict[str, int], sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence):
        write_demo_bill(tmp_path, **wrong)
    assert not list(tmp_path.iterdir())
