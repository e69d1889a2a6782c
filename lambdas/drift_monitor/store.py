"""Reads the monitor's input from S3 and writes its files there."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from drift_monitor.capture import day_of_records
from drift_monitor.scored import day_of_table

if TYPE_CHECKING:
    from drift_monitor.day import Day
    from drift_monitor.reference import Reference


def read_captured(s3: Any, bucket: str, prefix: str, day: str, reference: Reference) -> Day | None:
    """Read the records of a day or an hour below `PREFIXYYYY/MM/DD/HH/`. None if there are none.

    Raises
    ------
    CaptureError
        No record of the day has both rows and scores.
    """
    folder = f"{prefix}{day.replace('-', '/').replace('T', '/')}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=folder)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", []) if entry["Key"].endswith(".jsonl")]
    lines = (
        line
        for key in keys
        for line in s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode("utf-8").splitlines()
        if line.strip()
    )
    return day_of_records(day, lines, reference)


def read_scored(s3: Any, bucket: str, prefix: str, day: str, reference: Reference) -> Day | None:
    """Read `PREFIXday=YYYY-MM-DD/scores.parquet`. None if it does not exist."""
    body = read_file(s3, bucket, f"{prefix}day={day}/scores.parquet")
    return None if body is None else day_of_table(day, pq.read_table(io.BytesIO(body)), reference)


def read_file(s3: Any, bucket: str, key: str) -> bytes | None:
    """Read an object. None if it does not exist."""
    try:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise


def write_files(s3: Any, bucket: str, folder: str, files: dict[str, bytes]) -> None:
    """Write JSON files below `folder`, which ends with a slash."""
    for name, body in files.items():
        s3.put_object(Bucket=bucket, Key=f"{folder}{name}", Body=body, ContentType="application/json")
