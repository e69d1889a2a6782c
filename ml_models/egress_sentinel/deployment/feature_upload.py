"""Uploads features as the detector reads them: `features/day=YYYY-MM-DD/features.parquet`, a file for each day.

A file that is there already with the same content stays, so that the detector does not score its day again. Each day is
one upload: after an interruption the bucket has whole days, and the same command adds the others.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from egress_sentinel.pipeline.feature_days import day_rows, days_of
from egress_sentinel.pipeline.s3_errors import s3_errors_as_sentences

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

_HASH = "sha256"  # in the object's metadata


class Uploaded(NamedTuple):
    """Where the files lie, and the days: all of them, and those whose file was already there."""

    address: str
    days: int
    unchanged: int


def upload_days(
    s3: Any, bucket: str, features: Path, track: Callable[[str, list[str]], Iterable[str]] = lambda _, days: days
) -> Uploaded:
    """Write a file of features into a bucket, a day after the other.

    Parameters
    ----------
    s3 : S3 client
    bucket : str
        A deployment's.
    features : Path
        A processed_features.parquet. Memory holds the rows of one day.
    track : callable
        Iterates over the days and shows how far it is.

    Raises
    ------
    UserError
        S3 refuses. The days before are uploaded.
    """
    days, unchanged = days_of(features), 0
    for day in track("upload", days):
        body = _day_file(features, day)
        key = f"features/day={day}/features.parquet"
        digest = hashlib.sha256(body).hexdigest()
        with s3_errors_as_sentences(f"s3://{bucket}/{key}"):
            if _stored_hash(s3, bucket, key) == digest:
                unchanged += 1
            else:
                s3.put_object(Bucket=bucket, Key=key, Body=body, Metadata={_HASH: digest})
    return Uploaded(f"s3://{bucket}/features/", len(days), unchanged)


def _day_file(features: Path, day: str) -> bytes:
    body = io.BytesIO()
    pq.write_table(day_rows(features, day), body, compression="zstd")
    return body.getvalue()


def _stored_hash(s3: Any, bucket: str, key: str) -> str:
    """Return the hash of an object's content; "" where there is no object, or another program wrote it."""
    try:
        return str(s3.head_object(Bucket=bucket, Key=key)["Metadata"].get(_HASH, ""))
    except ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        return ""
