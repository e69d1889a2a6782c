"""The same line items in every kind of export give the same features."""

from datetime import UTC, datetime
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from egress_features import build_features
from egress_sentinel.demo import write_demo_bill
from tests.support.exports import write_as

# Two weeks around the end of a month of two accounts, one of them with credits and a refund: big enough to differ.
FIRST, LAST = datetime(2026, 9, 25, tzinfo=UTC), datetime(2026, 10, 8, 23, tzinfo=UTC)
ACCOUNTS = 2
CASES = [
    ("CUR 2.0", "parquet"),
    ("CUR 2.0", "csv.gz"),
    ("FOCUS 1.0", "parquet"),
    ("FOCUS 1.0", "csv"),
    ("FOCUS 1.2", "parquet"),
]


@pytest.fixture(scope="module")
def months(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bill")
    bill = write_demo_bill(folder, days=36)
    return [cut(file, folder / f"{number}.parquet") for number, file in enumerate(bill.files)]


def cut(source: Path, target: Path) -> Path:
    table = pq.read_table(source, partitioning=None)
    accounts = sorted(set(table["line_item_usage_account_id"].to_pylist()))[:ACCOUNTS]
    start = table["line_item_usage_start_date"]
    inside = pc.and_(pc.greater_equal(start, FIRST), pc.less_equal(start, LAST))
    mine = pc.is_in(table["line_item_usage_account_id"], pc.cast(accounts, "string"))
    pq.write_table(table.filter(pc.and_(inside, mine)), target)
    return target


@pytest.fixture(scope="module")
def expected(months: list[Path]) -> bytes:
    return features(months, months[0].with_name("features.out"))


def features(exports: list[Path], output: Path) -> bytes:
    build_features(exports, output)
    return output.read_bytes()


@pytest.mark.parametrize(("kind", "suffix"), CASES)
def test_each_kind(months: list[Path], expected: bytes, kind: str, suffix: str, tmp_path: Path) -> None:
    exports = [write_as(file, kind, tmp_path / f"{number}.{suffix}") for number, file in enumerate(months)]
    assert features(exports, tmp_path / "features.out") == expected


def test_a_kind_for_each_month(months: list[Path], expected: bytes, tmp_path: Path) -> None:
    exports = [
        write_as(months[0], "CUR 2.0", tmp_path / "september.csv"),
        write_as(months[1], "FOCUS 1.2", tmp_path / "october.parquet"),
    ]
    assert features(exports, tmp_path / "features.out") == expected
