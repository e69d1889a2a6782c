"""Keeps scored rows in S3, a parquet file for each day: what drift is measured on, and the detector's memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from egress_alerts.rows import in_hours, replace_hours
from egress_alerts.series import day_of

if TYPE_CHECKING:
    from egress_alerts.series import Window


class ScoredRows:
    """`scored/day=YYYY-MM-DD/scores.parquet` in a bucket."""

    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix

    def replace(self, window: Window, rows: pa.Table) -> None:
        """Replace all rows of the window; other hours of a day stay.

        Raises
        ------
        ClientError
            PreconditionFailed where another invocation wrote the same day meanwhile; a retry fixes it.
        """
        for day in window.days:
            old, etag = self._read(day)
            new = replace_hours(old, rows, window, day)
            if new.num_rows:
                self._write(day, new, etag)

    def between(self, start: int, end: int) -> pa.Table:
        """Read the scored rows of the hours [start, end); an empty table without columns where there are none."""
        days = [day_of(hour) for hour in range(start - start % 24, end, 24)]
        tables = [table for day in days if (table := self._read(day)[0]) is not None]
        if not tables:
            return pa.table({})
        return in_hours(pa.concat_tables(tables, promote_options="default"), start, end)

    def _key(self, day: str) -> str:
        return f"{self._prefix}day={day}/scores.parquet"

    def _read(self, day: str) -> tuple[pa.Table | None, str | None]:
        try:
            answer = self._s3.get_object(Bucket=self._bucket, Key=self._key(day))
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return None, None
            raise
        return pq.read_table(io.BytesIO(answer["Body"].read())), answer["ETag"]

    def _write(self, day: str, table: pa.Table, etag: str | None) -> None:
        body = io.BytesIO()
        pq.write_table(table, body, compression="zstd")
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        self._s3.put_object(Bucket=self._bucket, Key=self._key(day), Body=body.getvalue(), **condition)
