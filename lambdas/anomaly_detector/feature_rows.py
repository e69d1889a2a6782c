"""Reads the feature files of a window of hours from S3."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from egress_alerts import rows
from egress_alerts.rows import KEYS, MEASURES, in_hours, sort_rows

if TYPE_CHECKING:
    from egress_alerts.series import Window


class FeatureError(ValueError):
    """Feature files that are missing or not of the schema."""


def read_features(s3: Any, bucket: str, prefix: str, window: Window) -> pa.Table:
    """Read the window's rows, sorted by hour and series; of a row that stands in two files the newer file's wins.

    Returns
    -------
    pa.Table
        KEYS, MEASURES and the feature columns; no rows where there are no files.

    Raises
    ------
    FeatureError
        A file without one of the key or measure columns.
    """
    objects = [entry for day in window.days for entry in _objects(s3, bucket, f"{prefix}day={day}/")]
    objects.sort(key=lambda entry: (entry["LastModified"], entry["Key"]))
    tables = [_read(s3, bucket, entry["Key"]) for entry in objects]
    if not tables:
        return pa.table({})
    table = in_hours(pa.concat_tables(tables, promote_options="default"), window.start, window.end)
    if len(tables) > 1:
        table = _latest(table)
    return sort_rows(table)


def feature_descriptions(table: pa.Table) -> dict[str, str]:
    """Return what each feature means, from the file's metadata; Athena writes none, and then from the zip."""
    described = rows.feature_descriptions(table)
    return _packaged_descriptions() if described is None else described


def _packaged_descriptions() -> dict[str, str]:
    path = Path(__file__).with_name("feature_descriptions.json")
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _objects(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry for page in pages for entry in page.get("Contents", []) if entry["Key"].endswith(".parquet")]


def _read(s3: Any, bucket: str, key: str) -> pa.Table:
    table = pq.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    missing = [name for name in (*KEYS, *MEASURES) if name not in table.column_names]
    if missing:
        raise FeatureError(f"s3://{bucket}/{key} has no column {missing[0]}; make the features anew")
    # Athena writes moments without a time zone; all are UTC.
    hours = pc.cast(table["hour_utc"], pa.timestamp("us", tz="UTC"))
    return table.set_column(table.column_names.index("hour_utc"), "hour_utc", hours)


def _latest(table: pa.Table) -> pa.Table:
    keys = zip(*(table[name].to_pylist() for name in KEYS), strict=True)
    last = {key: row for row, key in enumerate(keys)}
    return table.take(pa.array(sorted(last.values()), pa.int64()))
