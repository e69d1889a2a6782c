"""What the report adds up."""

from pathlib import Path

import pytest

from egress_features import build_features
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
