"""One definition on several engines: the SQL that it may use, and equal results."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from zlib import crc32

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sqlglot import exp

from egress_features import FEATURES, BadInputError, build_features, find_exports, open_engine
from egress_features.engines import DuckDBEngine, Engine
from egress_features.engines.dialects import NotPortableError, parse, render
from egress_sentinel.demo import write_demo_bill
from tests.support.bill import line, rewrite_csv, steady, write_csv, write_parquet
from tests.support.daily_exports import daily_exports
from tests.support.line_items import line_items
from tests.support.sample_data import required_module, required_program, sample
from tests.support.sql_features import SqlEngine


def test_everything_that_is_asked_of_an_engine_can_be_asked_of_spark_and_athena(tmp_path: Path) -> None:
    lines = steady(500)
    deliveries = [
        write_parquet(tmp_path / "a.parquet", lines[:300]),
        write_csv(tmp_path / "b.csv", lines[300:]),
    ]
    with DuckDBEngine() as duckdb:
        recorder = SqlEngine(duckdb)
        build_features(deliveries, tmp_path / "features.parquet", engine=recorder)
    statements = [statement for script in recorder.scripts for statement in parse(script)]
    assert len(statements) > 15
    for statement in statements:
        assert render(statement.transform(tables_for_files), "spark")
        # In Athena Python fills no table, and separate SQL reads the export (`sql/line_hours.sql`).
        if not statement.find(exp.ReadParquet, exp.ReadCSV, exp.Schema):
            assert render(statement, "athena")


def tables_for_files(node: exp.Expr) -> exp.Expr:
    is_scan = isinstance(node, exp.Table) and isinstance(node.this, exp.ReadParquet | exp.ReadCSV)
    return exp.to_table("export") if is_scan else node


def test_too_little_memory_is_said_in_a_sentence() -> None:
    with DuckDBEngine(memory_limit="40MB", threads=1) as engine, pytest.raises(BadInputError, match="more memory"):
        engine.run("CREATE TABLE t AS SELECT LIST(i) AS all_of_them FROM RANGE(20000000) AS r (i)")


@pytest.mark.parametrize("sql", ["SELECT LIST_DISTINCT(a) FROM t", "SELECT MEDIAN(a) FROM t", "SELECT HASH(a) FROM t"])
def test_what_athena_lacks_is_named(sql: str) -> None:
    with pytest.raises(NotPortableError, match=r"(?i)athena"):
        render(parse(sql)[0], "athena")


def test_a_computed_place_in_an_array_counts_from_one_everywhere() -> None:
    (statement,) = parse("SELECT LIST_SORT([a, b])[n // 2 + 1] FROM t")
    assert "ELEMENT_AT(ARRAY_SORT(ARRAY(a, b)), CAST(n DIV 2 + 1 AS INT))" in " ".join(
        render(statement, "spark").split()
    )
    assert "ARRAY_SORT(ARRAY[a, b])[" in render(statement, "athena")


@pytest.fixture(scope="module")
def spark() -> Iterator[Engine]:
    required_module("pyspark")
    required_program("java")
    with pytest.MonkeyPatch.context() as patch:
        # Java's second compiler took a third of the time, and nothing runs long enough here to make up for it.
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        with open_engine("spark") as engine:
            yield engine


@pytest.mark.slow
@pytest.mark.parametrize(("bill", "every"), [("real", 24), ("demo", 12), ("daily", 12)])
def test_spark_gives_what_duckdb_gives(bill: str, every: int, spark: Engine, tmp_path: Path) -> None:
    files = find_exports([sample("cur_legacy")]) if bill == "real" else [some_days_of_the_demo(tmp_path)]
    if bill == "daily":
        files = daily_exports(files, tmp_path / "by-day")
    exports = [some_series_of(path, every, tmp_path) for path in files]
    ours = build_features(exports, tmp_path / "duckdb.parquet")
    theirs = build_features(exports, tmp_path / "spark.parquet", engine=spark)
    assert theirs == ours
    assert ours.series >= 8
    assert ours.rows > 5000
    assert_same(pq.read_table(tmp_path / "spark.parquet"), pq.read_table(tmp_path / "duckdb.parquet"))


def some_series_of(path: Path, every: int, folder: Path) -> Path:
    """All hours of one series in so many: Spark takes minutes for all, since it adds up each window for each row."""
    lines = pq.read_table(path)
    names = zip(lines["line_item_resource_id"].to_pylist(), lines["line_item_usage_type"].to_pylist(), strict=True)
    is_in = pa.array([crc32(f"{resource} {usage_type}".encode()) % every == 0 for resource, usage_type in names])
    pq.write_table(lines.filter(is_in), folder / f"part-{path.name}")
    return folder / f"part-{path.name}"


def some_days_of_the_demo(folder: Path) -> Path:
    """The first 16 days."""
    lines = pa.concat_tables([pq.read_table(path) for path in write_demo_bill(folder).files])
    starts = lines["line_item_usage_start_date"]
    end = pa.scalar(pc.min(starts).as_py() + timedelta(days=16), starts.type)
    pq.write_table(lines.filter(pc.less(starts, end)), folder / "days.parquet")
    return folder / "days.parquet"


def assert_same(found: pa.Table, expected: pa.Table) -> None:
    assert [(column.name, column.type) for column in found.schema] == [(c.name, c.type) for c in expected.schema]
    assert {k: found.schema.metadata[k] for k in expected.schema.metadata if k.startswith(b"egress")} == {
        k: v for k, v in expected.schema.metadata.items() if k.startswith(b"egress")
    }
    features = {feature.name for feature in FEATURES}
    for name in expected.column_names:
        if not pa.types.is_floating(expected[name].type):
            assert found[name].equals(expected[name]), name
            continue
        # A feature is a float32: where the engines' logarithms differ in the 16th digit, its last bit may too.
        tolerance = 1e-6 if name in features else 1e-9
        difference = np.abs(found[name].to_numpy().astype(float) - expected[name].to_numpy().astype(float))
        assert difference.max() <= tolerance, name


def test_spark_refuses_what_is_no_number(spark: Engine, tmp_path: Path) -> None:
    bad = write_csv(tmp_path / "bad.csv", [*steady(200), line(100, 0.0, usage_amount="lots", resource_id="other")])
    with pytest.raises(BadInputError, match=r'bad\.csv, line 202, lineItem/UsageAmount: "lots" is no number'):
        build_features([bad], tmp_path / "spark.parquet", engine=spark)


def test_spark_reads_the_csv_files_that_duckdb_reads(spark: Engine, tmp_path: Path) -> None:
    rows = [line(hour, 1.5, resource_id="Região, 1", bill_invoice_id="\\N") for hour in range(3)]
    for number, form in enumerate([("utf-16", ","), ("latin-1", ","), ("utf-8", ";"), ("utf-8", "\t")]):
        bill = rewrite_csv(write_csv(tmp_path / f"{number}.csv", rows), *form)
        found = line_items(bill, spark)
        assert found == line_items(bill)
        assert {(row["resource_id"], row["has_invoice"]) for row in found} == {("Região, 1", False)}


@pytest.mark.slow
def test_spark_without_java_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    required_module("pyspark")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BadInputError, match=r"JAVA_HOME.* Java 17 or later"):
        open_engine("spark")


@pytest.mark.slow
def test_spark_with_a_java_home_that_has_none_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    required_module("pyspark")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(BadInputError, match=rf"no Java in JAVA_HOME, {tmp_path}"):
        open_engine("spark")
