from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.speed import pandas_features
from benchmarks.speed.bill import MONTHS, write_bill
from benchmarks.speed.features import check_same
from egress_features import FEATURES, build_features


def test_features_are_those_of_an_independent_implementation(tmp_path: Path) -> None:
    months = write_bill(tmp_path / "bill", 80_000)
    assert len(months) == MONTHS
    done = build_features(months, tmp_path / "ours.parquet")
    pandas_features.main(str(tmp_path / "bill"), str(tmp_path / "theirs.parquet"))
    assert done.rows == pq.read_metadata(tmp_path / "ours.parquet").num_rows > 4 * 4_300
    assert {feature.name for feature in FEATURES} <= set(pq.read_schema(tmp_path / "theirs.parquet").names)
    check_same(tmp_path / "ours.parquet", tmp_path / "theirs.parquet")
