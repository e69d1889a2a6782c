"""Keeps scored rows in S3, a parquet file for each day: what drift is measured on, and the detector's memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from egress_alerts.rows import in_hours, sort_rows
from egress_alerts.series import day_of, parse_hour

if TYPE_CHECKING:
    from egress_alerts.series import Window


class ScoredRows:
    """`scored/day=YYYY-MM-DD/scores.parquet` in a bucket."""

    def __init__(self, s3: Any, bucket: str, prefix: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._prefix = prefix

    def replace(self, window: Window, rows: pa.Table) -> None:
        """Put the window's rows in the place of those that were there; other hours of a day stay.

        Raises
        ------
        ClientError
            PreconditionFailed where another invocation wrote the same day meanwhile; a retry mends it.
        """
        for day in window.days:
            start = parse_hour(f"{day}T00:00:00Z")
            new = in_hours(rows, start, start + 24)
            old, etag = self._read(day)
            if old is not None:
                before, after = in_hours(old, start, window.start), in_hours(old, window.end, start + 24)
                new = pa.concat_tables([before, new, after], promote_options="default")
            if new.num_rows:
                self._write(day, sort_rows(new), etag)

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
