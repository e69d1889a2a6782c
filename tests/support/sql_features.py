"""An engine for SQL alone, so that the feature query itself runs and not numpy."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from egress_features.engines import Engine


class SqlEngine:
    """Hands everything to another engine and keeps it; gives no arrays."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.scripts: list[str] = []

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        self.scripts.append(sql)
        self._engine.run(sql, parameters)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        self.scripts.append(sql)
        return self._engine.rows(sql, parameters)

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        self._engine.insert(table, rows)

    def write_parquet(self, sql: str, path: Path, metadata: Mapping[str, str]) -> None:
        self.scripts.append(sql)
        self._engine.write_parquet(sql, path, metadata)
