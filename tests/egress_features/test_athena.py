"""Steps that are SQL in Athena and Python elsewhere give the same results."""

from datetime import datetime, timedelta

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_features.engines.athena import TABLES, definition, main, statements
from egress_features.usage_types import (
    EDGES,
    LOOKS_LIKE_TRANSFER,
    classify,
    region_prefixes,
    rule_of,
    unclassified,
)
from egress_features.usage_types_sql import classified_sql
from egress_features.watermarks import complete_until

TYPES = [
    "DataTransfer-AZ-Out-Bytes",
    "VpcPeering-In-Bytes",
    "RegionalNatGateway-Bytes",
    "USW2-AWS-In-ABytes-T1",
    "C3DataTransfer-Out-Bytes",
    "S3DSSE-Out-Bytes",
    "EU--MRAP-Out-Bytes",
    "MRAP-In-Bytes",
    "EU-OUT-Bytes-Internet",
    "TotalDataXfer-Out-Bytes",
    "DataXfer-Out-Overage-Bytes",
    "EqDC2-DataXfer-Out-Bytes:dc.1",
    "VPCLattice-DataProcessing-Bytes",
    "DataProcessing-Bytes",
    "Wormhole-Bytes",
    "DataTransfer-Out-Bytes",
    "DataTransfer-In-Bytes",
    "DataTransfer-Regional-Bytes",
    "DataTransfer-xAZ-In-Bytes",
    "DataTransfer-xAZ-Out-Bytes",
    "EUW2-AWS-Out-Bytes",
    "EUW2-AWS-In-Bytes",
    "AWS-Out-Bytes",
    "CloudFront-Out-Bytes",
    "CloudFront-In-Bytes",
    "NatGateway-Bytes",
    "NatGateway-Hours",
    "NatGateway-Prvd-Bytes",
    "TransitGateway-Bytes",
    "TransitGateway-Hours",
    "VpcEndpoint-Bytes",
    "VpcEndpoint-GWLBE-Bytes",
    "VpcPeering-In-Bytes",
    "VpcPeering-Out-Bytes",
    "VpcPeering-Bytes",
    "VpcPeering-In-x-Bytes",
    "DataXfer-Out:dc.1",
    "DataXfer-Out:dc.3",
    "DataXfer-In:dc.3",
    "DataTransfer-Out-ABytes",
    "USE1-APS1-Out-ABytes-T1",
    "EUW1-S3RTC-Out-Bytes",
    "S3RTC-In-Bytes",
    "Out-Bytes",
    "Out-OBytes",
    "OUT-Bytes",
    "Lightsail-Out-Bytes-Overage",
    "BoxUsage:m5.large",
    "TimedStorage-ByteHrs",
    "Requests-Tier1",
]
PREFIXES = sorted({"", "XYZ1", "ABCDE1", "AB", "QS", "use1", *EDGES, *region_prefixes()})
SERVICES = (
    "AmazonEC2", "AmazonS3", "AmazonCloudFront", "AmazonQuickSight", "AWSGlobalAccelerator", "AWSELB",
    "AmazonCloudWatch", "",
)  # fmt: skip
OPERATIONS = ("", "RunInstances", "CreateVpnConnection", "VPN-x")


# Usage type, service, operation, region_id; whether the export calls it data transfer; dollars.
Kind = tuple[str, str, str, str, bool, float]


def by_sql(lines: list[Kind]) -> list[tuple[str, str, bool]]:
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE t (n INT, usage_type VARCHAR, service VARCHAR, operation VARCHAR, region_id VARCHAR, "
            "is_transfer BOOLEAN, cost_usd DECIMAL(38, 12))"
        )
        connection.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?)", [(n, *each) for n, each in enumerate(lines)]
        )
        sql = f"SELECT region, egress_class, is_processing_fee FROM ({classified_sql('t')}) AS x ORDER BY n"
        return connection.execute(sql).fetchall()


def by_python(lines: list[Kind]) -> list[tuple[str, str, bool]]:
    """Return the result of `reading` for each line."""
    found = []
    for usage_type, service, operation, _, _, cost in lines:
        meaning = classify(usage_type, service, operation)
        rule = rule_of(usage_type, service, operation)
        if cost and ((meaning and meaning.charge == "free") or (not rule and LOOKS_LIKE_TRANSFER.search(usage_type))):
            meaning = unclassified(usage_type)
        is_series = meaning is not None and meaning.charge != "free"
        found.append(
            (meaning.region, meaning.egress_class, meaning.is_processing_fee) if is_series else ("", "", False)
        )
    return found


def test_every_known_usage_type_is_classified_alike() -> None:
    lines: list[Kind] = [
        (f"{prefix}-{kind}" if prefix else kind, service, operation, "", False, cost)
        for prefix in PREFIXES
        for kind in TYPES
        for service, operation in (
            [(service, "") for service in SERVICES] + [("AmazonEC2", operation) for operation in OPERATIONS[1:]]
            if prefix in {"", "EUW1", "US", "QS", "XYZ1"}
            else [("AmazonEC2", "")]
        )
        for cost in (0.0, 1.0)
    ]
    for each, sql, python in zip(lines, by_sql(lines), by_python(lines), strict=True):
        assert sql[1:] == python[1:], each
        if sql[1]:
            assert sql[0] == python[0], each


@settings(max_examples=5, deadline=None)
@given(st.lists(st.text("EUW12S-OutBytesDaTrnsf:vpGw", max_size=24), min_size=200, max_size=300))
def test_anything_else_is_classified_alike(usage_types: list[str]) -> None:
    lines: list[Kind] = [(text, "AmazonEC2", "", "", False, cost) for text in usage_types for cost in (0.0, 1.0)]
    for each, sql, python in zip(lines, by_sql(lines), by_python(lines), strict=True):
        assert sql[1] == python[1], each


def test_the_region_comes_from_the_product_where_the_usage_type_does_not_say_it() -> None:
    lines: list[Kind] = [
        ("XYZ1-DataTransfer-Out-Bytes", "AmazonEC2", "", "eu-north-9", False, 1.0),
        ("EUW1-DataTransfer-Out-Bytes", "AmazonEC2", "", "us-east-1", False, 1.0),
        ("US-DataTransfer-Out-Bytes", "AmazonCloudFront", "", "us-east-1", False, 1.0),
        ("EqSv5-DataXfer-Out:dc.3", "AWSDirectConnect", "", "us-west-1", False, 1.0),
    ]
    assert [found[0] for found in by_sql(lines)] == ["eu-north-9", "eu-west-1", "edge:US", "us-west-1"]


def test_what_the_export_calls_data_transfer_is_watched() -> None:
    lines: list[Kind] = [
        ("EU-Wormhole", "AmazonEC2", "", "", is_transfer, cost) for is_transfer in (True, False) for cost in (1.0, 0.0)
    ]
    assert [found[1] for found in by_sql(lines)] == ["unclassified_transfer", "", "", ""]


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.integers(10, 400), st.booleans())
def test_watermarks_are_those_of_python(seed: int, hours: int, is_closed: bool) -> None:
    random = np.random.default_rng(seed)
    first = datetime(2026, 9, 1)  # noqa: DTZ001 - moments in UTC, as the engines have them
    last = first + timedelta(hours=hours - 1)
    lines: dict[str, dict[datetime, int]] = {"everywhere": {first: 1, last: 1}}
    for service, share, lag in (("a", 1.0, 0), ("b", 0.97, random.integers(0, 60)), ("c", 0.2, 5), ("d", 0.95, 30)):
        lines[service] = {
            first + timedelta(hours=hour): int(random.integers(1, 12))
            for hour in range(max(hours - int(lag), 1))
            if random.random() < share
        }
    lines = {service: counts for service, counts in lines.items() if counts}
    rows = [(s, h, n, int(is_closed)) for s, counts in lines.items() for h, n in counts.items()]
    with duckdb.connect() as connection:
        connection.execute(
            "CREATE TABLE line_hours (service VARCHAR, hour_utc TIMESTAMP, lines BIGINT, has_invoice INT)"
        )
        connection.executemany("INSERT INTO line_hours VALUES (?, ?, ?, ?)", rows)
        found = dict(connection.execute(definition()["watermarks"].sql("duckdb")).fetchall())
    expected = dict.fromkeys(lines, last) if is_closed else complete_until(lines, first, last)
    assert found == expected


def test_the_statements_are_written_in_their_order(tmp_path: pytest.TempPathFactory) -> None:
    assert main([str(tmp_path)]) == 0
    written = {path.name: path.read_text() for path in sorted(tmp_path.iterdir())}  # type: ignore[attr-defined]
    assert list(written) == [f"{n:02d}_{name}.sql" for n, name in enumerate(TABLES, start=1)]
    assert [text.rstrip("\n") for text in written.values()] == list(statements().values())
    # What Athena takes at most in a query.
    assert all(len(text) < 262_144 for text in written.values())
