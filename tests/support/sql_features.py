"""The feature query itself on DuckDB, to hold others against."""

from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from egress_features.engines import DuckDBEngine

FEATURES_SQL = files("egress_features").joinpath("sql", "features.sql").read_text(encoding="utf-8")


class SqlEngine(DuckDBEngine):
    """DuckDB that runs the query where `DuckDBEngine` computes what it says."""

    def write_features(self, path: Path, metadata: Mapping[str, str]) -> None:
        self.write_parquet(FEATURES_SQL, path, metadata)
