"""The lines that become a series, their sums, and lines that are left out with a note."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from egress_alerts.rows import without_levels
from egress_features import FeaturesSummary, build_features, reconcile
from tests.support.bill import START, line, steady, write_parquet

HOURS = 240


def hourly(usage_type: str, gb: float, usd: float, **other: Any) -> list[dict[str, Any]]:
    """Return a line for each hour."""
    return [line(hour, gb, usd, usage_type=usage_type, **other) for hour in range(HOURS)]


def features(folder: Path, *lines: list[dict[str, Any]]) -> tuple[pd.DataFrame, FeaturesSummary]:
    """Return the rows of a bill and the summary."""
    bill = write_parquet(folder / "bill.parquet", [each for several in lines for each in several])
    summary = build_features([bill], folder / "features.parquet")
    return without_levels(pq.read_table(folder / "features.parquet")).to_pandas(), summary


def totals(rows: pd.DataFrame) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Return usage GB, egress GB and dollars by class and resource."""
    added = rows.groupby(["egress_class", "resource_id"], observed=True)[["usage_gb", "egress_gb", "cost_usd"]].sum()
    return {key: tuple(round(value, 6) for value in values) for key, *values in added.itertuples()}


def test_both_sides_of_a_peering_connection_are_traffic(tmp_path: Path) -> None:
    rows, _ = features(
        tmp_path,
        hourly("USE1-VpcPeering-Out-Bytes", 10, 0.1, resource_id="i-sender"),
        hourly("USE1-VpcPeering-In-Bytes", 10, 0.1, resource_id="i-receiver"),
    )
    assert totals(rows) == {
        ("inter_az", "i-sender"): (2400, 2400, 24),
        ("inter_az", "i-receiver"): (2400, 2400, 24),
    }


def test_what_lightsail_charges_above_the_bundle_counts_in_dollars_alone(tmp_path: Path) -> None:
    lightsail = {"product_code": "AmazonLightsail", "resource_id": "arn:aws:lightsail:eu-west-1:1:Instance/a"}
    rows, _ = features(
        tmp_path,
        hourly("EU-TotalDataXfer-Out-Bytes", 2, 0, **lightsail),
        hourly("EU-DataXfer-Out-Overage-Bytes", 1, 0.09, **lightsail),
        hourly("EU-NatGateway-Bytes", 3, 0.15, resource_id="nat-1"),
    )
    assert totals(rows) == {
        ("internet", lightsail["resource_id"]): (480, 480, 21.6),
        ("nat_gateway", "nat-1"): (720, 0, 36),
    }


def test_what_is_free_by_nature_is_no_series(tmp_path: Path) -> None:
    rows, _ = features(
        tmp_path,
        steady(HOURS),
        hourly("USE1-DataTransfer-AZ-Out-Bytes", 50, 0, resource_id="i-1"),
        hourly("C3DataTransfer-Out-Bytes", 100, 0, resource_id="bucket"),
    )
    assert set(rows["resource_id"]) == {"media-prod"}


def test_a_charged_line_of_an_unknown_kind_is_watched_and_named(tmp_path: Path) -> None:
    rows, summary = features(
        tmp_path,
        steady(HOURS),
        hourly("EU-Wormhole-Out-Bytes", 1, 0.5, resource_id="w"),
        # Free lines of the same kind are none, and a free kind that costs money is not free.
        [line(3, 7, 0, usage_type="EU-Wormhole-Out-Bytes", resource_id="free")],
        [line(4, 7, 2.5, usage_type="DataTransfer-AZ-Out-Bytes", resource_id="i-1")],
    )
    of_class = rows[rows["egress_class"] == "unclassified_transfer"]
    assert totals(of_class) == {
        ("unclassified_transfer", "w"): (240, 0, 120),
        ("unclassified_transfer", "i-1"): (7, 0, 2.5),
    }
    assert set(of_class["region"]) == {"eu-west-1", "us-east-1"}
    (note,) = summary.notes
    assert "241 charged lines ($122.50)" in note
    assert "EU-Wormhole-Out-Bytes of AmazonS3 ($120.00)" in note


@pytest.mark.parametrize(
    ("odd", "reason", "sentence"),
    [
        (
            {"usage_end_date": START + timedelta(hours=720)},
            "lines of more than a day",
            "1 data-transfer line ($7.50) is left out (a span of 720 hours, unlike the rest of the bill)",
        ),
        ({"usage_end_date": START + timedelta(hours=24)}, "daily lines", "a span of 24 hours"),
        (
            {"usage_start_date": None},
            "lines without a time",
            "without a time of usage: line_item_usage_start_date is empty in row 241 of",
        ),
        ({"currency_code": "INR"}, "lines in INR", "1 line in INR (7.50 INR), because the bill is in USD"),
        ({"line_item_type": "EdpDiscount"}, "EdpDiscount", "the dollars of alerts are before this discount"),
        ({"line_item_type": "Refund"}, "Refund", "left out as Refund, which moves dollars without moving bytes"),
    ],
)
def test_an_odd_line_is_left_out_with_its_dollars(
    odd: dict[str, Any], reason: str, sentence: str, tmp_path: Path
) -> None:
    lines = [*steady(HOURS), line(0, 500, 7.5, resource_id="odd", **odd)]
    rows, summary = features(tmp_path, lines)
    assert set(rows["resource_id"]) == {"media-prod"}
    (note,) = summary.notes
    assert sentence in note
    (file,) = reconcile([tmp_path / "bill.parquet"]).files
    assert {why: float(part.cost_usd) for why, part in file.left_out.items()} == {reason: 7.5}
    assert file.is_met


def test_without_resource_ids_series_are_by_operation(tmp_path: Path) -> None:
    rows, summary = features(
        tmp_path,
        hourly("DataTransfer-Out-Bytes", 2, 0.18, resource_id="", operation="GetObject"),
        hourly("DataTransfer-Out-Bytes", 1, 0.09, resource_id="", operation="WebsiteGetObject"),
    )
    assert set(rows["resource_id"]) == {"GetObject", "WebsiteGetObject"}
    (note,) = summary.notes
    assert note.startswith("the bill has no resource ids")
