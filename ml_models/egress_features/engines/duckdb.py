"""DuckDB in this process."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any, Self

import duckdb
import numpy as np

from egress_features.errors import BadInputError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray


# The most distinct values in the dictionary of a column chunk. Columns of numbers have more, and the search for them
# took longer than writing them.
_DICTIONARY_SIZE = 4096


class DuckDBEngine:
    """DuckDB in this process; a context manager.

    Parameters
    ----------
    memory_limit : str, optional
        Such as "2GB". Beyond it DuckDB spills to a temporary folder. The default is 80 % of the machine's memory.
    threads : int, optional
        The default is all cores.
    """

    def __init__(self, memory_limit: str | None = None, threads: int | None = None) -> None:
        self._spill = tempfile.TemporaryDirectory(prefix="egress-features-")
        config: dict[str, Any] = {"temp_directory": self._spill.name}
        if memory_limit is not None:
            config["memory_limit"] = memory_limit
        if threads is not None:
            config["threads"] = threads
        self._connection = duckdb.connect(":memory:", config=config)
        self._connection.execute("SET TimeZone = 'UTC'")
        # In a notebook without ipywidgets the bar is off, and DuckDB rejects its setting.
        if self._connection.execute("SELECT current_setting('enable_progress_bar')").fetchall() == [(True,)]:
            self._connection.execute("SET enable_progress_bar = false")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        self._spill.cleanup()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """See `Engine.run`; DuckDB's refusal of the data is a `BadInputError`."""
        self._execute(sql, parameters)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Engine.rows`."""
        return self._execute(sql, parameters).fetchall()

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """See `Engine.insert`."""
        # As lists, one for each column: a statement for each row takes a thousand times as long.
        columns = [list(column) for column in zip(*rows, strict=True)]
        self._connection.execute(f"INSERT INTO {table} SELECT {', '.join('UNNEST(?)' for _ in columns)}", columns)

    def arrays(self, sql: str) -> dict[str, NDArray[Any]]:
        """See `ArrayEngine.arrays`."""
        return {name: np.asarray(values) for name, values in self._execute(sql).fetchnumpy().items()}

    def write_parquet(self, sql: str, path: Path, metadata: Mapping[str, str]) -> None:
        """See `Engine.write_parquet`."""
        pairs = ", ".join(f'"{name}": {_quoted(text)}' for name, text in metadata.items())
        self._execute(
            f"COPY ({sql}) TO {_quoted(str(path))} (FORMAT parquet, COMPRESSION zstd, "
            f"DICTIONARY_SIZE_LIMIT {_DICTIONARY_SIZE}, KV_METADATA {{{pairs}}})"
        )

    def _execute(self, sql: str, parameters: Sequence[Any] = ()) -> duckdb.DuckDBPyConnection:
        try:
            return self._connection.execute(sql, list(parameters))
        except (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.IOException) as error:
            raise UnreadableError(_sentence(error)) from error
        except duckdb.OutOfMemoryException as error:
            raise BadInputError(
                f"the exports need more memory than DuckDB may take here: {str(error).partition(chr(10))[0]}; take a "
                "machine with more memory, or a Spark cluster (--engine spark)"
            ) from error


def _sentence(error: Exception) -> str:
    """Join the lines of DuckDB's message, without its advice about settings that a user cannot change here."""
    said = str(error).partition("Possible fixes")[0].partition("The search space")[0]
    lines = [line.strip() for line in said.splitlines()]
    return " ".join(line for line in lines[:6] if line and not line.startswith(("LINE", "^", "*")))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
