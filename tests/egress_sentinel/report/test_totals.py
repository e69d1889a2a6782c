"""What the report adds up."""

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from egress_features import build_features
from egress_sentinel.report import write_report
from egress_sentinel.report.data import ReportData
from tests.support.bill import line, write_parquet


def test_totals_are_those_of_resources_and_not_of_levels(tmp_path: Path) -> None:
    accounts = ("011122223333", "044455556666")
    lines = [
        line(h, 1.0, 0.09, usage_account_id=account, resource_id=name)
        for h in range(240)
        for account in accounts
        for name in ("a", "b")
    ]
    build_features([write_parquet(tmp_path / "bill.parquet", lines)], tmp_path / "features.parquet")
    with ReportData(tmp_path / "features.parquet", None) as data:
        totals = data.totals()
    assert (totals.accounts, totals.series) == (2, 4)
    assert totals.egress_gb == {"internet": [4.0] * 240}
    assert sum(totals.cost_usd["internet"]) == pytest.approx(240 * 4 * 0.09)


def test_the_bill_is_all_usage_and_egress_a_part_of_it(tmp_path: Path) -> None:
    lines = [line(h, 1.0, 0.01) for h in range(240)]
    lines += [line(h, 1.0, 5.0, usage_type="BoxUsage:m5.large", product_code="AmazonEC2") for h in range(240)]
    lines += [line(1, 1.0, 700.0, line_item_type="Tax", usage_type="")]
    bill = write_parquet(tmp_path / "bill.parquet", lines)
    assert build_features([bill], tmp_path / "features.parquet").bill_usd == pytest.approx(240 * 5.01)


def test_costs_are_of_whole_weeks_and_a_short_bill_is_scaled_to_a_month(tmp_path: Path) -> None:
    lines = [line(h, 1.0, 1.0 if h < 216 else 3.0) for h in range(16 * 24)]
    build_features([write_parquet(tmp_path / "bill.parquet", lines)], tmp_path / "features.parquet")
    with ReportData(tmp_path / "features.parquet", None) as data:
        costs = data.costs()
    (row,) = costs.rows
    assert (costs.days, costs.has_week_before) == (16, True)
    assert (row.account_id, row.egress_class, row.resource) == ("011122223333", "internet", "media-prod")
    assert row.usd == pytest.approx((216 + 168 * 3) * 30 / 16)
    assert (row.week_usd, row.before_usd) == (pytest.approx(168 * 3), pytest.approx(168))


def test_accounts_have_the_names_of_the_bill(tmp_path: Path) -> None:
    lines = [line(h, 1.0, usage_account_id=account) for h in range(240) for account in ("011122223333", "044455556666")]
    path = tmp_path / "features.parquet"
    build_features([write_parquet(tmp_path / "bill.parquet", lines)], path)
    table = pq.read_table(path)
    names = ["prod-media" if each == "011122223333" else "" for each in table["account_id"].to_pylist()]
    table = table.select([name for name in table.column_names if name != "account_name"])
    pq.write_table(table.append_column("account_name", [names]), path)
    write_report([], path, tmp_path / "report.html")
    found = re.search(r'id="cost-data">(.*?)</script>', (tmp_path / "report.html").read_text())
    assert found is not None
    assert {"prod-media (011122223333)", "044455556666"} <= set(json.loads(found[1])["texts"])


def test_a_bill_of_no_dollars_is_drawn_in_gb(tmp_path: Path) -> None:
    path = tmp_path / "features.parquet"
    build_features([write_parquet(tmp_path / "bill.parquet", [line(h, 1.0, 0.0) for h in range(240)])], path)
    write_report([], path, tmp_path / "report.html")
    text = (tmp_path / "report.html").read_text()
    assert 'data-figure="totals GB by hour" role="img"' in text
    assert "totals USD" not in text


def test_a_bill_with_next_to_no_egress_says_so(tmp_path: Path) -> None:
    path = tmp_path / "features.parquet"
    lines = [line(h, 0.001, 0.01 if h == 0 else 0.0) for h in range(240)]
    build_features([write_parquet(tmp_path / "bill.parquet", lines)], path)
    for bill_usd, sentence in ((7570.0, True), (0.5, False), (0.0, False)):
        write_report([], path, tmp_path / "report.html", bill_usd=bill_usd)
        text = (tmp_path / "report.html").read_text()
        assert ("This bill's egress is $0.01 of $7,570." in text.replace("&#39;", "'")) == sentence
