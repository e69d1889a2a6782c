"""Finds the value that cannot be read, after reading has failed, so that good files are read only once."""

from __future__ import annotations

import re
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from egress_features.engines import DuckDBEngine
from egress_features.errors import BadInputError, UnreadableError
from egress_features.sources.columns import is_parquet, quoted_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from egress_features.engines import Engine
    from egress_features.sources import Export


@contextmanager
def naming_faults(engine: Engine, exports: Sequence[Export]) -> Iterator[None]:
    """Add the file, the column and the row to errors about values that cannot be read.

    Raises
    ------
    BadInputError
        Replaces the engine's `UnreadableError`.
    """
    try:
        yield
    except UnreadableError as error:
        raise BadInputError(_first_fault(engine, exports) or str(error)) from error


def first_without_time(engine: Engine, export: Export) -> str:
    """Return the column and the row of the first line of an export without a time of usage."""
    row = engine.rows(
        "SELECT MIN(n) FROM (SELECT ROW_NUMBER() OVER () AS n, x.start_utc, x.usage_type "
        f"FROM ({export.line_items_sql}) AS x) AS y "
        "WHERE y.start_utc IS NULL AND y.usage_type IN (SELECT usage_type FROM usage_types)"
    )[0][0]
    return f"{export.start_column} is empty in {_row(export, row)} of {export.path}"


def _first_fault(engine: Engine, exports: Sequence[Export]) -> str | None:
    with ExitStack() as stack:
        # DuckDB numbers rows in the order of the file.
        is_own = not isinstance(engine, DuckDBEngine)
        runner = stack.enter_context(DuckDBEngine()) if is_own else engine
        for export in exports:
            try:
                fault = _fault(runner, export)
                if fault is not None:
                    return fault
                runner.rows(f"SELECT COUNT(*) FROM (SELECT DISTINCT * FROM ({export.line_items_sql}) AS x) AS y")
            except UnreadableError as error:
                return None if is_own else _unreadable(export, error)
    return None


def _unreadable(export: Export, error: UnreadableError) -> str:
    """Return the reason why the whole file cannot be read."""
    reason = str(error).removeprefix(UnreadableError.START)
    if "not utf-8 encoded" in reason or "not latin-1 encoded" in reason:
        line = re.search(r"Line: (\d+)", reason)
        return f"{export.path}{f', line {line[1]},' if line else ''} is in another encoding; save the file as UTF-8"
    return f"{export.path} cannot be read: {reason}"


def _fault(engine: Engine, export: Export) -> str | None:
    texts = [f"NULLIF(CAST({quoted_name(column.name)} AS VARCHAR), '')" for column in export.checked]
    bad = [
        f"CASE WHEN TRY_CAST({text} AS {column.kind}) IS NULL THEN {text} END AS bad_{number}"
        for number, (text, column) in enumerate(zip(texts, export.checked, strict=True))
    ]
    names = ", ".join(f"bad_{number}" for number in range(len(bad)))
    rows = engine.rows(
        f"SELECT n, {names} FROM (SELECT ROW_NUMBER() OVER () AS n, {', '.join(bad)} FROM {export.scan_sql}) AS x "
        f"WHERE COALESCE({names}) IS NOT NULL ORDER BY n LIMIT 1"
    )
    if not rows:
        return None
    row, *values = rows[0]
    column, value = next((c, v) for c, v in zip(export.checked, values, strict=True) if v is not None)
    return f'{export.path}, {_row(export, row)}, {column.name}: "{value}" {column.remedy}'


def _row(export: Export, number: int) -> str:
    return f"row {number}" if is_parquet(export.path) else f"line {number + 1}"
