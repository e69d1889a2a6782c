"""Athena that runs queries: DuckDB executes Athena's SQL over the files of Glue's tables.

Closes these gaps of moto 5.2: queries are never run, and a named query cannot be deleted. The supported statements are
SELECT, CREATE TABLE AS and DROP TABLE.

- Partitions are projected: a table's `storage.location.template` maps parts of a key to partitions.
- Files are parquet, or JSON lines if the table declares them.
- Results are written to the workgroup's output location, and tables below `tables/QUERY-ID/` there.
- As in AWS, Glue and S3 are called with the caller's credentials.
- Functions that differ between Trino and DuckDB behave as in Trino.
- Tables have Hive's types and at most 100 partitions.
"""

from __future__ import annotations

import csv
import json
import re
import tempfile
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import sqlglot
from sqlglot import exp
from werkzeug.wrappers import Request, Response

from local_aws.account import ACCOUNT_ID, REGION, access_key_of, client, objects_under

if TYPE_CHECKING:
    from collections.abc import Iterator

_HIVE_TYPES = {"string": "VARCHAR", "int": "INTEGER"}
_GLUE_TYPES = {
    "VARCHAR": "string",
    "INTEGER": "int",
    "HUGEINT": "decimal(38,0)",
}
# Trino types that Hive tables do not support, with DuckDB's names. "NULL" is a column that is NULL in every row.
_NO_HIVE_TYPES = {"TIMESTAMP WITH TIME ZONE", "TIME", "INTERVAL", '"NULL"', "UUID"}
_MOST_PARTITIONS = 100  # the limit of one statement
_JSON = "org.openx.data.jsonserde.JsonSerDe"
_PARQUET_TABLE = {
    "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
    "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
    "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
}


class QueryError(ValueError):
    """Athena would reject the query."""


@dataclass
class Query:
    """A query execution, with the caller's access key."""

    id: str
    access_key: str
    sql: str
    database: str
    workgroup: str
    output: str
    state: str = "RUNNING"
    reason: str = ""
    submitted: float = field(default_factory=time.time)
    completed: float = 0.0
    columns: list[str] = field(default_factory=list)
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    @property
    def glue(self) -> Any:
        """Glue, with the caller's permissions."""
        return client("glue", self.access_key)

    @property
    def s3(self) -> Any:
        """S3, with the caller's permissions."""
        return client("s3", self.access_key)

    def described(self) -> dict[str, Any]:
        """Return the response of GetQueryExecution."""
        status = {"State": self.state, "SubmissionDateTime": self.submitted}
        status |= {"CompletionDateTime": self.completed} if self.completed else {}
        status |= {"StateChangeReason": self.reason} if self.reason else {}
        return {
            "QueryExecutionId": self.id,
            "Query": self.sql,
            "QueryExecutionContext": {"Database": self.database},
            "ResultConfiguration": {"OutputLocation": f"{self.output}{self.id}.csv"},
            "Status": status,
            "WorkGroup": self.workgroup,
        }


class Athena:
    """Runs queries in the background and stores their state."""

    def __init__(self) -> None:
        self._queries: dict[str, Query] = {}

    def answer(self, request: Request, body: bytes) -> Response | None:
        """Answer the requests that moto does not support. None if moto answers."""
        from moto.athena.models import athena_backends

        action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        given = json.loads(body or b"{}")
        if action == "DeleteNamedQuery":
            athena_backends[ACCOUNT_ID][REGION].named_queries.pop(given["NamedQueryId"], None)
            return _json({})
        if action == "StartQueryExecution":
            return _json({"QueryExecutionId": self._start(given, access_key_of(request))})
        query = self._queries.get(given.get("QueryExecutionId", ""))
        if action == "GetQueryExecution" and query is not None:
            return _json({"QueryExecution": query.described()})
        if action == "GetQueryResults" and query is not None:
            return _json({"ResultSet": _result_set(query)})
        return None

    def complete(self, request: Request, response: Response) -> None:
        """Remove a body that moto adds to an empty response."""
        if request.headers.get("X-Amz-Target", "").endswith(".CreateWorkGroup") and response.status_code == 200:
            response.set_data("{}")

    def _start(self, given: dict[str, Any], access_key: str) -> str:
        workgroup = given.get("WorkGroup", "primary")
        settings = client("athena").get_work_group(WorkGroup=workgroup)["WorkGroup"]["Configuration"]
        output = settings.get("ResultConfiguration", {}).get("OutputLocation", "")
        output = output or given.get("ResultConfiguration", {}).get("OutputLocation", "")
        database = given.get("QueryExecutionContext", {}).get("Database", "default")
        output = output.rstrip("/") + "/"
        query = Query(str(uuid.uuid4()), access_key, given["QueryString"], database, workgroup, output)
        self._queries[query.id] = query
        threading.Thread(target=_run, args=(query,), daemon=True).start()
        return query.id


def _run(query: Query) -> None:
    from botocore.exceptions import ClientError

    try:
        with tempfile.TemporaryDirectory(prefix="egress-sentinel-athena-") as folder, duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            _execute(query, connection, Path(folder))
        state = "SUCCEEDED"
    except (QueryError, ClientError, duckdb.Error, pa.ArrowException, sqlglot.errors.SqlglotError) as error:
        state, query.reason = "FAILED", str(error)
    query.completed = time.time()
    query.state = state


def _execute(query: Query, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    statement = sqlglot.parse_one(query.sql, read="athena").transform(_as_trino)
    if isinstance(statement, exp.Drop):
        query.glue.delete_table(DatabaseName=query.database, Name=statement.this.name)
    elif isinstance(statement, exp.Create) and statement.expression is not None:
        _refuse_existing(query, statement.this.name)
        _read_tables(query, statement.expression, connection, folder)
        _create_table(query, statement, connection, folder)
    elif isinstance(statement, exp.Query):
        _read_tables(query, statement, connection, folder)
        found = connection.execute(statement.sql("duckdb"))
        query.columns = [column[0] for column in found.description or []]
        query.rows = found.fetchall()
        _write_results(query, folder)
    else:
        raise QueryError("the local Athena supports only SELECT, CREATE TABLE AS and DROP TABLE")


def _as_trino(node: exp.Expr) -> exp.Expr:
    """Return NULL, as Trino does, if DuckDB returns an empty text for a missing part or for no match."""
    there: exp.Expr
    if isinstance(node, exp.SplitPart):
        parts = exp.func("LEN", exp.func("STRING_SPLIT", node.this.copy(), node.args["delimiter"].copy()))
        there = exp.GTE(this=parts, expression=node.args["part_index"].copy())
    elif isinstance(node, exp.RegexpExtract):
        there = exp.RegexpLike(this=node.this.copy(), expression=node.expression.copy())
    else:
        return node
    return exp.Case(ifs=[exp.If(this=there, true=node.copy())])


def _refuse_types(columns: dict[str, str]) -> None:
    for name, kind in columns.items():
        if kind in _NO_HIVE_TYPES:
            raise QueryError(f"NOT_SUPPORTED: Unsupported Hive type: {kind.lower()} of column {name}")


def _refuse_existing(query: Query, name: str) -> None:
    try:
        query.glue.get_table(DatabaseName=query.database, Name=name)
    except query.glue.exceptions.EntityNotFoundException:
        return
    raise QueryError(f"TABLE_ALREADY_EXISTS: Table '{query.database}.{name}' already exists")


def _read_tables(query: Query, sql: exp.Expr, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Create a view for each table that the query reads, over copies of its files."""
    made_here = {expression.alias for expression in sql.find_all(exp.CTE)}
    for name in sorted({table.name for table in sql.find_all(exp.Table)} - made_here - {""}):
        table = query.glue.get_table(DatabaseName=query.database, Name=name)["Table"]
        copies = _copies(query, table, folder / name)
        parts = [_part_sql(path, partition, table) for path, partition in copies] or [_no_rows_sql(table)]
        connection.execute(f'CREATE VIEW "{name}" AS {" UNION ALL ".join(parts)}')


def _copies(query: Query, table: dict[str, Any], folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    """Copy the files of a table. Yield each with the partition that its key names."""
    template = table.get("Parameters", {}).get("storage.location.template", table["StorageDescriptor"]["Location"])
    pieces = re.split(r"\$\{(\w+)\}", template)
    pattern = "".join(f"(?P<{piece}>[^/]+)" if i % 2 else re.escape(piece) for i, piece in enumerate(pieces))
    bucket = urlparse(template).netloc
    folder.mkdir()
    for number, key in enumerate(objects_under(pieces[0], query.access_key)):
        place = re.fullmatch(pattern.rstrip("/") + "/[^/]+", f"s3://{bucket}/{key}")
        if place is not None and _is_projected(place.groupdict(), table):
            path = folder / f"{number}.parquet"
            query.s3.download_file(bucket, key, str(path))
            yield path, place.groupdict()


def _is_projected(partition: dict[str, str], table: dict[str, Any]) -> bool:
    """Return whether a table has a partition: its values must be among those that the table lists."""
    listed = {name: table.get("Parameters", {}).get(f"projection.{name}.values") for name in partition}
    return all(values is None or partition[name] in values.split(",") for name, values in listed.items())


def _part_sql(path: Path, partition: dict[str, str], table: dict[str, Any]) -> str:
    described = table["StorageDescriptor"]
    if described.get("SerdeInfo", {}).get("SerializationLibrary") == _JSON:
        kinds = ", ".join(f"\"{column['Name']}\": '{_duckdb_type(column)}'" for column in described["Columns"])
        return f"SELECT * FROM read_json('{path}', format = 'newline_delimited', columns = {{{kinds}}})"  # noqa: S608 - our copy
    present = set(pq.read_schema(path).names)
    values = [
        f"""CAST({f'"{column["Name"]}"' if column["Name"] in present else "NULL"} AS {_duckdb_type(column)}) """
        f"""AS "{column["Name"]}\""""
        for column in table["StorageDescriptor"]["Columns"]
    ]
    values += [f"""'{value}' AS "{name}\"""" for name, value in partition.items()]
    return f"SELECT {', '.join(values)} FROM read_parquet('{path}', hive_partitioning = false)"  # noqa: S608 - our copy


def _no_rows_sql(table: dict[str, Any]) -> str:
    columns = [*table["StorageDescriptor"]["Columns"], *table.get("PartitionKeys", [])]
    return f"""SELECT {", ".join(f'CAST(NULL AS {_duckdb_type(c)}) AS "{c["Name"]}"' for c in columns)} WHERE FALSE"""


def _duckdb_type(column: dict[str, Any]) -> str:
    kind: str = column["Type"]
    if kind.startswith("array<"):
        return f"{_HIVE_TYPES.get(kind[6:-1], kind[6:-1])}[]"
    if kind.startswith("map<"):
        return f"MAP({', '.join(_HIVE_TYPES.get(part, part) for part in kind[4:-1].split(','))})"
    return _HIVE_TYPES.get(kind, kind)


def _create_table(query: Query, create: exp.Create, connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    name, location = create.this.name, f"{query.output}tables/{query.id}/"
    partitions = [text.name for text in _property(create, exp.PartitionedByProperty)]
    select = create.expression.sql("duckdb")
    described = connection.execute(f"DESCRIBE {select}").fetchall()
    _refuse_types({row[0]: row[1] for row in described})
    _refuse_partitions(partitions, select, connection)
    columns = [{"Name": row[0], "Type": _GLUE_TYPES.get(row[1], row[1].lower())} for row in described]
    query.glue.create_table(
        DatabaseName=query.database,
        TableInput={
            "Name": name,
            "TableType": "EXTERNAL_TABLE",
            "Parameters": {"classification": "parquet"},
            "StorageDescriptor": {
                **_PARQUET_TABLE,
                "Location": location,
                "Columns": [column for column in columns if column["Name"] not in partitions],
            },
            "PartitionKeys": [column for column in columns if column["Name"] in partitions],
        },
    )
    target = folder / "created"
    target.mkdir()
    by = f", PARTITION_BY ({', '.join(partitions)})" if partitions else ""
    where = target if partitions else target / "0.parquet"
    connection.execute(f"COPY ({select}) TO '{where}' (FORMAT parquet, COMPRESSION zstd{by})")
    address = urlparse(location)
    for path in sorted(target.rglob("*.parquet")):
        key = f"{address.path.lstrip('/')}{path.relative_to(target).as_posix().removesuffix('.parquet')}"
        query.s3.upload_file(str(path), address.netloc, key)


def _refuse_partitions(partitions: list[str], select: str, connection: duckdb.DuckDBPyConnection) -> None:
    if not partitions:
        return
    names = ", ".join(f'"{name}"' for name in partitions)
    found = connection.execute(f"SELECT count(*) FROM (SELECT DISTINCT {names} FROM ({select}))").fetchone()  # noqa: S608 - the query's own
    if found and found[0] > _MOST_PARTITIONS:
        raise QueryError(
            f"HIVE_TOO_MANY_OPEN_PARTITIONS: Exceeded limit of {_MOST_PARTITIONS} open writers for partitions"
        )


def _property(create: exp.Create, kind: type[exp.Expr]) -> list[exp.Expr]:
    found = create.find(kind)
    return [] if found is None else list(found.find_all(exp.Literal))


def _write_results(query: Query, folder: Path) -> None:
    path = folder / "results.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows([query.columns, *query.rows])
    address = urlparse(query.output)
    query.s3.upload_file(str(path), address.netloc, f"{address.path.lstrip('/')}{query.id}.csv")


def _result_set(query: Query) -> dict[str, Any]:
    rows = [query.columns, *query.rows] if query.columns else []
    data = [[{} if value is None else {"VarCharValue": str(value)} for value in row] for row in rows]
    return {
        "Rows": [{"Data": row} for row in data],
        "ResultSetMetadata": {"ColumnInfo": [{"Name": name, "Type": "varchar"} for name in query.columns]},
    }


def _json(answer: dict[str, Any]) -> Response:
    return Response(json.dumps(answer, default=str), mimetype="application/x-amz-json-1.1")
