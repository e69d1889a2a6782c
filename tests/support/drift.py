"""Days of features with a weekly rhythm, and a model that was trained on them."""

import io
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from egress_sentinel.pipeline.training import train
from local_aws import DetectorResources, LocalAws, create_model

HANDLER = "drift_monitor.handler.lambda_handler"
SERIES = 30
FIRST = date(2026, 9, 7)  # a Monday
TRAINED_DAYS = 35
FEATURES = ("ratio", "excess", "novelty")


def day_table(day: date, seed: int | None = None) -> pa.Table:
    """Return a day without drift: half of the rows are zero, and weekends have half of the excess."""
    rng = np.random.default_rng(day.toordinal() if seed is None else seed)
    rows = SERIES * 24
    nonzero = rng.random(rows) < 0.5
    ratio = np.where(nonzero, np.abs(rng.normal(0, 0.3, rows)), 0)
    excess = np.where(nonzero, rng.gamma(2.0, 1.0 if day.weekday() < 5 else 0.5, rows), 0)
    novelty = np.where(nonzero & (rng.random(rows) < 0.1), rng.random(rows), 0)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    series = np.arange(rows) % SERIES
    columns = {
        "hour_utc": pa.array(
            [start + timedelta(hours=row // SERIES) for row in range(rows)], pa.timestamp("us", "UTC")
        ),
        "account_id": pa.array([f"{111111111111 + number % 3}" for number in series]),
        "region": pa.array([("us-east-1", "eu-west-1")[number % 2] for number in series]),
        "service": pa.array(["AmazonS3"] * rows),
        "egress_class": pa.array([("internet", "cross_az", "nat")[number % 3] for number in series]),
        "resource_id": pa.array([f"bucket-{number}" for number in series]),
    }
    values = dict(zip(FEATURES, (ratio, excess, novelty), strict=True))
    return pa.table(columns | {name: pa.array(column.astype(np.float32)) for name, column in values.items()})


def days(first: date, count: int) -> list[date]:
    return [first + timedelta(days=n) for n in range(count)]


def drift_model(folder: Path, trained_days: int = TRAINED_DAYS) -> Path:
    """Train on the days from FIRST on."""
    features = folder / f"features-{trained_days}.parquet"
    pq.write_table(pa.concat_tables([day_table(day) for day in days(FIRST, trained_days)]), features)
    train(features, folder / f"model-{trained_days}.tar.gz", hyperparameters={"n_estimators": "20"})
    return folder / f"model-{trained_days}.tar.gz"


def changed(table: pa.Table, name: str, values: np.ndarray) -> pa.Table:
    """Return a table with other values in a column."""
    return table.set_column(table.column_names.index(name), name, pa.array(values))


def body(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def monitor_environment(aws: LocalAws, resources: DetectorResources, model_tar: Path) -> dict[str, str]:
    """Make the model beside the detector's resources, and return the deployed function's environment variables."""
    create_model(aws, resources.bucket, model_tar, "egress-sentinel")
    return aws.environment() | {
        "BUCKET": resources.bucket,
        "ENDPOINT_NAME": "none",
        "MODEL_NAME": "egress-sentinel",
        "TOPIC_ARN": resources.topic_arn,
        "POWERTOOLS_SERVICE_NAME": "drift-monitor",
        "POWERTOOLS_METRICS_NAMESPACE": "EgressSentinel",
    }
