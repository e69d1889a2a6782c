"""Names of files, columns and resources are data: no pattern, no SQL."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from egress_features import build_features
from tests.support.bill import line, write_csv, write_parquet

HOURS = 240
# Each name with another one that it would match as a pattern.
PATTERNS = [("bill[1]", "bill1"), ("bill?", "billx"), ("b*l", "bill"), ("**", "bill"), ("[!a]", "b"), ("{a,b}", "a")]
SQL = [
    "a'b",
    "a''; DROP TABLE lines; --",
    'a"b',
    "a', union_by_name = true) --",
    "a\\'b",
    "$(touch x)",
    "%s{0}",
]


def lines(gb: float, **other: Any) -> list[dict[str, Any]]:
    return [line(hour, gb, **other) for hour in range(HOURS)]


def total_gb(bill: Path) -> float:
    target = bill.parent / "features.parquet"
    build_features([bill], target)
    return float(sum(pq.read_table(target)["usage_gb"].to_pylist()))


@pytest.mark.parametrize(("write", "ending"), [(write_csv, ".csv"), (write_parquet, ".parquet")])
@pytest.mark.parametrize(("name", "other"), PATTERNS)
def test_a_file_is_read_and_not_the_one_that_its_name_matches(
    tmp_path: Path, write: Callable[[Path, list[dict[str, Any]]], Path], ending: str, name: str, other: str
) -> None:
    write(tmp_path / f"{other}{ending}", lines(1.0))
    bill = write(tmp_path / f"{name}{ending}", lines(10.0))
    assert total_gb(bill) == pytest.approx(10.0 * HOURS)


@pytest.mark.parametrize("name", SQL)
def test_names_of_files_columns_and_resources_are_no_sql(tmp_path: Path, name: str) -> None:
    for write, ending in ((write_csv, ".csv"), (write_parquet, ".parquet")):
        rows = [row | {name: name, f"resource_tags_user_{name}": name} for row in lines(2.0, resource_id=name)]
        assert total_gb(write(tmp_path / f"{name}{ending}", rows)) == pytest.approx(2.0 * HOURS)
        assert set(pq.read_table(tmp_path / "features.parquet")["resource_id"].to_pylist()) == {name}
