"""Every line and every cent of an export is accounted for."""

import json
from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import egress_features
from egress_features import find_exports, reconcile
from egress_features.reconciliation import Part
from egress_sentinel.cli.app import app
from egress_sentinel.errors import UserError
from tests.support.bill import START, line, steady, write_csv, write_parquet
from tests.support.sample_data import sample

CENT = Decimal("0.01")
TRANSFER_OUT = r"DataTransfer-Out-Bytes$|DataTransfer-Regional-Bytes$|AWS-Out-Bytes$|NatGateway-Bytes$"


def test_the_real_legacy_bill_against_pandas() -> None:
    result = reconcile(find_exports([sample("cur_legacy")]))
    assert result.is_met
    assert [file.kind for file in result.files] == ["legacy CUR"] * 2
    for file in result.files:
        lines = pd.read_parquet(file.path)
        egress = lines[lines["line_item_usage_type"].str.contains(TRANSFER_OUT)]
        assert file.input.lines == len(lines)
        assert file.traffic.lines + file.fees.lines == len(egress)
        assert float(file.input.cost_usd) == pytest.approx(lines["line_item_unblended_cost"].sum(), abs=0.005)
        assert float(file.traffic.cost_usd + file.fees.cost_usd) == pytest.approx(
            egress["line_item_unblended_cost"].sum(), abs=1e-9
        )
        assert abs(file.difference.cost_usd) < Decimal("1e-6")
    assert [file.billing_periods for file in result.files] == [("2018-11",), ("2018-10",)]


def test_the_real_focus_sample_against_pandas() -> None:
    (file,) = reconcile([sample("focus_1_0") / "focus_sample.csv"]).files
    rows = pd.read_csv(file.path)
    aws = rows[rows["ProviderName"] == "AWS"]
    words = aws["ChargeDescription"].str.lower()
    # All lines about data transfer except incoming traffic, and the bytes that a NAT gateway processes.
    speaks = words.str.contains(r"data transfer|-bytes|processed by nat")
    comes_in = words.str.contains(r"data transfer (?:from|in\b)|-in-bytes")
    egress = aws[speaks & ~comes_in]
    assert file.is_met
    assert file.kind == "FOCUS 1.0"
    assert (file.input.lines, file.traffic.lines + file.fees.lines) == (1000, len(egress)) == (1000, 281)
    assert float(file.input.cost_usd) == pytest.approx(rows["BilledCost"].sum(), abs=1e-9)
    assert float(file.traffic.cost_usd + file.fees.cost_usd) == pytest.approx(egress["BilledCost"].sum(), abs=1e-9)
    assert file.other_providers.lines == 58
    assert float(file.other_providers.cost_usd) == pytest.approx(
        rows["BilledCost"].sum() - aws["BilledCost"].sum(), abs=1e-9
    )


def test_the_real_cur_2_0_lines_are_recognised() -> None:
    (file,) = reconcile([sample("cur_2_0") / "aws_cost_report.csv"]).files
    assert (file.kind, file.input.lines, file.not_transfer.lines, file.is_met) == ("CUR 2.0", 20, 20, True)
    assert file.billing_periods == ("2024-04",)


def test_dollars_by_line_item_type(tmp_path: Path) -> None:
    others = [
        line(5, 0.0, -12.5, line_item_type="Credit", resource_id="credit"),
        line(6, 0.0, -1.25, line_item_type="Refund", resource_id="refund"),
        line(7, 1.0, 3.21, line_item_type="Tax", usage_type="", resource_id="tax"),
        line(8, 1.0, 0.4, usage_type="BoxUsage:t3.micro", resource_id="box"),
    ]
    (file,) = reconcile([write_csv(tmp_path / "bill.csv", [*steady(), *others])]).files
    assert file.is_met
    assert file.left_out == {"Credit": (1, Decimal("-12.5")), "Refund": (1, Decimal("-1.25"))}
    assert file.not_transfer == (2, Decimal("3.61"))
    assert file.traffic == (240, Decimal("43.2"))
    assert file.input.cost_usd == Decimal("33.06")


def test_what_a_newer_delivery_replaces_is_accounted_for(tmp_path: Path) -> None:
    old = write_parquet(tmp_path / "old.parquet", [*steady(200), line(3, 1, 7.0, usage_type="BoxUsage")])
    new = write_parquet(tmp_path / "new.parquet", steady(240))
    result = reconcile([old, new])
    assert result.is_met
    files = {file.path: file for file in result.files}
    assert files[old].replaced == (201, Decimal("43"))
    assert files[new].traffic.lines == 240


AMOUNTS = st.one_of(st.just(Decimal(0)), st.decimals(-1000, 1000, places=10, allow_nan=False, allow_infinity=False))
# A usage type, and the way of its charged lines.
USAGE_TYPES = {
    "DataTransfer-Out-Bytes": "traffic",
    "EU-VpcPeering-In-Bytes": "traffic",
    "EU-NatGateway-Bytes": "fees",
    "USE2-DataTransfer-AZ-Out-Bytes": "unclassified",
    "EU-Wormhole-Out-Bytes": "unclassified",
    "BoxUsage": "not_transfer",
    "": "not_transfer",
}
TYPES = ("Usage", "Credit", "Refund", "EdpDiscount", "")
SPANS = {"hour": 1, "day": 24, "longer": 720}
CURRENCIES = ("USD", "INR")
BILLS = st.lists(
    st.tuples(
        AMOUNTS,
        st.sampled_from(sorted(USAGE_TYPES)),
        st.sampled_from(TYPES),
        st.sampled_from(sorted(SPANS)),
        st.sampled_from(CURRENCIES),
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=30, deadline=None)
@given(BILLS)
def test_every_dollar_of_any_bill_goes_one_known_way(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[Decimal, str, str, str, str]]
) -> None:
    odd = [
        line(
            n,
            1.0,
            usage_type=usage_type,
            line_item_type=kind,
            unblended_cost=str(usd),
            usage_end_date=START + timedelta(hours=n + SPANS[span]),
            currency_code=currency,
        )
        for n, (usd, usage_type, kind, span, currency) in enumerate(rows)
    ]
    ordinary = [line(n, 1.0, 1.0, resource_id="ordinary") for n in range(2 * len(rows))]
    (file,) = reconcile([write_csv(tmp_path_factory.mktemp("any") / "bill.csv", [*odd, *ordinary])]).files
    ways: dict[str, Decimal] = defaultdict(Decimal, traffic=Decimal(len(ordinary)))
    for usd, usage_type, kind, span, currency in rows:
        charged = USAGE_TYPES[usage_type]
        if currency != "USD":
            ways["lines in INR"] += usd
        elif charged == "not_transfer" or (charged == "unclassified" and usd == 0):
            ways["not_transfer"] += usd
        elif kind != "Usage":
            ways[kind or "(no type)"] += usd
        elif span != "hour":
            ways[{"day": "daily lines", "longer": "lines of more than a day"}[span]] += usd
        else:
            ways[charged] += usd
    found = {reason: part.cost_usd for reason, part in file.left_out.items()}
    found |= {name: getattr(file, name).cost_usd for name in ("traffic", "fees", "unclassified", "not_transfer")}
    assert {way: usd for way, usd in found.items() if usd} == {way: usd for way, usd in ways.items() if usd}
    assert file.difference == (0, 0)
    assert file.free.cost_usd == 0


def test_the_command_prints_a_table_or_json(tmp_path: Path) -> None:
    bill = write_parquet(tmp_path / "bill.parquet", steady())
    shown = CliRunner().invoke(app, ["sources", str(bill)])
    assert shown.exit_code == 0
    assert "legacy CUR, 2026-09" in shown.stdout
    assert "$43.20" in shown.stdout
    record = json.loads(CliRunner().invoke(app, ["sources", str(bill), "--json"]).stdout)
    assert record["is_met"]
    assert record["files"][0]["traffic"] == {"lines": 240, "cost_usd": 43.2}
    assert record["complete_until_utc"] == {"AmazonS3": "2026-09-10T23:00:00Z"}


def test_the_command_fails_where_a_cent_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bill = write_parquet(tmp_path / "bill.parquet", steady())
    whole = reconcile([bill])
    lines, cost_usd = whole.files[0].input
    for change in ({"input": Part(lines, cost_usd + CENT)}, {"input": Part(lines + 1, cost_usd)}):
        short = replace(whole, files=(replace(whole.files[0], **change),))
        monkeypatch.setattr(egress_features, "reconcile", lambda _paths, short=short: short)
        done = CliRunner().invoke(app, ["sources", str(bill)])
        assert isinstance(done.exception, UserError)
        assert "bill.parquet" in str(done.exception)
