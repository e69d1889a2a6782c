"""Keeps scored rows in S3, in a parquet file for each day. The detector and the drift monitor read them."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from anomaly_detector.errors import ConflictError
from egress_alerts.rows import anomalous_rows, in_hours, replace_hours
from egress_alerts.series import day_of, parse_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from egress_alerts.policy import Policy
    from egress_alerts.series import Window

# A restatement reaches a month back.
LATER_DAYS = 35
_ABSENT = {"NoSuchKey", "404"}
# Another invocation wrote the object, or is writing it at this moment.
_CONFLICTS = {"PreconditionFailed", "ConditionalRequestConflict"}


class Stored(NamedTuple):
    """A day's stored rows and their ETag. Both are None for a day without rows."""

    rows: pa.Table | None
    etag: str | None


class ScoredRows:
    """`scored/day=YYYY-MM-DD/scores.parquet` in a bucket."""

    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix

    def read(self, days: Iterable[str]) -> dict[str, Stored]:
        """Read days. Pass the result to `write`, which does not replace a day that was written since."""
        return {day: self._read(day) for day in days}

    def write(self, window: Window, rows: pa.Table, stored: Mapping[str, Stored]) -> None:
        """Replace all rows of the window. Other hours of a day stay.

        Raises
        ------
        ConflictError
            Another invocation wrote one of the days since it was read.
        """
        for day in window.days:
            new = replace_hours(stored[day].rows, rows, window, day)
            if new.num_rows:
                self._write(day, new, stored[day].etag)

    def replace(self, window: Window, rows: pa.Table) -> None:
        """Do nothing: the invocation writes its rows before it decides on them."""

    def between(self, start: int, end: int) -> pa.Table:
        """Read the scored rows of the hours [start, end). Without rows the table has no columns."""
        days = [day_of(hour) for hour in range(start - start % 24, end, 24)]
        tables = [table for day in days if (table := self._read(day).rows) is not None]
        return _joined([in_hours(table, start, end) for table in tables])

    def since(self, window: Window, policy: Policy) -> pa.Table:
        """Read the window's rows and those rows of later hours that a decision needs.

        These are the anomalous rows, and the rows of each day's last hour. Later hours are those of up to `LATER_DAYS`
        days after the window.
        """
        last = window.end - window.end % 24 + LATER_DAYS * 24
        tables: list[pa.Table] = []
        for day in self._days(day_of(window.start)):
            start = parse_hour(f"{day}T00:00:00Z")
            table = self._read(day).rows if start <= last else None
            if table is not None:
                later = in_hours(table, max(window.end, start), start + 24)
                tables += [in_hours(table, window.start, window.end), anomalous_rows(later, policy), _last_hour(later)]
        return _joined([table for table in tables if table.num_rows])

    def _days(self, first: str) -> list[str]:
        """Return the days from `first` on that have scored rows, in order."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=f"{self._prefix}day=", StartAfter=f"{self._prefix}day={first}"
        )
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
        return sorted(key.removeprefix(f"{self._prefix}day=")[:10] for key in keys if key.endswith("/scores.parquet"))

    def _key(self, day: str) -> str:
        return f"{self._prefix}day={day}/scores.parquet"

    def _read(self, day: str) -> Stored:
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._key(day))
        except ClientError as error:
            if error.response["Error"]["Code"] in _ABSENT:
                return Stored(None, None)
            raise
        return Stored(pq.read_table(io.BytesIO(answer["Body"].read())), answer["ETag"])

    def _write(self, day: str, table: pa.Table, etag: str | None) -> None:
        body = io.BytesIO()
        pq.write_table(table, body, compression="zstd")
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        try:
            self._s3.put_object(Bucket=self._bucket, Key=self._key(day), Body=body.getvalue(), **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _CONFLICTS:
                raise
            raise ConflictError(f"another invocation wrote the scored rows of {day} at the same time") from error


def _last_hour(rows: pa.Table) -> pa.Table:
    """Return the rows of the last hour that are not anomalous: such a row ends an incident before it."""
    if rows.num_rows == 0:
        return rows
    is_normal = pc.less_equal(rows["usage_gb"], rows["expected_usage_gb"])
    return rows.filter(pc.and_(is_normal, pc.equal(rows["hour_utc"], pc.max(rows["hour_utc"]))))


def _joined(tables: list[pa.Table]) -> pa.Table:
    return pa.concat_tables(tables, promote_options="permissive") if tables else pa.table({})
