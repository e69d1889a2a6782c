"""Kinds of billing export, each mapped to one line-item table.

A kind is a module: it says whether a file is of it (`kind_of`) and where each column of the table comes from
(`columns`); `SOURCES` lists them. The table is `line_items.LINE_ITEM_COLUMNS`:

- line_item_id, time_interval: together unique in a bill; empty in FOCUS, which has no such thing
- start_utc, end_utc: of the usage
- payer_account_id, billing_period_start (its month): what a delivery replaces as a whole
- provider: "AWS", or another one, whose lines are left out
- account_id, service (product code), usage_type, operation, resource_id
- charge_description: says what the line is where there is no usage type, empty otherwise
- region_id: says where the line is metered if the usage type does not
- line_item_type: Usage, DiscountedUsage, SavingsPlanCoveredUsage; Credit, Tax, ... move dollars without bytes
- is_transfer: whether the export itself says that the line is data transfer (product family, transfer type or, in
  FOCUS, the description); FALSE where it says nothing
- usage_amount, cost_usd (DECIMAL), currency
- has_invoice: NULL where the export does not say

Texts are never null.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from egress_features.errors import BadInputError
from egress_features.sources import cur_2_0, focus, legacy_cur
from egress_features.sources.columns import open_export
from egress_features.sources.line_items import NO_LINE_ITEMS, name_in_file, select_sql

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from egress_features.sources.columns import ExportFile
    from egress_features.sources.line_items import Column

__all__ = ["NO_LINE_ITEMS", "SOURCES", "Export", "Source", "read_export"]


class Source(NamedTuple):
    """A kind of export; `null_texts` are what its CSV files write for nothing."""

    kind_of: Callable[[ExportFile], str | None]
    columns: Callable[[ExportFile], tuple[Column, ...]]
    null_texts: tuple[str, ...] = ()


class Export(NamedTuple):
    """A recognised file.

    Its kind, such as "CUR 2.0"; the SQL that reads it as line items; the SQL table function that scans it as it is,
    and what it calls the column of dollars.
    """

    path: Path
    kind: str
    line_items_sql: str
    scan_sql: str
    cost_column: str


# CUR 2.0 comes first: it has the columns of a legacy CUR, and others.
SOURCES = (
    Source(cur_2_0.kind_of, cur_2_0.columns),
    Source(legacy_cur.kind_of, legacy_cur.columns),
    Source(focus.kind_of, focus.columns, focus.NULL_TEXTS),
)


def read_export(path: Path) -> Export:
    """Recognise a billing export by its columns.

    Raises
    ------
    BadInputError
        An unreadable file, one that is no billing export, or one that lacks a column.
    """
    file = open_export(path)
    for source in SOURCES:
        kind = source.kind_of(file)
        if kind is not None:
            scan = file.scan_sql(null_texts=source.null_texts)
            columns = source.columns(file)
            sql = select_sql(file, scan, columns, kind)
            return Export(path, kind, sql, scan, name_in_file(columns, "cost_usd", file.names))
    raise BadInputError(
        f"{path} is no billing export: its columns are {_shown(file.names)}; accepted are legacy Cost and Usage "
        f"Reports (line_item_usage_type, ... or lineItem/UsageType, ...), CUR 2.0 and FOCUS 1.0 to 1.2 "
        f"(ChargePeriodStart, BilledCost, ...), in parquet or CSV"
    )


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
