"""Kinds of billing export, each mapped to one line-item table.

Each kind is a module. Its function `kind_of` recognises a file, and `columns` maps the file's columns to the table.
`SOURCES` lists the modules. Column names match in any case and with any separators, because Athena, Redshift and
Snowflake spell them differently. The table is `line_items.LINE_ITEM_COLUMNS`:

- line_item_id, time_interval: unique together in a bill. Empty in FOCUS, which has neither
- start_utc, end_utc: of the usage
- payer_account_id, billing_period_start: a delivery replaces the month of a payer as a whole
- provider: "AWS", or another one, whose lines are left out
- account_id (12 digits), service (product code), usage_type, operation
- resource_id: empty if the export has no such column (`Export.has_resource_ids`)
- charge_description: the description of a line without a usage type, else empty
- region_id: the region of a line whose usage type has none
- line_item_type: Usage, DiscountedUsage, SavingsPlanCoveredUsage. Others (Credit, Tax, ...) move dollars without bytes
- is_transfer: whether the export itself marks the line as data transfer (by product family, transfer type or, in
  FOCUS, the description). FALSE if it does not
- usage_amount (DECIMAL): GB as AWS bills them, whatever the export's unit. Unchanged if the unit is missing or is not
  a unit of data
- cost_usd (DECIMAL): after discounts if the export has such a column (`Export.net_cost_column`)
- currency
- has_invoice: NULL if the export does not show it
- account_name: empty if the export has none
- tags: the values of `Export.label_columns`, in their order. NULL if there is no such column

Texts are never null.
"""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet as pq

from egress_features.errors import BadInputError
from egress_features.sources import cur, cur_2_0, focus, legacy_cur
from egress_features.sources.columns import checked_columns, is_parquet, open_export
from egress_features.sources.labels import WANTED_TAGS, label_columns
from egress_features.sources.line_items import NO_LINE_ITEMS, computed, select_sql

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from egress_features.sources.columns import CheckedColumn, ExportFile
    from egress_features.sources.labels import LabelColumn
    from egress_features.sources.line_items import Column

__all__ = ["NO_LINE_ITEMS", "SOURCES", "Export", "Source", "read_export", "read_exports"]


class Source(NamedTuple):
    """A kind of export.

    The fields after `columns` are names of its columns: times (the start of the usage comes first), numbers, the cost
    before discounts, the resource, the account's name, and the cost after discounts if there is such a column.
    `null_texts` are the texts that its CSV files write for a missing value.
    """

    kind_of: Callable[[ExportFile], str | None]
    columns: Callable[[ExportFile], tuple[Column, ...]]
    times: tuple[str, ...]
    numbers: tuple[str, ...]
    cost: str
    resource: str
    account_name: Callable[[ExportFile], str]
    net_cost: tuple[str, ...] = ()
    null_texts: tuple[str, ...] = ()


class Export(NamedTuple):
    """A recognised file.

    - kind: such as "CUR 2.0"
    - line_items_sql reads it as line items. scan_sql is the SQL table function that scans the raw file
    - cost_columns: the columns of dollars. The first one that has a value in a line counts
    - net_cost_column: the cost column after discounts, or empty if all costs are before discounts
    - has_resource_ids: whether it has a column of resource ids
    - start_column: the column of the usage's start
    - checked: the columns to check if the file cannot be read
    - label_columns: the columns of tags and cost categories. has_labels: whether it has one of them, or account names
    """

    path: Path
    kind: str
    line_items_sql: str
    scan_sql: str
    cost_columns: tuple[str, ...]
    net_cost_column: str
    has_resource_ids: bool
    start_column: str
    checked: tuple[CheckedColumn, ...]
    label_columns: tuple[LabelColumn, ...]
    has_labels: bool


_CUR: dict[str, Any] = {
    "times": cur.TIMES,
    "numbers": cur.NUMBERS,
    "cost": cur.COST,
    "resource": cur.RESOURCE,
    "account_name": lambda _file: cur.ACCOUNT_NAME,
    "net_cost": (cur.NET_COST,),
}
# CUR 2.0 comes first: it has the columns of a legacy CUR, and others.
SOURCES = (
    Source(cur_2_0.kind_of, cur_2_0.columns, **_CUR),
    Source(legacy_cur.kind_of, legacy_cur.columns, **_CUR),
    Source(
        focus.kind_of,
        focus.columns,
        times=focus.TIMES,
        numbers=focus.NUMBERS,
        cost=focus.COST,
        resource=focus.RESOURCE,
        account_name=focus.account_name,
        null_texts=focus.NULL_TEXTS,
    ),
)


class _NoExportError(BadInputError):
    """A file that is no billing export, and that seems to be complete."""

    def __init__(self, file: ExportFile) -> None:
        lines = _lines(file.path)
        counted = f"{lines:,} line{'' if lines == 1 else 's'}"
        self.note = f"{file.path} is left out: it is no billing export ({counted}, columns {_shown(file.names)})"
        super().__init__(
            f"{file.path} is no billing export: its columns are {_shown(file.names)}; accepted are legacy Cost and "
            "Usage Reports (line_item_usage_type, ... or lineItem/UsageType, ...), CUR 2.0 and FOCUS 1.0 preview to "
            "1.4 (ChargePeriodStart, BilledCost, ...), in parquet or CSV"
        )


def read_exports(paths: Sequence[Path], tags: Sequence[str] = WANTED_TAGS) -> tuple[list[Export], list[str]]:
    """Recognise billing exports. Other files are left out if they are fewer than the exports.

    `tags` are the names of the resource tags to keep.

    Returns
    -------
    tuple of (list of Export, list of str)
        The exports in the order of `paths`, and sentences for the user about files that are left out, the kind of
        costs, and missing columns.

    Raises
    ------
    BadInputError
        An export cannot be read. Or a file is no billing export, and such files are not fewer than the exports.
    """
    exports, others = [], []
    for path in paths:
        try:
            exports.append(read_export(path, tags))
        except _NoExportError as error:
            others.append(error)
    if others and len(others) >= len(exports):
        raise others[0]
    return exports, [*(error.note for error in others), *_notes(exports)]


def read_export(path: Path, tags: Sequence[str] = WANTED_TAGS) -> Export:
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
            return _export(file, source, kind, tags)
    raise _NoExportError(file)


def _export(file: ExportFile, source: Source, kind: str, tags: Sequence[str]) -> Export:
    scan = file.scan_sql(null_texts=source.null_texts)
    net, cost = file.find(*source.net_cost), file.find(source.cost)
    labels = label_columns(file, tags)
    values = f"[{', '.join(column.sql for column in labels)}]" if labels else "CAST(NULL AS VARCHAR[])"
    costs = [name for name in (net, cost) if name and not (name == net and net in file.without_values)]
    return Export(
        path=file.path,
        kind=kind,
        line_items_sql=select_sql(file, scan, (*source.columns(file), computed("tags", values)), kind),
        scan_sql=scan,
        cost_columns=tuple(costs),
        net_cost_column=net if net in costs and file.has_values(net) else "",
        has_resource_ids=file.find(source.resource) is not None,
        start_column=file.find(*source.times) or "",
        checked=checked_columns(file, source.times, source.numbers),
        label_columns=labels,
        has_labels=bool(labels) or file.find(source.account_name(file)) is not None,
    )


def _notes(exports: Sequence[Export]) -> list[str]:
    net = sorted({export.net_cost_column for export in exports} - {""})
    without_ids = [export.path for export in exports if not export.has_resource_ids]
    notes = [f"costs are net of discounts ({', '.join(net)})"] if net else []
    # A bill that has none at all is named once its lines are read.
    if 0 < len(without_ids) < len(exports):
        notes.append(f"{len(without_ids)} of {len(exports)} files have no resource ids, {without_ids[0]} first")
    return notes


def _lines(path: Path) -> int:
    """Count the lines of a file, without the header of CSV."""
    if is_parquet(path):
        return int(pq.read_metadata(path).num_rows)
    opener = gzip.open if path.name.lower().endswith(".gz") else open
    with opener(path, "rb") as file:
        return max(sum(1 for _ in file) - 1, 0)


def _shown(names: tuple[str, ...]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
