"""Renders the SQL in other dialects.

The SQL is in DuckDB's dialect and uses only features that Spark and Athena have as well. SQLGlot renders it. This
module handles two things that SQLGlot does not: computed indices of arrays, and timestamps with a time zone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import sqlglot
from sqlglot import TokenType, exp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Dialect = Literal["spark", "athena"]

# The functions that the SQL may call in Athena, from Trino: https://trino.io/docs/current/functions.html.
ATHENA_FUNCTIONS = frozenset(
    {
        "ABS", "ARRAY_JOIN", "ARRAY_MIN", "ARRAY_SORT", "BOOL_OR", "CARDINALITY", "CAST", "COALESCE", "CONCAT",
        "COUNT", "DATE_ADD", "DATE_DIFF", "DATE_FORMAT", "DATE_TRUNC", "DECIMAL", "DENSE_RANK", "GREATEST", "LAG",
        "LEAST", "LENGTH", "LN", "LOWER", "MAP_KEYS", "MAX", "MAX_BY", "MIN", "NULLIF", "RANK", "REGEXP_EXTRACT",
        "REGEXP_LIKE", "REGEXP_REPLACE", "REPLACE", "ROUND", "ROW_NUMBER", "SEQUENCE", "SIGN", "SPLIT_PART", "STRPOS",
        "SUBSTR", "SUBSTRING", "SUM", "TRANSFORM", "TRANSLATE", "TRUNCATE", "TRY_CAST", "UNNEST", "UPPER",
    }
)  # fmt: skip
_KEYWORDS = frozenset(
    {"AND", "AS", "BY", "ELSE", "FROM", "IN", "JOIN", "NOT", "ON", "OR", "OVER", "SELECT", "THEN", "VALUES", "WHEN",
     "WHERE", "WITH", "USING", "FILTER", "END", "INTERVAL"}
)  # fmt: skip


class NotPortableError(ValueError):
    """SQL that one of the engines does not support."""


def parse(sql: str) -> list[exp.Expr]:
    """Parse a script in DuckDB's dialect into its statements."""
    return [statement for statement in sqlglot.parse(sql, read="duckdb") if statement is not None]


def queries_of(script: Iterable[exp.Expr]) -> dict[str, exp.Expr]:
    """Return the query of each table and view that a script creates, by name, with the script's macros filled in.

    A table that is created from columns alone becomes a query without rows. Statements other than CREATE are left out.
    """
    macros: dict[str, exp.Create] = {}
    queries: dict[str, exp.Expr] = {}
    for create in script:
        if isinstance(create, exp.Create):
            name = next(table.name for table in create.find_all(exp.Table))
            if create.kind == "MACRO":
                macros[name] = create
            else:
                queries[name] = _filled_in(_query(create), macros)
    return queries


def _query(create: exp.Create) -> exp.Expr:
    if not isinstance(create.this, exp.Schema):
        return create.expression  # type: ignore[no-any-return]
    columns = [exp.cast(exp.null(), column.args["kind"]).as_(column.name) for column in create.this.expressions]
    return exp.select(*columns).where(exp.false())


def _filled_in(query: exp.Expr, macros: Mapping[str, exp.Create]) -> exp.Expr:
    """Put a macro's expression in the place of each call."""

    def called(node: exp.Expr) -> exp.Expr:
        macro = macros.get(node.name.lower()) if isinstance(node, exp.Anonymous) else None
        if macro is None:
            return node
        names = [parameter.name for parameter in macro.this.expressions]
        given = dict(zip(names, node.expressions, strict=True))

        def argument(part: exp.Expr) -> exp.Expr:
            is_parameter = isinstance(part, exp.Column) and part.name in given
            return given[part.name].copy() if is_parameter else part

        return exp.paren(macro.expression.transform(argument))

    return query.transform(called)


def render(statement: exp.Expr, dialect: Dialect) -> str:
    """Return a statement in another dialect.

    Raises
    ------
    NotPortableError
        The dialect does not support a part of the statement, or Athena lacks a function.
    """
    tree = statement.transform(_for_spark if dialect == "spark" else _for_athena)
    try:
        sql = tree.sql(dialect=dialect, comments=False, pretty=True, unsupported_level=sqlglot.ErrorLevel.RAISE)
        sqlglot.parse_one(sql, read=dialect)
    except sqlglot.errors.SqlglotError as error:
        raise NotPortableError(f"{dialect} cannot run this: {error}: {statement.sql('duckdb')}") from error
    lacking = sorted(functions(sql) - ATHENA_FUNCTIONS) if dialect == "athena" else []
    if lacking:
        raise NotPortableError(f"Athena has no function {', '.join(lacking)} that we know of: {sql}")
    return sql


def functions(sql: str) -> set[str]:
    """Return the names of the functions that rendered Athena SQL calls."""
    tokens = sqlglot.tokenize(sql, read="athena")
    return {
        name.text.upper()
        for before, name, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
        # A type or an alias with column names follows AS, and a table with column names follows TABLE: no functions.
        if after.token_type == TokenType.L_PAREN
        and name.text.isidentifier()
        and before.token_type not in {TokenType.ALIAS, TokenType.TABLE}
    } - _KEYWORDS


def _for_spark(node: exp.Expr) -> exp.Expr:
    """Count computed indices of an array from 1 in Spark too: SQLGlot shifts only constant ones.

    EPOCH_US, which is cheaper in DuckDB, becomes a cast again.
    """
    if isinstance(node, exp.UnixToTime) and node.this.name.upper() == "EPOCH_US":
        return exp.cast(node.this.expressions[0], exp.DataType.build("TIMESTAMP", dialect="duckdb"))
    if isinstance(node, exp.Bracket) and not all(isinstance(index, exp.Literal) for index in node.expressions):
        places = [exp.cast(index, "INT") for index in node.expressions]
        return exp.Anonymous(this="ELEMENT_AT", expressions=[node.this, *places])
    return node


def _for_athena(node: exp.Expr) -> exp.Expr:
    """Write timestamps without a time zone: Athena cannot write parquet with one, and all timestamps here are UTC.

    Athena replaces every match of a pattern, and has no flag for it.
    """
    if isinstance(node, exp.RegexpReplace):
        node.set("modifiers", None)
    if isinstance(node, exp.DataType) and node.this == exp.DataType.Type.TIMESTAMPTZ:
        return exp.DataType.build("TIMESTAMP")
    return node
