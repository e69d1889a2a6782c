"""CUR 2.0, the table COST_AND_USAGE_REPORT of AWS Data Exports, in parquet and in CSV.

The columns that are read here have the same names as in legacy parquet reports. Product attributes are in a map
(`product`).
https://docs.aws.amazon.com/cur/latest/userguide/table-dictionary-cur2.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_features.sources.cur import COLUMNS, columns_of
from egress_features.sources.line_items import Column, computed, first_given_sql, share_known
from egress_features.sources.maps import entry_sql

if TYPE_CHECKING:
    from egress_features.sources.columns import ExportFile

# Columns that no legacy report has. Names of accounts are joined to legacy reports too.
_MARKS = ("product", "resource_tags", "cost_category", "discount")


def kind_of(file: ExportFile) -> str | None:
    """Return "CUR 2.0" if the file has a CUR's columns and one that only CUR 2.0 has, else None."""
    return "CUR 2.0" if file.find(*_MARKS) and share_known(COLUMNS, file) * 2 >= 1 else None


def columns(file: ExportFile) -> tuple[Column, ...]:
    """Return the mapping of the file's columns. The region may also come from the map `product`."""
    found = columns_of(file)
    product, encoding = file.quoted("product"), file.map_encoding("product")
    if product is None or encoding is None:
        return found
    entry = f"COALESCE({entry_sql(product, encoding, 'region')}, '')"
    region = computed("region_id", first_given_sql(file, ["product_region_code"], entry))
    return tuple(region if column.target == "region_id" else column for column in found)
