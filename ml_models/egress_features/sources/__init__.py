"""Kinds of billing export, each mapped to one line-item table.

Legacy CUR is read now; CUR 2.0, FOCUS and flow logs join `SOURCES` with a module each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egress_features.errors import BadInputError
from egress_features.sources import legacy_cur
from egress_features.sources.columns import column_names

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Source(NamedTuple):
    """A kind of export: whether columns are of this kind, and the SQL that reads a file of it."""

    recognises: Callable[[list[str]], bool]
    line_items_sql: Callable[[Path, list[str], int], str]


SOURCES = (Source(legacy_cur.recognises, legacy_cur.line_items_sql),)


def line_items_sql(path: Path, file_number: int) -> str:
    """Return the SQL that reads one export as normalised line items.

    Columns: file_number, line_item_id, time_interval, start_utc, end_utc, account_id, service, usage_type, operation,
    resource_id, line_item_type, usage_amount (DECIMAL), cost_usd (DECIMAL), currency, has_invoice; texts never null.

    Raises
    ------
    BadInputError
        An unreadable file, one that is no billing export, or one that lacks a column.
    """
    names = column_names(path)
    for source in SOURCES:
        if source.recognises(names):
            return source.line_items_sql(path, names, file_number)
    raise BadInputError(
        f"{path} is no billing export: its columns are {_shown(names)}; accepted are legacy Cost and Usage Reports, "
        f"in parquet (line_item_usage_type, ...) or CSV (lineItem/UsageType, ...)"
    )


def _shown(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
