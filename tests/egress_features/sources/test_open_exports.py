"""Notes about a folder of exports: files that are no bill, net costs, missing resource ids."""

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from egress_features import BadInputError, build_features, reconcile
from egress_features.sources import read_exports
from tests.support.bill import line, steady, write_csv, write_parquet
from tests.support.line_items import line_items

PETS = "name,age\nRex,3\nMia,5\n"
FAMILY, TRANSFER = "product_product_family", "product_transfer_type"


def test_a_file_that_is_no_bill_is_left_out_with_a_note(tmp_path: Path) -> None:
    bills = [write_parquet(tmp_path / f"{name}.parquet", steady()[part]) for name, part in HALVES.items()]
    pets = tmp_path / "m-pets.csv"
    pets.write_text(PETS)
    paths = sorted([*bills, pets])
    exports, notes = read_exports(paths)
    assert [export.path for export in exports] == bills
    assert notes == [f"{pets} is left out: it is no billing export (2 lines, columns name, age)"]
    summary = build_features(paths, tmp_path / "features.out")
    assert summary.egress_lines == 240
    assert notes[0] in summary.notes
    assert [file.path for file in reconcile(paths).files] == bills


HALVES = {"a": slice(0, 120), "z": slice(120, None)}


@pytest.mark.parametrize("others", [1, 2])
def test_a_folder_that_is_mostly_no_bill_is_rejected(others: int, tmp_path: Path) -> None:
    paths = [write_parquet(tmp_path / "z.parquet", steady())]
    for number in range(others):
        paths.insert(0, tmp_path / f"{number}.csv.gz")
        paths[0].write_bytes(gzip.compress(PETS.encode()))
    with pytest.raises(BadInputError, match="no billing export: its columns are name, age"):
        read_exports(paths)


def test_a_bill_that_was_cut_off_is_not_left_out(tmp_path: Path) -> None:
    bills = [write_parquet(tmp_path / f"{n}.parquet", steady()) for n in range(3)]
    bills[1].write_bytes(bills[1].read_bytes()[:-100])
    with pytest.raises(BadInputError, match=r"1\.parquet is no complete parquet file"):
        read_exports(bills)


def net(usd: Any) -> dict[str, Any]:
    return {"line_item_net_unblended_cost": usd}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_net_cost_counts_where_a_line_has_one(suffix: str, tmp_path: Path) -> None:
    rows = [line(0, 1, 2.0) | net(0.5), line(1, 1, 4.0) | net(None), line(2, 1, 8.0) | net(0.0)]
    write = write_csv if suffix == "csv" else write_parquet
    bill = write(tmp_path / f"bill.{suffix}", rows)
    assert [row["cost_usd"] for row in line_items(bill)] == [Decimal("0.5"), 4, 0]
    result = reconcile([bill])
    assert result.is_met
    assert result.files[0].input.cost_usd == Decimal("4.5")
    assert result.notes == ("costs are net of discounts (line_item_net_unblended_cost)",)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_net_column_without_a_value_is_none(suffix: str, tmp_path: Path) -> None:
    rows = [line(0, 1, 2.0) | net(None)]
    bill = tmp_path / f"bill.{suffix}"
    if suffix == "csv":
        write_csv(bill, rows)
    else:
        table = pa.Table.from_pylist(rows)
        place = table.column_names.index("line_item_net_unblended_cost")
        pq.write_table(table.set_column(place, table.column_names[place], pa.array([None], pa.float64())), bill)
    assert [row["cost_usd"] for row in line_items(bill)] == [2]
    assert reconcile([bill]).notes == ()


@pytest.mark.parametrize("rows", [0, 2])
def test_a_bill_without_any_cost_costs_nothing(rows: int, tmp_path: Path) -> None:
    table = pa.Table.from_pylist([line(hour, 1, 2.0) | net(0.5) for hour in range(2)])
    for name in ("line_item_unblended_cost", "line_item_net_unblended_cost"):
        place = table.column_names.index(name)
        table = table.set_column(place, name, pa.nulls(2, pa.float64()))
    pq.write_table(table.slice(0, rows), tmp_path / "bill.parquet")
    (file,) = reconcile([tmp_path / "bill.parquet"]).files
    assert (file.is_met, file.input.lines, file.input.cost_usd) == (True, rows, 0)


def test_a_bill_without_resource_ids_is_read_with_one_note(tmp_path: Path) -> None:
    rows = [{name: cell for name, cell in row.items() if name != "line_item_resource_id"} for row in steady()]
    bill = write_csv(tmp_path / "bill.csv", rows)
    summary = build_features([bill], tmp_path / "features.out")
    assert (summary.series, summary.egress_lines) == (1, 240)
    assert summary.notes == [
        "the bill has no resource ids: series are account, region, service, class and operation; include resource ids "
        "in the export to see which resource"
    ]
    ids = write_csv(tmp_path / "ids.csv", steady(1))
    assert read_exports([bill, ids])[1] == [f"1 of 2 files have no resource ids, {bill} first"]


def test_a_line_is_data_transfer_by_its_family_or_its_transfer_type(tmp_path: Path) -> None:
    kinds = [("Data Transfer", None), ("Compute Instance", "AWS Outbound"), ("Compute Instance", ""), (None, None)]
    rows = [line(hour, 1) | {FAMILY: family, TRANSFER: way} for hour, (family, way) in enumerate(kinds)]
    for bill in (write_csv(tmp_path / "bill.csv", rows), write_parquet(tmp_path / "bill.parquet", rows)):
        assert [row["is_transfer"] for row in line_items(bill)] == [True, True, False, False]
    assert not line_items(write_csv(tmp_path / "plain.csv", steady(1)))[0]["is_transfer"]
    maps = [[("transfer_type", "InterRegion Outbound")], [("region", "eu-west-1")], None]
    table = pa.Table.from_pylist(steady(3))
    table = table.append_column("product", pa.array(maps, pa.map_(pa.string(), pa.string())))
    pq.write_table(table, tmp_path / "maps.parquet")
    assert [row["is_transfer"] for row in line_items(tmp_path / "maps.parquet")] == [True, False, False]
