"""The pipeline rendered for Athena: a sequence of queries over a CUR 2.0 table.

Each query makes a table of one run, NAME___run__. `line_hours` reads the export once and adds it up by series and hour.
The last one, `features`, holds the rows of the feature files by day. The SQL is the same that DuckDB runs. A result
that several queries use is a table, because Athena computes a common table expression again for each use.
Terraform and the state machine fill in `__run__`, `__months__` (billing periods to read), `__tags__` (names of the tags
to keep) and `__days__` (days to write).

`python -m` with this module writes the queries into a folder, numbered in their order.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp, parse_one

from egress_features.engines.dialects import parse, queries_of, render
from egress_features.queries import features_sql, read_sql
from egress_features.reading import KEPT
from egress_features.sources.labels import tags_sql
from egress_features.usage_types_sql import classified_sql

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

TABLES = ("line_hours", "watermarks", "series", "leaf_hours", "series_hours", "features")
RUN, MONTHS, DAYS, TAGS = "__run__", "__months__", "__days__", "__tags__"
# The table's columns are typed by its Glue definition, in terraform/modules/features.
_LINES = f"""(
  SELECT DATE_TRUNC('hour', line_item_usage_start_date) AS hour_utc,
    COALESCE(line_item_usage_account_id, '') AS account_id, COALESCE(line_item_product_code, '') AS service,
    COALESCE(line_item_usage_type, '') AS usage_type, COALESCE(line_item_operation, '') AS operation,
    COALESCE(line_item_resource_id, '') AS resource_id, COALESCE(product_region_code, '') AS region_id,
    CAST(COALESCE(line_item_usage_amount, 0) AS DECIMAL(38, 12)) AS usage_amount,
    CAST(COALESCE(line_item_net_unblended_cost, line_item_unblended_cost, 0) AS DECIMAL(38, 12)) AS cost_usd,
    COALESCE(product_product_family, '') = 'Data Transfer' AS is_transfer,
    COALESCE(bill_invoice_id, '') <> '' AS has_invoice,
    COALESCE(line_item_usage_account_name, '') AS account_name, resource_tags, cost_category
  FROM cur_2_0
  WHERE billing_period >= STRFTIME(CURRENT_DATE - {MONTHS} * INTERVAL '1' MONTH, '%Y-%m')
    AND line_item_line_item_type IN ({KEPT})
    -- As on one machine, lines in another currency or of another granularity are left out.
    AND COALESCE(line_item_currency_code, '') IN ('', 'USD')
    AND COALESCE(DATE_DIFF('hour', line_item_usage_start_date, line_item_usage_end_date), 1) <= 1
)"""
# A day's file is replaced as a whole, so whole days are written. One bucket is one file for each day.
_WRITTEN = f"""
SELECT f.*, STRFTIME(f.hour_utc, '%Y-%m-%d') AS day
FROM rows_of_features AS f
CROSS JOIN data_hours AS d
WHERE f.hour_utc >= DATE_TRUNC('day', d.last_hour) - ({DAYS} - 1) * INTERVAL '1' DAY
"""
_LABEL_LINES = """
SELECT account_id, service, resource_id, hour_utc, account_name, tags, resource_id <> '' AS has_resource
FROM line_hours
WHERE egress_class <> ''
"""
_BY_DAY = ", partitioned_by = ARRAY['day'], bucketed_by = ARRAY['account_id'], bucket_count = 1"


def definition() -> dict[str, exp.Expr]:
    """Return the query of each of `TABLES` in DuckDB's dialect. A query reads the tables before it by their names."""
    queries = pipeline()
    return {name: with_what_it_reads(name, queries, TABLES) for name in TABLES}


def statements() -> dict[str, str]:
    """Return the statement that makes each of `TABLES`, in Athena's dialect."""
    return {name: create_sql(name, query, TABLES) for name, query in definition().items()}


def pipeline() -> dict[str, exp.Expr]:
    """Return the query of every table and view of the pipeline by its name, in order."""
    tags = tags_sql("c.resource_tags", "c.cost_category", f"['{TAGS}']")
    line_hours = read_sql("line_hours").replace("{classified}", classified_sql(_LINES)).replace("{tags}", tags)
    queries = {
        "line_hours": parse_one(line_hours, read="duckdb"),
        "kept_lines": parse_one("SELECT * FROM line_hours WHERE egress_class <> ''"),
        "data_hours": parse_one("SELECT MIN(hour_utc) AS first_hour, MAX(hour_utc) AS last_hour FROM line_hours"),
        # AWS delivers the export that Terraform creates by the hour.
        "granularity": parse_one("SELECT FALSE AS is_daily"),
        "watermarks": parse_one(read_sql("watermarks"), read="duckdb"),
        # Labels come from the bill's lines alone, also if flow logs extend the bill.
        "label_lines": parse_one(_LABEL_LINES, read="duckdb"),
    }
    # The labels take the place of the empty tables before `series`.
    for script in ("hours", "series_hours", "labels"):
        queries |= queries_of(parse(read_sql(script)))
    rows = parse_one(features_sql(), read="duckdb")
    rows.set("order", None)
    return {**queries, "rows_of_features": rows, "features": parse_one(_WRITTEN, read="duckdb")}


def with_what_it_reads(name: str, queries: dict[str, exp.Expr], tables: Sequence[str]) -> exp.Expr:
    """Add the views that a table's query reads to it, as common table expressions before its own.

    `queries` are in an order in which each reads only those before it. Those of `tables` are read as tables.
    """
    needed: set[str] = set()
    pending = [name]
    while pending:
        found = {table.name for table in queries[pending.pop()].find_all(exp.Table)} & queries.keys()
        pending += sorted(found - needed - set(tables))
        needed |= found - set(tables)
    query = queries[name].copy()
    views = [exp.CTE(this=queries[view].copy(), alias=exp.to_identifier(view)) for view in queries if view in needed]
    own = query.args.get("with_")
    if views:
        query.set("with_", exp.With(expressions=views + (own.expressions if own else [])))
    return query


def create_sql(name: str, query: exp.Expr, tables: Sequence[str]) -> str:
    """Return the statement that makes a table of this run, in Athena's dialect."""

    def of_this_run(node: exp.Expr) -> exp.Expr:
        is_ours = isinstance(node, exp.Table) and node.name in tables
        return exp.alias_(exp.to_table(f"{node.name}_{RUN}"), node.alias or node.name, table=True) if is_ours else node

    properties = f"format = 'PARQUET', write_compression = 'ZSTD'{_BY_DAY if name == 'features' else ''}"
    return f"CREATE TABLE {name}_{RUN}\nWITH ({properties})\nAS\n{render(query.transform(of_this_run), 'athena')}"


def write_statements(statements: Mapping[str, str], folder: Path) -> None:
    """Write N_NAME.sql of each statement into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, sql) in enumerate(statements.items(), start=1):
        (folder / f"{number:02d}_{name}.sql").write_text(sql + "\n", encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """Write NN_NAME.sql of each statement into the folder that is given."""
    (folder,) = sys.argv[1:] if argv is None else argv
    write_statements(statements(), Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
