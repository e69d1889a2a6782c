"""The hourly pipeline rendered for Athena: the lines of the bill's last delivery, and flow logs after them.

The statements are those of `engines.athena`. The queries of this package's `sql/` come between the bill's watermarks
and the features. `sql/athena.sql` replaces the steps that are in Python on one machine. `billed_line_hours` is the
table of lines by series and hour from the last delivery. `__flow_days__` is the number of days of flow logs to read.

`python -m` with this module writes the statements into a folder, numbered in their order.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sqlglot import exp, parse_one

from egress_features.engines.athena import create_sql, pipeline, with_what_it_reads, write_statements
from egress_features.engines.dialects import parse, queries_of
from egress_features.flow_logs.estimate import SERVICES, UNSETTLED_HOURS, bill_names
from egress_features.flow_logs.fields import FIELDS
from egress_features.flow_logs.hours import sql
from egress_features.flow_logs.prices import read_prices

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TABLES = (
    "line_hours", "watermarks", "flow_sums", "own_addresses", "directed", "interfaces", "peer_hours", "estimated_lines",
    "flow_bounds", "covered_series", "series", "leaf_hours", "series_hours", "features",
)  # fmt: skip
# The tables and views that both pipelines compute from the kept lines.
_AFTER_LINES = (
    "granularity", "account_names", "resource_tags", "hours", "series", "leaf_hours", "level_hours",
    "series_hours", "rows_of_features", "features",
)  # fmt: skip
FLOW_DAYS = "__flow_days__"
# The folder's fields that replace those which a record lacks.
_PLACES = {"account_id": "aws_account_id", "region": "aws_region"}


def definition(prices: Path | None = None) -> dict[str, exp.Expr]:
    """Return the query of each of `TABLES` in DuckDB's dialect. A query reads the tables before it by their names."""
    queries = _queries(prices)
    return {name: with_what_it_reads(name, queries, TABLES) for name in TABLES}


def statements(prices: Path | None = None) -> dict[str, str]:
    """Return the statement that makes each of `TABLES`, in Athena's dialect, with the prices of a price table."""
    return {name: create_sql(name, query, TABLES) for name, query in definition(prices).items()}


def _queries(prices: Path | None) -> dict[str, exp.Expr]:
    """Return the query of every table and view by its name, in order."""
    billed = pipeline()
    ours = queries_of(parse(_filled(sql("athena"))))
    read = queries_of(parse(sql("flow_sums")))["flow_read"]
    flow = {name: query for script in ("interfaces", "peer_hours", "estimated_lines", "kept_lines")
            for name, query in queries_of(parse(_macros() + sql(script))).items()}  # fmt: skip
    beyond = ("unbilled_series", "covered_series", "kept_lines")
    return {
        "line_hours": parse_one("SELECT * FROM billed_line_hours"),
        "billed_lines": billed["kept_lines"],
        "billed_hours": billed["data_hours"],
        "watermarks": billed["watermarks"].transform(_of_the_bill),
        "label_lines": billed["label_lines"],
        "flow_texts": ours["flow_texts"],
        "flow_read": _without(read, "no_number"),
        "flow_sums": ours["flow_sums"],
        **{name: ours[name] for name in ("named_interfaces", "named_addresses", "subnet_zones")},
        "prices": _values(read_prices(prices).prices, ("egress_class", "region", "usd_per_gb")),
        "bill_names": _values(bill_names(), ("region", "meter", "usage_type")),
        "billed_peering": ours["billed_peering"],
        **{name: query for name, query in flow.items() if name not in beyond},
        "flow_bounds": ours["flow_bounds"],
        **{name: flow[name] for name in beyond},
        "data_hours": ours["data_hours"],
        **{name: billed[name] for name in _AFTER_LINES},
    }


def _filled(script: str) -> str:
    """Fill in the placeholders of `athena.sql`."""
    fields = ", ".join(f"{_text_of(field.name)} AS {field.name}" for field in FIELDS)
    return (
        script.replace("{fields}", f"CAST(NULL AS VARCHAR) AS file, {fields}")
        .replace("{services}", SERVICES)
        .replace("{more}", str(UNSETTLED_HOURS - 1))
    )


def _text_of(field: str) -> str:
    said = f"NULLIF(CAST(\"{field}\" AS VARCHAR), '-')"
    return f"COALESCE(NULLIF({said}, 'unknown'), {_PLACES[field]})" if field in _PLACES else said


def _macros() -> str:
    """Return the macros of the scripts, which all of them may call."""
    script = sql("interfaces")
    return script[script.index("CREATE OR REPLACE MACRO") : script.index("CREATE TABLE")]


def _of_the_bill(node: exp.Expr) -> exp.Expr:
    """Replace the table `data_hours`, which includes the hours of the flow logs, by the hours of the bill."""
    is_hours = isinstance(node, exp.Table) and node.name == "data_hours"
    return exp.alias_(exp.to_table("billed_hours"), node.alias or node.name, table=True) if is_hours else node


def _without(query: exp.Expr, column: str) -> exp.Expr:
    """Leave a column out of a SELECT."""
    kept = [projection for projection in query.expressions if projection.alias_or_name != column]
    query = query.copy()
    query.set("expressions", kept)
    return query


def _values(rows: Iterable[Sequence[object]], columns: Sequence[str]) -> exp.Expr:
    """Return a query with rows of constants."""
    listed = ", ".join(f"({', '.join(exp.convert(value).sql('duckdb') for value in row)})" for row in rows)
    return parse_one(f"SELECT * FROM (VALUES {listed}) AS v ({', '.join(columns)})", read="duckdb")


def main(argv: Sequence[str] | None = None) -> int:
    """Write NN_NAME.sql of each statement into the folder that is given, with the prices of a file, if any."""
    folder, *prices = sys.argv[1:] if argv is None else argv
    write_statements(statements(Path(prices[0]) if prices else None), Path(folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
