"""Exports read as line items, through the public way in."""

from pathlib import Path
from typing import Any

from egress_features.engines import DuckDBEngine, Engine
from egress_features.sources import read_export
from egress_features.sources.line_items import LINE_ITEM_COLUMNS

COLUMNS = [name for name, _ in LINE_ITEM_COLUMNS]


def line_items(path: Path, engine: Engine | None = None) -> list[dict[str, Any]]:
    """Return the lines of an export, each by the columns of the line-item table; moments without a time zone."""
    sql = read_export(path).line_items_sql
    if engine is not None:
        return [named(row) for row in engine.rows(sql)]
    with DuckDBEngine() as duckdb:
        return [named(row) for row in duckdb.rows(sql)]


def named(row: tuple[Any, ...]) -> dict[str, Any]:
    cells = (cell.replace(tzinfo=None) if hasattr(cell, "tzinfo") else cell for cell in row)
    return dict(zip(COLUMNS, cells, strict=True))
