"""Features of some accounts after the others are those of all at once."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from egress_features import build_features
from egress_features.engines import DuckDBEngine
from tests.support.bill import line, write_parquet

HOURS = 400
# Two series in the first account, whose rows alternate with those of the others in the file.
SERIES = [("111111111111", "logs"), ("111111111111", "media"), ("222222222222", "logs"), ("333333333333", "backup")]


@pytest.fixture
def bill(tmp_path: Path) -> Path:
    lines = [
        line(hour, 1 + number + (hour * (number + 3)) % 7, usage_account_id=account, resource_id=resource)
        for number, (account, resource) in enumerate(SERIES)
        for hour in range(HOURS)
        if (hour + number) % 5
    ]
    return write_parquet(tmp_path / "bill.parquet", lines)


@pytest.mark.parametrize(("rows_at_once", "parts"), [(1, 3), (2 * HOURS, 2), (3 * HOURS, 2)])
def test_parts_give_the_same_file_as_all_at_once(bill: Path, tmp_path: Path, rows_at_once: int, parts: int) -> None:
    steps: list[str] = []
    with DuckDBEngine(rows_at_once=None) as engine:
        whole = build_features([bill], tmp_path / "whole.parquet", engine=engine)
    with DuckDBEngine(rows_at_once=rows_at_once) as engine:
        done = build_features([bill], tmp_path / "parts.parquet", engine=engine, progress=steps.append)
    assert done == whole
    ours, theirs = pq.read_table(tmp_path / "parts.parquet"), pq.read_table(tmp_path / "whole.parquet")
    assert ours.schema.metadata == theirs.schema.metadata
    # Of columns that a file has whole, DuckDB says that nothing is missing.
    assert ours.equals(theirs.cast(ours.schema))
    assert f"computing features, part {parts} of {parts}" in steps
    assert {path.name for path in tmp_path.iterdir()} == {"bill.parquet", "whole.parquet", "parts.parquet"}
