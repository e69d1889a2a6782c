"""The one table that every source is mapped to, and how a mapping is written down."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from egress_features.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

TEXT = "COALESCE(CAST({column} AS VARCHAR), '')"
# AWS writes at most ten decimals; sums of decimals are exact, so they do not depend on the order of the lines.
AMOUNT = "COALESCE(CAST(NULLIF(CAST({column} AS VARCHAR), '') AS DECIMAL(38, 12)), 0)"
# The same of a float64 without a text for each line: below 1,000 the nearest multiple of 1e-12 is the text's number.
AMOUNT_OF_DOUBLE = (
    "CAST(CASE WHEN ABS({column}) < 1000 THEN CAST({column} AS DECIMAL(18, 12)) WHEN {column} IS NULL THEN 0 "
    "ELSE CAST(CAST({column} AS VARCHAR) AS DECIMAL(38, 12)) END AS DECIMAL(38, 12))"
)
TIME = "CAST({column} AS TIMESTAMP)"
IS_GIVEN = "COALESCE(CAST({column} AS VARCHAR), '') <> ''"
EMPTY = "''"
UNKNOWN = "CAST(NULL AS BOOLEAN)"

# Name and type of each column of the line-item table, in order, after file_number.
LINE_ITEM_COLUMNS = (
    ("line_item_id", "VARCHAR"),
    ("time_interval", "VARCHAR"),
    ("start_utc", "TIMESTAMP"),
    ("end_utc", "TIMESTAMP"),
    ("payer_account_id", "VARCHAR"),
    ("billing_period_start", "TIMESTAMP"),
    ("provider", "VARCHAR"),
    ("account_id", "VARCHAR"),
    ("service", "VARCHAR"),
    ("usage_type", "VARCHAR"),
    ("operation", "VARCHAR"),
    ("charge_description", "VARCHAR"),
    ("region_id", "VARCHAR"),
    ("resource_id", "VARCHAR"),
    ("line_item_type", "VARCHAR"),
    ("usage_amount", "DECIMAL(38, 12)"),
    ("cost_usd", "DECIMAL(38, 12)"),
    ("currency", "VARCHAR"),
    ("has_invoice", "BOOLEAN"),
)
NO_LINE_ITEMS = (
    "SELECT 0 AS file_number, "
    + ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in LINE_ITEM_COLUMNS)
    + " WHERE FALSE"
)


class Column(NamedTuple):
    """Where a column of the line-item table comes from.

    `names` are what exports call it: the first one that the file has is read, by `sql`, in which `{column}` stands for
    it. `absent` is the SQL where the file has none of them; None means that such a file is refused.
    """

    target: str
    names: tuple[str, ...]
    sql: str = TEXT
    absent: str | None = None


def select_sql(
    path: Path, scan: str, columns: Sequence[Column], present: Collection[str], doubles: Collection[str], kind: str
) -> str:
    """Return the columns of a SELECT over a file, as the line-item table names them.

    Parameters
    ----------
    path : Path
        For the error text.
    scan : str
        SQL of the table function that reads the file.
    columns : sequence of Column
        One for each of `LINE_ITEM_COLUMNS`, in any order.
    present : collection of str
        The file's column names.
    doubles : collection of str
        Those of its columns that are known to be float64.
    kind : str
        Such as "legacy CUR", for the error text.

    Raises
    ------
    BadInputError
        A column is missing, or stands there under another name.
    """
    by_target = {column.target: column for column in columns}
    values = ", ".join(
        f"{_value(path, by_target[name], present, doubles, kind)} AS {name}" for name, _ in LINE_ITEM_COLUMNS
    )
    return f"SELECT {values} FROM {scan}"  # noqa: S608 - constants and a quoted path


def share_known(columns: Sequence[Column], names: Collection[str]) -> float:
    """Return the share of the columns that must be there which a file with these names has."""
    needed = [column for column in columns if column.absent is None]
    return sum(bool(set(column.names) & set(names)) for column in needed) / len(needed)


def name_in_file(columns: Sequence[Column], target: str, present: Collection[str]) -> str:
    """Return what a file with these names, which has the column, calls it."""
    names = next(column.names for column in columns if column.target == target)
    return next(name for name in names if name in present)


def _value(path: Path, column: Column, present: Collection[str], doubles: Collection[str], kind: str) -> str:
    found = next((name for name in column.names if name in present), None)
    if found is not None:
        sql = AMOUNT_OF_DOUBLE if column.sql == AMOUNT and found in doubles else column.sql
        return sql.format(column=f'"{found}"')
    if column.absent is None:
        raise BadInputError(_missing(path, column, present, kind))
    return column.absent


def _missing(path: Path, column: Column, present: Collection[str], kind: str) -> str:
    slashes = any("/" in name for name in present)
    name = next((name for name in column.names if ("/" in name) == slashes), column.names[0])
    close = difflib.get_close_matches(name, sorted(present), n=1, cutoff=0.8)
    hint = f"; {close[0]} looks like it, renamed" if close else ""
    remedy = "; create the report with resource ids" if column.target == "resource_id" else ""
    return f"{path} is a {kind} without the column {name}{hint}{remedy}"
