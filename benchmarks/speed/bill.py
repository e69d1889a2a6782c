"""A made-up Cost and Usage Report of any size, which DuckDB writes straight to monthly parquet files.

Its proportions are those of a real bill (of 243,647 lines of two months, 10 % are billed egress, in 32 % of the series'
hours, and there are 0.3 series' hours for each line): each resource has ten lines an hour, of which two are data
transfer that comes and goes. Amounts have ten decimals at most, as AWS's have, and follow day and week.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import duckdb

if TYPE_CHECKING:
    from pathlib import Path

MONTHS = 6
START = datetime(2026, 1, 1, tzinfo=UTC)
LINES_PER_RESOURCE_HOUR = 9
ACCOUNTS = 20
# Usage type, product, operation, dollars a unit, share of the hours in which there is a line.
KINDS = (
    ("BoxUsage:m5.large", "AmazonEC2", "RunInstances", 0.096, 1.0),
    ("EBS:VolumeUsage.gp3", "AmazonEC2", "CreateVolume-Gp3", 0.08, 1.0),
    ("EBS:VolumeUsage.gp2", "AmazonEC2", "CreateVolume-Gp2", 0.1, 1.0),
    ("EBS:SnapshotUsage", "AmazonEC2", "CreateSnapshot", 0.05, 1.0),
    ("DataTransfer-In-Bytes", "AmazonEC2", "RunInstances", 0.0, 1.0),
    ("AWS-In-Bytes", "AmazonEC2", "PublicIP-In", 0.0, 1.0),
    ("CW:MetricMonitorUsage", "AmazonCloudWatch", "MetricStorage", 0.3, 1.0),
    ("Requests-Tier2", "AmazonS3", "GetObject", 0.0000004, 1.0),
    ("DataTransfer-Out-Bytes", "AmazonEC2", "RunInstances", 0.09, 0.5),
    ("DataTransfer-Regional-Bytes", "AmazonEC2", "InterZone-Out", 0.01, 0.5),
)
REGIONS = (("", "us-east-1"), ("USW2-", "us-west-2"), ("EU-", "eu-west-1"), ("EUC1-", "eu-central-1"))


def write_bill(folder: Path, lines: int, threads: int = 2) -> list[Path]:
    """Write about as many line items as asked for, six months of them, one file for each month.

    Parameters
    ----------
    folder : Path
        Is made.
    lines : int
        At least 40,000: one resource has about 39,000 in six months.
    threads : int
        Cores that DuckDB may use.

    Returns
    -------
    list of Path
        The files, by month.
    """
    folder.mkdir(parents=True)
    first, last = START, START.replace(month=START.month + MONTHS)
    hours = int((last - first).total_seconds()) // 3600
    resources = max(round(lines / hours / LINES_PER_RESOURCE_HOUR), 1)
    paths = []
    with duckdb.connect(config={"threads": threads, "preserve_insertion_order": False}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        _make_tables(connection, resources)
        for month in range(START.month, START.month + MONTHS):
            begin = START.replace(month=month)
            paths.append(folder / f"bill-{begin:%Y-%m}.snappy.parquet")
            connection.execute(_month_sql(begin, START.replace(month=month + 1), paths[-1]))
    return paths


def _make_tables(connection: duckdb.DuckDBPyConnection, resources: int) -> None:
    kinds = ", ".join(f"({number}, {kind})" for number, kind in enumerate(map(_values, KINDS)))
    regions = ", ".join(f"({number}, {region})" for number, region in enumerate(map(_values, REGIONS)))
    connection.execute(
        f"CREATE TABLE kinds AS FROM (VALUES {kinds}) AS k (kind, usage_type, product, operation, price, share)"
    )
    connection.execute(f"CREATE TABLE regions AS FROM (VALUES {regions}) AS r (number, prefix, region)")
    connection.execute(
        f"""
        CREATE TABLE resources AS
        SELECT i, 'i-' || MD5('resource' || i)[:17] AS resource_id, prefix, region,
          CAST(210000000000 + i % {ACCOUNTS} AS VARCHAR) AS account_id, EXP(HASH(i) % 1000 / 200) AS size
        FROM RANGE({resources}) AS t (i) JOIN regions ON number = HASH(i * 7 + 1) % {len(REGIONS)}
        """
    )


def _month_sql(begin: datetime, end: datetime, path: Path) -> str:
    return f"""
    COPY (
      WITH line AS (
        SELECT r.*, k.*, hour_utc, HASH(r.i, k.kind, hour_utc) AS random, DATE_PART('hour', hour_utc) AS clock
        FROM RANGE(TIMESTAMP '{begin:%Y-%m-%d}', TIMESTAMP '{end:%Y-%m-%d}', INTERVAL 1 HOUR) AS t (hour_utc)
        CROSS JOIN resources AS r CROSS JOIN kinds AS k
        WHERE k.share >= 1 OR HASH(hour_utc, r.i + 1, k.kind) % 1000 < k.share * 1000
      ),
      amounts AS (
        SELECT *, ROUND(size * (1 + 0.5 * SIN(clock * 0.2618)) * (0.7 + random % 1000 / 1667), 10) AS amount FROM line
      )
      SELECT
        LPAD(CAST(random AS VARCHAR), 20, '0') || MD5(CAST(random AS VARCHAR)) AS identity_line_item_id,
        STRFTIME(hour_utc, '%Y-%m-%dT%H:%M:%SZ/') || STRFTIME(hour_utc + INTERVAL 1 HOUR, '%Y-%m-%dT%H:%M:%SZ')
          AS identity_time_interval,
        '{begin:%Y%m}' AS bill_invoice_id, '999999999999' AS bill_payer_account_id,
        TIMESTAMPTZ '{begin:%Y-%m-%d} 00:00:00Z' AS bill_billing_period_start_date,
        account_id AS line_item_usage_account_id, 'Usage' AS line_item_line_item_type,
        hour_utc::TIMESTAMPTZ AS line_item_usage_start_date,
        (hour_utc + INTERVAL 1 HOUR)::TIMESTAMPTZ AS line_item_usage_end_date,
        product AS line_item_product_code, prefix || usage_type AS line_item_usage_type,
        operation AS line_item_operation, resource_id AS line_item_resource_id,
        amount AS line_item_usage_amount, 'USD' AS line_item_currency_code,
        ROUND(amount * price, 10) AS line_item_unblended_cost, region AS product_region
      FROM amounts
    ) TO '{path}' (FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 500000)
    """


def _values(row: tuple[str | float, ...]) -> str:
    return ", ".join(f"'{value}'" if isinstance(value, str) else str(value) for value in row)
