"""The legacy Cost and Usage Report, in parquet (line_item_usage_type) and in CSV (lineItem/UsageType).

Columns: https://docs.aws.amazon.com/cur/latest/userguide/data-dictionary.html. The set changes from month to month;
only those of `cur.COLUMNS` are read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_features.sources.cur import COLUMNS, columns_of
from egress_features.sources.line_items import share_known

if TYPE_CHECKING:
    from egress_features.sources.columns import ExportFile
    from egress_features.sources.line_items import Column


def kind_of(file: ExportFile) -> str | None:
    """Return "legacy CUR" if the file has at least half of the columns that are read, else None."""
    return "legacy CUR" if share_known(COLUMNS, file) * 2 >= 1 else None


def columns(file: ExportFile) -> tuple[Column, ...]:
    """Return the mapping of the file's columns."""
    return columns_of(file)
