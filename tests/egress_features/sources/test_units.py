"""Amounts are GB, whatever the unit of the export."""

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_features.sources.units import amount_in_gb_sql
from tests.support.bill import line, write_csv, write_parquet
from tests.support.exports import write_as
from tests.support.line_items import line_items

BYTES = {
    "GB": 10**9, "Gigabytes": 10**9, "B": 1, "Bytes": 1, "Byte": 1, "KB": 10**3, "MB": 10**6, "TB": 10**12,
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "Terabyte": 10**12, "gibibytes": 2**30,
}  # fmt: skip
CONNECTION = duckdb.connect()
SMALLEST = Decimal("1e-12")


def in_gb(amount: Decimal, unit: str | None) -> Decimal:
    sql = amount_in_gb_sql("amount", "unit")
    (row,) = CONNECTION.execute(
        f"SELECT {sql} FROM (SELECT CAST(? AS DECIMAL(38, 12)) AS amount, CAST(? AS VARCHAR) AS unit)",
        [str(amount), unit],
    ).fetchall()
    return Decimal(row[0])


@settings(deadline=None)
@given(
    unit=st.sampled_from(sorted(BYTES)),
    spell=st.sampled_from([str.lower, str.upper, str.title, lambda unit: f" {unit} "]),
    gb=st.decimals(0, 10_000, places=6, allow_nan=False, allow_infinity=False),
)
def test_an_amount_in_any_unit_is_the_same_gb(unit: str, spell: Callable[[str], str], gb: Decimal) -> None:
    factor = Decimal(BYTES[unit]) / 10**9
    amount = (gb / factor).quantize(SMALLEST)
    # A unit's last decimal that is kept: of bytes a thousandth, of TB what a byte is.
    lost = Decimal("0.0005") / 10**9 if factor < 1 else SMALLEST * factor
    assert abs(in_gb(amount, spell(unit)) - gb) <= lost + SMALLEST * (1 + factor)


@given(unit=st.sampled_from(["Hrs", "GB-Mo", "Requests", "", "GB-Hours", "Quantity"]) | st.none())
def test_other_units_leave_the_amount_as_it_is(unit: str | None) -> None:
    assert in_gb(Decimal("5000000000.5"), unit) == Decimal("5000000000.5")


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_unit_of_a_cur_is_read(suffix: str, tmp_path: Path) -> None:
    rows = [line(0, 5e9, pricing_unit="Bytes"), line(1, 2, pricing_unit="GB"), line(2, 3, pricing_unit="Hrs")]
    rows = [{name.replace("line_item_pricing", "pricing"): value for name, value in row.items()} for row in rows]
    write = write_csv if suffix == "csv" else write_parquet
    assert [row["usage_amount"] for row in line_items(write(tmp_path / f"bill.{suffix}", rows))] == [5, 2, 3]


def test_the_unit_of_focus_is_read(tmp_path: Path) -> None:
    row = line(0, 5e9) | {"bill_payer_account_id": "999900001111", "product_product_name": "Amazon S3"}
    bill = write_as(write_parquet(tmp_path / "cur.parquet", [row]), "FOCUS 1.2", tmp_path / "focus.csv")
    header, values = bill.read_text().splitlines()
    bill.write_text(f"{header},ConsumedUnit\n{values},bytes\n")
    assert [row["usage_amount"] for row in line_items(bill)] == [5]
