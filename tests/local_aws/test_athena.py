"""The pipeline as Athena runs it, on the local Athena."""

import io
import re
import time
from collections.abc import Iterator
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from egress_features import build_features
from egress_features.engines.athena import DAYS, MONTHS, RUN, TAGS, statements
from egress_features.sources.labels import WANTED_TAGS
from egress_sentinel.demo import write_demo_bill
from local_aws import LocalAws
from tests.support.exports import write_as

pytestmark = pytest.mark.integration

BUCKET = "bills"
COLUMNS = {
    "line_item_usage_start_date": "timestamp",
    "line_item_usage_end_date": "timestamp",
    **dict.fromkeys(
        [
            "bill_invoice_id",
            "line_item_currency_code",
            "line_item_line_item_type",
            "line_item_operation",
            "line_item_product_code",
            "line_item_resource_id",
            "line_item_usage_account_id",
            "line_item_usage_account_name",
            "line_item_usage_type",
            "product_product_family",
            "product_region_code",
        ],
        "string",
    ),
    "cost_category": "map<string,string>",
    "resource_tags": "map<string,string>",
    "line_item_net_unblended_cost": "double",
    "line_item_unblended_cost": "double",
    "line_item_usage_amount": "double",
}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("bill")
    return [
        write_as(path, "CUR 2.0", folder / "cur2" / str(number) / "part.parquet")
        for number, path in enumerate(write_demo_bill(folder).files)
    ]


@pytest.fixture(scope="module")
def aws(exports: list[Path]) -> Iterator[LocalAws]:
    with LocalAws() as aws:
        aws.client("s3").create_bucket(Bucket=BUCKET)
        for path in exports:
            period = f"{pq.read_table(path, columns=['line_item_usage_start_date'])[0][0].as_py():%Y-%m}"
            aws.client("s3").upload_file(str(path), BUCKET, f"exports/data/BILLING_PERIOD={period}/{path.name}")
        aws.client("athena").create_work_group(
            Name="w", Configuration={"ResultConfiguration": {"OutputLocation": f"s3://{BUCKET}/athena/"}}
        )
        glue = aws.client("glue")
        glue.create_database(DatabaseInput={"Name": "d"})
        template = f"s3://{BUCKET}/exports/data/BILLING_PERIOD=${{billing_period}}/"
        table = {
            "Name": "cur_2_0",
            "Parameters": {"storage.location.template": template},
            "StorageDescriptor": {
                "Location": f"s3://{BUCKET}/exports/data/",
                "Columns": [{"Name": name, "Type": kind} for name, kind in COLUMNS.items()],
            },
            "PartitionKeys": [{"Name": "billing_period", "Type": "string"}],
        }
        glue.create_table(DatabaseName="d", TableInput=table)
        yield aws


def ask(aws: LocalAws, sql: str) -> dict[str, Any]:
    athena = aws.client("athena")
    started = athena.start_query_execution(QueryString=sql, WorkGroup="w", QueryExecutionContext={"Database": "d"})
    deadline = time.monotonic() + 120
    while True:
        found: dict[str, Any] = athena.get_query_execution(**{k: started[k] for k in ["QueryExecutionId"]})
        if found["QueryExecution"]["Status"]["State"] != "RUNNING":
            return found["QueryExecution"]  # type: ignore[no-any-return]
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
def test_the_rendered_pipeline_makes_the_features_that_duckdb_makes(
    aws: LocalAws, exports: list[Path], tmp_path: Path
) -> None:
    last: dict[str, Any] = {}
    values = {RUN: "abc", MONTHS: "600", DAYS: "40", TAGS: "', '".join(WANTED_TAGS)}
    for sql in statements().values():
        for name, value in values.items():
            sql = sql.replace(name, value)
        last = ask(aws, sql)
        assert last["Status"]["State"] == "SUCCEEDED", last["Status"]
    s3 = aws.client("s3")
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"athena/tables/{last['QueryExecutionId']}/")["Contents"]
    days = [entry["Key"].split("/")[-2] for entry in found]
    assert len(days) == len(set(days)) == 40
    parts = [pq.read_table(io.BytesIO(s3.get_object(Bucket=BUCKET, Key=e["Key"])["Body"].read())) for e in found]
    build_features(exports, tmp_path / "features.parquet")
    assert_same(pa.concat_tables(parts), pq.read_table(tmp_path / "features.parquet"), days[0].removeprefix("day="))


def assert_same(found: pa.Table, expected: pa.Table, first_day: str) -> None:
    assert found.column_names == expected.column_names
    keys = [
        (name, "ascending") for name in ("hour_utc", "account_id", "region", "service", "egress_class", "resource_id")
    ]
    start = pa.scalar(first_day).cast(pa.timestamp("us")).as_py().replace(tzinfo=UTC)
    expected = expected.filter(pc.greater_equal(expected["hour_utc"], pa.scalar(start))).sort_by(keys)
    found = found.sort_by(keys)
    assert found.num_rows == expected.num_rows
    for name in expected.column_names:
        if pa.types.is_floating(expected[name].type):
            assert found[name].type == expected[name].type, name
            np.testing.assert_allclose(
                found[name].to_numpy(), expected[name].to_numpy(), rtol=0, atol=1e-9, err_msg=name
            )
        else:
            assert found[name].cast(expected[name].type).equals(expected[name]), name


def test_select_and_what_is_refused(aws: LocalAws) -> None:
    done = ask(aws, "SELECT COUNT(*) AS n, MAX(billing_period) AS last FROM cur_2_0 WHERE billing_period >= '2026-09'")
    assert done["Status"]["State"] == "SUCCEEDED", done["Status"]
    rows = aws.client("athena").get_query_results(QueryExecutionId=done["QueryExecutionId"])["ResultSet"]["Rows"]
    assert [cell["VarCharValue"] for cell in rows[0]["Data"]] == ["n", "last"]
    assert int(rows[1]["Data"][0]["VarCharValue"]) > 1000
    for sql, reason in (
        ("CREATE TABLE cur_2_0 AS SELECT 1 AS n", "already exists"),
        ("SELECT * FROM nowhere", "nowhere"),
        ("SELECT LIST_SUM(1) FROM cur_2_0", "(?i)list_sum"),
        ("MSCK REPAIR TABLE cur_2_0", "supports only SELECT"),
    ):
        done = ask(aws, sql)
        assert done["Status"]["State"] == "FAILED"
        assert re.search(reason, done["Status"]["StateChangeReason"])


def test_functions_answer_as_trinos_do(aws: LocalAws) -> None:
    sql = (
        "SELECT SPLIT_PART('a b', ' ', 2) AS part, SPLIT_PART('a b', ' ', 3) AS no_part, "
        "REGEXP_EXTRACT('nat-0a', 'nat-(\\w+)', 1) AS found, REGEXP_EXTRACT('elb', 'nat-\\w+') AS not_found, "
        "GREATEST(1, CAST(NULL AS INTEGER)) AS greatest"
    )
    execution = ask(aws, sql)
    rows = aws.client("athena").get_query_results(QueryExecutionId=execution["QueryExecutionId"])["ResultSet"]["Rows"]
    assert [cell.get("VarCharValue") for cell in rows[1]["Data"]] == ["b", None, "0a", None, None]


@pytest.mark.parametrize(
    ("select", "reason"),
    [
        ("SELECT CURRENT_TIMESTAMP AS now", "Unsupported Hive type: timestamp with time zone of column now"),
        ("SELECT NULL AS nothing", "Unsupported Hive type"),
        ("SELECT INTERVAL '1' HOUR AS span", "Unsupported Hive type: interval of column span"),
        (
            "SELECT 1 AS one, CAST(n AS VARCHAR) AS day FROM UNNEST(SEQUENCE(1, 101)) AS t(n)",
            "Exceeded limit of 100 open writers for partitions",
        ),
    ],
)
def test_a_table_that_athena_refuses_is_refused(aws: LocalAws, select: str, reason: str) -> None:
    by = "WITH (format = 'PARQUET', partitioned_by = ARRAY['day']) " if "AS day" in select else ""
    execution = ask(aws, f"CREATE TABLE refused {by}AS {select}")
    assert execution["Status"]["State"] == "FAILED"
    assert reason in execution["Status"]["StateChangeReason"]
