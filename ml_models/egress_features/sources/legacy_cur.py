"""The legacy Cost and Usage Report, in parquet (line_item_usage_type) and in CSV (lineItem/UsageType).

Columns: https://docs.aws.amazon.com/cur/latest/userguide/data-dictionary.html. The set changes from month to month;
only those below are read.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from egress_features.errors import BadInputError
from egress_features.sources.columns import scan_sql

if TYPE_CHECKING:
    from pathlib import Path

# (parquet name, CSV name, what the line-item table calls it, SQL of the value)
_TEXT = "COALESCE(CAST({column} AS VARCHAR), '')"
# AWS writes at most ten decimals; sums of decimals are exact, so they do not depend on the order of the lines.
_AMOUNT = "COALESCE(CAST(NULLIF(CAST({column} AS VARCHAR), '') AS DECIMAL(38, 12)), 0)"
_TIME = "CAST({column} AS TIMESTAMP)"
COLUMNS = (
    ("identity_line_item_id", "identity/LineItemId", "line_item_id", _TEXT),
    ("identity_time_interval", "identity/TimeInterval", "time_interval", _TEXT),
    ("line_item_usage_start_date", "lineItem/UsageStartDate", "start_utc", _TIME),
    ("line_item_usage_end_date", "lineItem/UsageEndDate", "end_utc", _TIME),
    ("line_item_usage_account_id", "lineItem/UsageAccountId", "account_id", _TEXT),
    ("line_item_product_code", "lineItem/ProductCode", "service", _TEXT),
    ("line_item_usage_type", "lineItem/UsageType", "usage_type", _TEXT),
    ("line_item_operation", "lineItem/Operation", "operation", _TEXT),
    ("line_item_resource_id", "lineItem/ResourceId", "resource_id", _TEXT),
    ("line_item_line_item_type", "lineItem/LineItemType", "line_item_type", _TEXT),
    ("line_item_usage_amount", "lineItem/UsageAmount", "usage_amount", _AMOUNT),
    ("line_item_unblended_cost", "lineItem/UnblendedCost", "cost_usd", _AMOUNT),
    ("line_item_currency_code", "lineItem/CurrencyCode", "currency", _TEXT),
    ("bill_invoice_id", "bill/InvoiceId", "has_invoice", "COALESCE(CAST({column} AS VARCHAR), '') <> ''"),
)


def recognises(names: list[str]) -> bool:
    """Say whether these are a legacy CUR's columns: at least half of those that are read."""
    return max(_known(names, spelling) for spelling in (0, 1)) * 2 >= len(COLUMNS)


def line_items_sql(path: Path, names: list[str], file_number: int) -> str:
    """Return the SQL of the file's normalised line items.

    Raises
    ------
    BadInputError
        A column is missing, or stands there under another name.
    """
    spelling = int(_known(names, 1) > _known(names, 0))
    present = set(names)
    for column in COLUMNS:
        if column[spelling] not in present:
            raise BadInputError(_missing(path, column[spelling], names))
    values = ", ".join(
        f"""{sql.format(column='"' + column[spelling] + '"')} AS {name}""" for *column, name, sql in COLUMNS
    )
    return f"SELECT {file_number} AS file_number, {values} FROM {scan_sql(path)}"  # noqa: S608 - constants and a quoted path


def _known(names: list[str], spelling: int) -> int:
    return len({column[spelling] for column in COLUMNS} & set(names))


def _missing(path: Path, column: str, names: list[str]) -> str:
    close = difflib.get_close_matches(column, names, n=1, cutoff=0.8)
    hint = f"; {close[0]} looks like it, renamed" if close else ""
    remedy = (
        "; create the report with resource ids" if column in {"line_item_resource_id", "lineItem/ResourceId"} else ""
    )
    return f"{path} is a legacy CUR without the column {column}{hint}{remedy}"
