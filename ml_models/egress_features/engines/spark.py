"""Spark on this machine, or on a cluster under `spark-submit`. The extra `spark` installs PySpark."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from egress_features.engines.dialects import parse, render
from egress_features.errors import BadInputError, UnreadableError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyspark.sql import DataFrame, SparkSession

_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
_ON_ONE_MACHINE = {
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.memory": "3g",
    # 200 by default, each a task: on one machine most of the time would go into starting them.
    "spark.sql.shuffle.partitions": str(os.cpu_count() or 1),
    # Planning anew after each stage is for clusters.
    "spark.sql.adaptive.enabled": "false",
}
_JAVA_ENCODINGS = {"utf-8": "UTF-8", "utf-16": "UTF-16", "latin-1": "ISO-8859-1"}


class SparkEngine:
    """A context manager. `CREATE VIEW` makes a temporary view, `CREATE TABLE` a view whose rows are cached.

    Parameters
    ----------
    session : SparkSession, optional
        A running session, which is not stopped at the end. Its time zone must be UTC. By default a session is started:
        on the cluster under `spark-submit`, else on all cores of this machine.

    Raises
    ------
    BadInputError
        PySpark or Java is missing.
    """

    def __init__(self, session: SparkSession | None = None) -> None:
        self._is_own = session is None
        self._session = session or _start_session()
        self._scans: dict[str, str] = {}
        self._kept: list[DataFrame] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for frame in self._kept:
            frame.unpersist()
        if self._is_own:
            self._session.stop()

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """See `Engine.run`; only CREATE statements."""
        for statement in parse(sql):
            if not isinstance(statement, exp.Create):
                raise TypeError(f"only CREATE TABLE and CREATE VIEW are run without a result: {statement.sql()}")
            if isinstance(statement.this, exp.Schema):
                self._make_empty(statement.this, is_kept=bool(statement.args.get("exists")))
                continue
            frame = self._frame(statement.expression, parameters)
            if statement.kind == "TABLE":
                frame = frame.persist()
                self._kept.append(frame)
            frame.createOrReplaceTempView(statement.this.name)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Engine.rows`."""
        with _said_in_a_sentence():
            table = self._frame(parse(sql)[0], parameters).toArrow()
        return list(zip(*(column.to_pylist() for column in table.columns), strict=True))

    def insert(self, table: str, rows: Sequence[Sequence[Any]]) -> None:
        """See `Engine.insert`."""
        there = self._session.table(table)
        added = self._session.createDataFrame([tuple(row) for row in rows], there.schema)
        there.union(added).createOrReplaceTempView(table)

    def write_parquet(self, sql: str, path: Path, metadata: Mapping[str, str]) -> None:
        """See `Engine.write_parquet`: Spark's parts, which are in order, become one file."""
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
            parts = Path(folder) / "parts"
            with _said_in_a_sentence():
                self._frame(self._with_views(parse(sql)[0])).write.parquet(parts.absolute().as_uri())
            _join_parts(sorted(parts.glob("part-*.parquet")), path, metadata)

    def _make_empty(self, table: exp.Schema, *, is_kept: bool) -> None:
        name = table.this.name
        if not (is_kept and self._session.catalog.tableExists(name)):
            columns = ", ".join(column.sql("spark") for column in table.expressions)
            self._session.createDataFrame([], columns).createOrReplaceTempView(name)

    def _with_views(self, query: exp.Expr) -> exp.Expr:
        """Make a query's common table expressions views, and cache the rows of those that it reads twice.

        Spark would copy each expression to every place that reads it. Here it would plan and compute four copies of the
        first windows.
        """
        query = query.copy()
        tables = [table.name for table in query.find_all(exp.Table)]
        for expression in list(query.find_all(exp.CTE)):
            frame = self._frame(expression.this)
            if tables.count(expression.alias) > 1:
                frame = frame.persist()
                self._kept.append(frame)
            frame.createOrReplaceTempView(expression.alias)
        query.set("with_", None)
        return query

    def _frame(self, query: exp.Expr, parameters: Sequence[Any] = ()) -> DataFrame:
        return self._session.sql(render(query.transform(self._scanned), "spark"), args=list(parameters) or None)

    def _scanned(self, node: exp.Expr) -> exp.Expr:
        """Put a view in the place of DuckDB's functions that read files."""
        if not isinstance(node, exp.Table) or not isinstance(node.this, exp.ReadParquet | exp.ReadCSV):
            return node
        call = node.this.sql("duckdb")
        if call not in self._scans:
            self._scans[call] = f"scan_{len(self._scans)}"
            reader = self._parquet if isinstance(node.this, exp.ReadParquet) else self._csv
            reader(node.this).createOrReplaceTempView(self._scans[call])
        view = exp.to_table(self._scans[call])
        return exp.alias_(view, node.alias, table=True) if node.alias else view

    def _parquet(self, call: exp.Expr) -> DataFrame:
        return self._session.read.parquet(
            *(_address(file.name) for file in call.expressions if isinstance(file, exp.Literal))
        )

    def _csv(self, call: exp.Expr) -> DataFrame:
        options = {
            option.this.name: [text.name for text in option.expression.find_all(exp.Literal)]
            for option in call.expressions
        }
        (separator,), (encoding,) = options["delim"], options.get("encoding", ["utf-8"])
        frame = self._session.read.csv(
            _address(call.this.name),
            header=True,
            sep=separator,
            quote='"',
            escape='"',
            multiLine=True,
            encoding=_JAVA_ENCODINGS[encoding],
        )
        return frame.replace(options["nullstr"], None)


def _start_session() -> SparkSession:
    """Start a session as the engine needs it.

    Raises
    ------
    BadInputError
        PySpark or Java is missing.
    """
    try:
        from pyspark.errors import PySparkException
        from pyspark.sql import SparkSession
    except ModuleNotFoundError as error:
        raise BadInputError("Spark needs PySpark: pip install 'egress-sentinel[spark]'") from error
    if "PYSPARK_GATEWAY_PORT" not in os.environ:
        _find_java()
    builder = SparkSession.builder.appName("egress-sentinel")
    if "PYSPARK_GATEWAY_PORT" not in os.environ:  # spark-submit has set the master then
        builder = builder.master("local[*]").config(map=_ON_ONE_MACHINE)
    builder = builder.config(map=_SETTINGS)
    try:
        session = builder.getOrCreate()
    except PySparkException as error:
        raise BadInputError(f"Spark does not start; it needs Java 17 or later: {_sentence(error)}") from error
    session.sparkContext.setLogLevel("ERROR")
    return session


def _find_java() -> None:
    """Look for Java in the places that PySpark uses. Without Java, PySpark waits and then reports a missing gateway.

    Raises
    ------
    BadInputError
        Java is missing.
    """
    home = os.environ.get("JAVA_HOME")
    wanted = "Spark needs Java 17 or later, such as the package openjdk-17-jre-headless"
    if home and not (Path(home) / "bin" / "java").is_file():
        raise BadInputError(f"there is no Java in JAVA_HOME, {home}; {wanted}")
    if not home and shutil.which("java") is None:
        raise BadInputError(f"there is no Java on the PATH and no JAVA_HOME; {wanted}")


def _join_parts(parts: Sequence[Path], path: Path, metadata: Mapping[str, str]) -> None:
    """Write parquet parts one after the other into one file, batch by batch."""
    columns = [pa.field(column.name, column.type) for column in pq.read_schema(parts[0])]
    schema = pa.schema(columns, {name.encode(): text.encode() for name, text in metadata.items()})
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for part in parts:
            with pq.ParquetFile(part) as file:
                for batch in file.iter_batches(batch_size=122_880):
                    writer.write_table(pa.Table.from_batches([batch]).cast(schema))


class _said_in_a_sentence:  # noqa: N801 - reads as the statement that it is
    """Spark's refusal of the data is a `BadInputError`."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        from py4j.protocol import Py4JJavaError
        from pyspark.errors import PySparkException

        if isinstance(error, Py4JJavaError):
            raise UnreadableError(_first_cause(error)) from error
        if isinstance(error, PySparkException):
            raise UnreadableError(_sentence(error)) from error


def _first_cause(error: Any) -> str:
    """Return the message of Java's first exception: PySpark does not translate exceptions while it fetches rows."""
    thrown = error.java_exception
    while thrown.getCause() is not None:
        thrown = thrown.getCause()
    return str(thrown.getMessage()).partition("\n")[0]


def _address(path: str) -> str:
    return path if "://" in path else f"file://{Path(path).absolute()}"


def _sentence(error: Exception) -> str:
    return str(error).partition("\n")[0]
