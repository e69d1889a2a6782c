"""CUR 2.0, the table COST_AND_USAGE_REPORT of AWS Data Exports, in parquet and in CSV.

It has the legacy parquet names for what is read here; what product attributes vary stands in maps (`product`).
https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_features.sources.cur import COLUMNS, is_transfer
from egress_features.sources.line_items import Column, share_known
from egress_features.sources.maps import entry_sql

if TYPE_CHECKING:
    from egress_features.sources.columns import ExportFile

# Columns that no legacy report has.
_MARKS = frozenset({"product", "resource_tags", "cost_category", "discount", "line_item_usage_account_name"})
_CODE = "product_region_code"


def kind_of(file: ExportFile) -> str | None:
    """Return "CUR 2.0" where the file has a CUR's columns and one that only CUR 2.0 has, None otherwise."""
    return "CUR 2.0" if _MARKS & set(file.names) and share_known(COLUMNS, file.names) * 2 >= 1 else None


def columns(file: ExportFile) -> tuple[Column, ...]:
    """Return the mapping of the file's columns; the region also from the map `product`."""
    encoding = file.map_encoding("product")
    if encoding is None:
        return (*COLUMNS, is_transfer(file))
    entry = entry_sql('"product"', encoding, "region")
    code = f"""NULLIF(CAST("{_CODE}" AS VARCHAR), ''), """ if _CODE in file.names else ""
    region = Column("region_id", ("product",), f"COALESCE({code}{entry}, '')")
    return (*(region if column.target == "region_id" else column for column in COLUMNS), is_transfer(file))
