"""A billing period delivered again replaces the earlier delivery as a whole."""

import os
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from egress_alerts.rows import without_levels
from egress_features import FeaturesSummary, build_features
from tests.support.bill import line, steady, write_parquet
from tests.support.exports import write_as

EXECUTIONS = (
    "2026-09-05T01:00:00.120Z-6b622448-daaa-439c-92f1-afc727f1e0a3",
    "2026-09-12T01:00:00.120Z-0664ded9-f428-4882-81d0-c24549af49a6",
)


def built(exports: list[Path], folder: Path) -> tuple[FeaturesSummary, list[float]]:
    summary = build_features(exports, folder / "features.out")
    return summary, without_levels(pq.read_table(folder / "features.out"))["usage_gb"].to_pylist()


def delivered(folder: Path, name: str, lines: list[dict[str, Any]]) -> Path:
    (folder / name).mkdir(parents=True, exist_ok=True)
    return write_parquet(folder / name / "export-00001.snappy.parquet", lines)


def test_the_later_execution_wins_whatever_the_files_times(tmp_path: Path) -> None:
    # AWS gives lines new ids in each delivery.
    old = delivered(tmp_path, EXECUTIONS[0], [line(h, 1.0, identity_line_item_id=f"old-{h}") for h in range(220)])
    new = delivered(tmp_path, EXECUTIONS[1], steady(240, gb=2.0))
    os.utime(new, (1_700_000_000, 1_700_000_000))
    summary, usage = built([old, new], tmp_path)
    assert usage == [2.0] * 240
    assert summary.egress_lines == 240
    assert summary.input_lines == 460
    note = next(note for note in summary.notes if "delivered twice" in note)
    assert note.index(str(new)) < note.index(str(old))


def test_many_deliveries_are_one_sentence(tmp_path: Path) -> None:
    days = [f"202609{day:02}T010000Z" for day in range(11, 16)]
    exports = [delivered(tmp_path, name, steady(240, gb=float(n))) for n, name in enumerate(days)]
    summary, usage = built(exports[::-1], tmp_path)
    assert usage == [4.0] * 240
    (note,) = [note for note in summary.notes if "was delivered 5 times" in note]
    assert note.endswith("and 3 others")


def test_parts_of_an_execution_are_added_up(tmp_path: Path) -> None:
    lines = steady()
    (tmp_path / EXECUTIONS[0]).mkdir()
    parts = [
        write_parquet(tmp_path / EXECUTIONS[0] / f"export-0000{n}.snappy.parquet", lines[n * 120 : n * 120 + 120])
        for n in range(2)
    ]
    assert built(parts, tmp_path)[1] == [2.0] * 240


@pytest.mark.parametrize("newer_is", ["longer", "invoiced", "written later"])
def test_newer_without_an_execution_time(newer_is: str, tmp_path: Path) -> None:
    old, new = steady(240, gb=1.0), steady(240, gb=2.0)
    if newer_is == "longer":
        old = old[:230]
    if newer_is == "invoiced":
        old = [row | {"bill_invoice_id": ""} for row in old]
    paths = {name: delivered(tmp_path, name, rows) for name, rows in (("b_old", old), ("a_new", new))}
    later = paths["a_new"] if newer_is == "written later" else paths["b_old"]
    for path in paths.values():
        os.utime(path, (1_700_000_000 + (path == later),) * 2)
    assert built(list(paths.values()), tmp_path)[1] == [2.0] * 240


def test_only_the_period_that_was_delivered_again_is_replaced(tmp_path: Path) -> None:
    september, october = steady(720, gb=1.0), [line(h, 1.0) for h in range(720, 900)]
    old = delivered(tmp_path, "old", [*september, *october])
    new = delivered(tmp_path, "new", [line(h, 3.0) for h in range(720, 960)])
    assert built([old, new], tmp_path)[1] == [1.0] * 720 + [3.0] * 240


def test_an_export_for_each_account_is_a_part_of_the_bill(tmp_path: Path) -> None:
    accounts = [
        delivered(tmp_path, name, [line(h, 1.0, usage_account_id=name, identity_line_item_id=name) for h in range(240)])
        for name in ("111122223333", "222233334444")
    ]
    summary, usage = built(accounts, tmp_path)
    assert summary.accounts == ["111122223333", "222233334444"]
    assert len(usage) == 480


def test_two_kinds_of_export_of_one_month_count_once(tmp_path: Path) -> None:
    lines = [row | {"bill_payer_account_id": "999900001111", "product_product_name": "S3"} for row in steady()]
    cur = delivered(tmp_path, "cur", [row | {"bill_invoice_id": ""} for row in lines])
    focus = write_as(delivered(tmp_path, "other", lines), "FOCUS 1.2", tmp_path / "focus.csv")
    summary, usage = built([cur, focus], tmp_path)
    assert usage == [2.0] * 240
    assert any(f"{focus} is the newest and replaces {cur}" in note for note in summary.notes)


def test_late_lines_and_a_refund_come_with_the_newer_delivery(tmp_path: Path) -> None:
    late = line(239, 5.0, resource_id="late", identity_line_item_id="late")
    refund = line(10, 0.0, -3.5, line_item_type="Refund", identity_line_item_id="refund")
    old = delivered(tmp_path, EXECUTIONS[0], steady(240))
    new = delivered(tmp_path, EXECUTIONS[1], [*steady(240), late, refund])
    summary, usage = built([old, new], tmp_path)
    assert summary.left_out == {"Refund": (1, -3.5)}
    assert sum(usage) == 240 * 2.0 + 5.0
