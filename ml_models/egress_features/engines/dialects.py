"""The one definition in other dialects.

The SQL is written in DuckDB's dialect and kept to what Spark and Athena can do as well. SQLGlot renders it; what it
leaves to its callers is done here: places of an array that are computed, and moments with a time zone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import sqlglot
from sqlglot import TokenType, exp

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Dialect = Literal["spark", "athena"]

# What the SQL may call in Athena: functions of Trino, https://trino.io/docs/current/functions.html.
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
    """SQL that one of the engines does not have."""


def parse(sql: str) -> list[exp.Expr]:
    """Parse a script of the one definition into its statements."""
    return [statement for statement in sqlglot.parse(sql, read="duckdb") if statement is not None]


def queries_of(script: Iterable[exp.Expr]) -> dict[str, exp.Expr]:
    """Return the queries that a script makes its tables and views of, by their names, with its macros filled in.

    A table that a script makes of columns alone is a query without rows; what is no CREATE is left out.
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
        Something that the dialect has not, or a function that Athena lacks.
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
        # After AS stands a type, or an alias with the names of its columns; after TABLE, a table with them.
        if after.token_type == TokenType.L_PAREN
        and name.text.isidentifier()
        and before.token_type not in {TokenType.ALIAS, TokenType.TABLE}
    } - _KEYWORDS


def _for_spark(node: exp.Expr) -> exp.Expr:
    """Count the places of an array from 1 in Spark too, where they are computed; SQLGlot shifts constants alone.

    A moment's microseconds, which DuckDB has at less cost, are a cast again.
    """
    if isinstance(node, exp.UnixToTime) and node.this.name.upper() == "EPOCH_US":
        return exp.cast(node.this.expressions[0], exp.DataType.build("TIMESTAMP", dialect="duckdb"))
    if isinstance(node, exp.Bracket) and not all(isinstance(index, exp.Literal) for index in node.expressions):
        places = [exp.cast(index, "INT") for index in node.expressions]
        return exp.Anonymous(this="ELEMENT_AT", expressions=[node.this, *places])
    return node


def _for_athena(node: exp.Expr) -> exp.Expr:
    """Write moments without a time zone: Athena cannot write parquet with one, and all moments here are UTC.

    Athena replaces every match of a pattern, and has no flag for it.
    """
    if isinstance(node, exp.RegexpReplace):
        node.set("modifiers", None)
    if isinstance(node, exp.DataType) and node.this == exp.DataType.Type.TIMESTAMPTZ:
        return exp.DataType.build("TIMESTAMP")
    return node
