"""The table to which every source is mapped, and the definition of a mapping."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, NamedTuple

from egress_features.errors import BadInputError
from egress_features.sources.columns import quoted_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from egress_features.sources.columns import ExportFile

TEXT = "COALESCE(CAST({column} AS VARCHAR), '')"
# AWS writes at most ten decimals. Sums of decimals are exact, so they do not depend on the order of the lines.
AMOUNT = "COALESCE(CAST(NULLIF(CAST({column} AS VARCHAR), '') AS DECIMAL(38, 12)), 0)"
# The same for a float64, without a text for each line. Below 1,000 the nearest multiple of 1e-12 is the text's number.
AMOUNT_OF_DOUBLE = (
    "CAST(CASE WHEN ABS({column}) < 1000 THEN CAST({column} AS DECIMAL(18, 12)) WHEN {column} IS NULL THEN 0 "
    "ELSE CAST(CAST({column} AS VARCHAR) AS DECIMAL(38, 12)) END AS DECIMAL(38, 12))"
)
TIME = "CAST({column} AS TIMESTAMP)"
TIME_OF_TEXT = "CAST(NULLIF({column}, '') AS TIMESTAMP)"
# Seconds, milliseconds, microseconds and nanoseconds since 1970 differ by three digits each. Between 1973 and 2286 the
# size of a number shows its unit.
_EPOCH = "CAST({column} AS BIGINT)"
TIME_OF_EPOCH = (
    f"MAKE_TIMESTAMP(CASE WHEN {_EPOCH} < 100000000000 THEN {_EPOCH} * 1000000 "
    f"WHEN {_EPOCH} < 100000000000000 THEN {_EPOCH} * 1000 "
    f"WHEN {_EPOCH} < 100000000000000000 THEN {_EPOCH} ELSE {_EPOCH} // 1000 END)"
)
# The same for a timestamp. A cast would look up the rules of its time zone for each line.
TIME_OF_TIMESTAMP = "MAKE_TIMESTAMP(EPOCH_US({column}))"
IS_GIVEN = "COALESCE(CAST({column} AS VARCHAR), '') <> ''"
# The same for texts that are never null. DuckDB cannot use the dictionary of a column inside an expression.
TEXT_THAT_IS_THERE, IS_GIVEN_THERE = "{column}", "{column} <> ''"
# An account has 12 digits. As a number, or in a spreadsheet, it loses its leading zeros.
_ACCOUNT = "CAST({column} AS VARCHAR)"
ACCOUNT = (
    f"CASE WHEN LENGTH({_ACCOUNT}) = 12 AND SUBSTR({_ACCOUNT}, 11, 1) <> '.' THEN {_ACCOUNT} "
    f"WHEN REGEXP_MATCHES({_ACCOUNT}, '^[0-9]{{{{1,12}}}}([.]0)?$') "
    f"THEN LPAD(SPLIT_PART({_ACCOUNT}, '.', 1), 12, '0') ELSE COALESCE({_ACCOUNT}, '') END"
)
ACCOUNT_OF_NUMBER = "COALESCE(LPAD(CAST(TRY_CAST({column} AS BIGINT) AS VARCHAR), 12, '0'), '')"
EMPTY = "''"
UNKNOWN = "CAST(NULL AS BOOLEAN)"
_GROUPS = ("identity", "bill", "line_item", "product", "pricing")

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
    ("is_transfer", "BOOLEAN"),
    ("usage_amount", "DECIMAL(38, 12)"),
    ("cost_usd", "DECIMAL(38, 12)"),
    ("currency", "VARCHAR"),
    ("has_invoice", "BOOLEAN"),
    ("account_name", "VARCHAR"),
    ("tags", "VARCHAR[]"),
)
# The columns that together identify the kind of charge of a line.
KIND = ("usage_type", "service", "operation", "charge_description", "region_id", "is_transfer")
NO_LINE_ITEMS = (
    "SELECT 0 AS file_number, "
    + ", ".join(f"CAST(NULL AS {kind}) AS {name}" for name, kind in LINE_ITEM_COLUMNS)
    + " WHERE FALSE"
)


def same_kind_sql(one: str, other: str) -> str:
    """Return the SQL condition that rows of two tables are of one kind of charge."""
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in KIND)


def month_sql(moment: str) -> str:
    """Return the SQL of a timestamp's month as YYYY-MM. It is empty if there is no timestamp."""
    return f"COALESCE(SUBSTR(CAST({moment} AS VARCHAR), 1, 7), '')"


class Column(NamedTuple):
    """The source of a column of the line-item table.

    `names` are its names in exports, in any case and with any separators. The first one that the file has is read with
    `sql`, in which `{column}` is its placeholder. `absent` is the SQL for a file that has none of them. None means that
    such a file is refused.
    """

    target: str
    names: tuple[str, ...]
    sql: str = TEXT
    absent: str | None = None


def computed(target: str, sql: str) -> Column:
    """Return a column that is computed by `sql`, whatever columns the file has."""
    return Column(target, (), absent=sql)


def any_sql(conditions: Sequence[str]) -> str:
    """Return the SQL that is true if one of the conditions is. It is never null."""
    return f"COALESCE({' OR '.join(conditions)}, FALSE)" if conditions else "FALSE"


def first_given_sql(file: ExportFile, names: Sequence[str], otherwise: str = EMPTY) -> str:
    """Return the SQL of the first of these columns that has a text in the line."""
    found = [quoted for name in names if (quoted := file.quoted(name)) is not None]
    texts = [f"NULLIF(CAST({column} AS VARCHAR), '')" for column in found]
    return f"COALESCE({', '.join([*texts, otherwise])})"


def select_sql(file: ExportFile, scan: str, columns: Sequence[Column], kind: str) -> str:
    """Return the columns of a SELECT over a file, as the line-item table names them.

    Parameters
    ----------
    file : ExportFile
        The file.
    scan : str
        SQL of the table function that reads it.
    columns : sequence of Column
        One for each of `LINE_ITEM_COLUMNS`, in any order.
    kind : str
        Such as "legacy CUR", for the error text.

    Raises
    ------
    BadInputError
        A column is missing or has another name.
    """
    by_target = {column.target: column for column in columns}
    values = ", ".join(f"{_value(file, by_target[name], kind)} AS {name}" for name, _ in LINE_ITEM_COLUMNS)
    return f"SELECT {values} FROM {scan}"


def share_known(columns: Sequence[Column], file: ExportFile) -> float:
    """Return the share of the required columns that a file has."""
    needed = [column for column in columns if column.absent is None]
    return sum(file.find(*column.names) is not None for column in needed) / len(needed)


def value_sql(file: ExportFile, name: str, sql: str) -> str:
    """Return the SQL of a column that the file has: the cheapest equivalent for the column's type and nulls."""
    return _for_type(file, sql, name).format(column=quoted_name(name))


def first_amount_sql(file: ExportFile, names: Sequence[str], amount: Callable[[str], str]) -> str:
    """Return the SQL of the first of these columns that has a value in the line, or 0 if none has one.

    Parameters
    ----------
    file : ExportFile
        The file.
    names : sequence of str
        At least one column, as the file spells it.
    amount : callable
        Returns the SQL of a column's amount.
    """
    if len(names) == 1:
        return amount(names[0])
    branches = (f"WHEN {_is_given_sql(file, name)} THEN {amount(name)}" for name in names)
    return f"CASE {' '.join(branches)} ELSE 0 END"


def _is_given_sql(file: ExportFile, name: str) -> str:
    return value_sql(file, name, IS_GIVEN if file.is_text(name) else "{column} IS NOT NULL")


def _value(file: ExportFile, column: Column, kind: str) -> str:
    found = file.find(*column.names)
    if found is not None:
        return value_sql(file, found, column.sql)
    if column.absent is None:
        raise BadInputError(_missing(file.path, column, file.names, kind))
    return column.absent


def _for_type(file: ExportFile, sql: str, name: str) -> str:
    if sql == AMOUNT and file.is_double(name):
        return AMOUNT_OF_DOUBLE
    if sql == TIME:
        return _time_sql(file, name)
    if sql == ACCOUNT and file.is_number(name):
        return ACCOUNT_OF_NUMBER
    if sql in {TEXT, IS_GIVEN} and file.is_text_without_nulls(name):
        return TEXT_THAT_IS_THERE if sql == TEXT else IS_GIVEN_THERE
    return sql


def _time_sql(file: ExportFile, name: str) -> str:
    if file.is_timestamp(name):
        return TIME_OF_TIMESTAMP
    if file.is_epoch(name):
        return TIME_OF_EPOCH
    return TIME_OF_TEXT if file.is_text(name) else TIME


def _missing(path: Path, column: Column, present: Collection[str], kind: str) -> str:
    name = column.names[0]
    if any("/" in other for other in present):
        name = _with_slash(name)
    close = difflib.get_close_matches(name, sorted(present), n=1, cutoff=0.8)
    hint = f"; {close[0]} looks like it, renamed" if close else ""
    return f"{path} is a {kind} without the column {name}{hint}"


def _with_slash(name: str) -> str:
    """Return a parquet column's name as CSV files spell it: line_item_usage_type is lineItem/UsageType."""
    group = next((group for group in _GROUPS if name.startswith(f"{group}_")), "")
    first, *others = group.split("_")
    words = name.removeprefix(f"{group}_").split("_")
    return f"{first}{''.join(map(str.title, others))}/{''.join(map(str.title, words))}" if group else name
