"""Keeps scored rows in S3, a parquet file for each day: what drift is measured on, and the detector's memory."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.exceptions import ClientError

from anomaly_detector.feature_rows import KEYS, in_window
from anomaly_detector.hours import day_of, parse_hour

if TYPE_CHECKING:
    import numpy as np

    from anomaly_detector.window import Window


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
            new = in_window(rows, start, start + 24)
            old, etag = self._read(day)
            if old is not None:
                before, after = in_window(old, start, window.start), in_window(old, window.end, start + 24)
                new = pa.concat_tables([before, new, after], promote_options="default")
            if new.num_rows:
                self._write(day, new.sort_by([(name, "ascending") for name in KEYS]), etag)

    def between(self, start: int, end: int) -> pa.Table:
        """Read the scored rows of the hours [start, end); an empty table without columns where there are none."""
        days = [day_of(hour) for hour in range(start - start % 24, end, 24)]
        tables = [table for day in days if (table := self._read(day)[0]) is not None]
        if not tables:
            return pa.table({})
        return in_window(pa.concat_tables(tables, promote_options="default"), start, end)

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


def with_scores(
    features: pa.Table, is_anomaly: np.ndarray, anomaly_score: np.ndarray, p_value: np.ndarray | None, model_id: str
) -> pa.Table:
    """Join scores, and which model gave them, to the rows that they were asked for, by position.

    `p_value` is null where the model gives none, and `model_id` empty where it does not say.
    """
    columns = {
        "is_anomaly": pa.array(is_anomaly, pa.int8()),
        "anomaly_score": pa.array(anomaly_score, pa.float64()),
        "p_value": pa.nulls(len(features), pa.float64()) if p_value is None else pa.array(p_value, pa.float64()),
        "model_id": pa.array([model_id] * len(features), pa.string()),
    }
    for name, column in columns.items():
        features = features.append_column(name, column)
    return features


def anomalous(scored: pa.Table, max_p_value: float) -> pa.Table:
    """Keep the rows that carry more than was expected and are unusual to the model.

    That is by their p-value, or by the model's own threshold where it gives none.
    """
    if scored.num_rows == 0:
        return scored
    above = pc.greater(scored["usage_gb"], scored["expected_usage_gb"])
    is_unusual = pc.equal(scored["is_anomaly"], 1)
    if "p_value" in scored.column_names:
        is_unusual = pc.coalesce(pc.less_equal(scored["p_value"], max_p_value), is_unusual)
    return scored.filter(pc.and_(is_unusual, above))
