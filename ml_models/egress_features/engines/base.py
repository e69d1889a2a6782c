"""The interface of the engines that `build_features` can use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


class Engine(Protocol):
    """Takes SQL in DuckDB's dialect, in the subset that `dialects` can render."""

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement or a script without a result."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and return its rows. Timestamps are in UTC, with or without a time zone."""

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """Add rows to a table."""

    def write_parquet(self, sql: str, path: Path, metadata: Mapping[str, str]) -> None:
        """Write a query's rows, in their order, with metadata for the file."""


@runtime_checkable
class ArrayEngine(Engine, Protocol):
    """An engine in this process, whose results numpy can take."""

    def arrays(self, sql: str) -> dict[str, NDArray[Any]]:
        """Run a query and return its columns, which have no nulls."""
