"""Adds the scores of a history to the detector's scored rows, `scored/day=YYYY-MM-DD/scores.parquet`.

It raises no alerts. Hours that the detector has scored are not changed, since alerts refer to them. Only missing hours
are added.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from egress_features import KEYS
from egress_sentinel.deployment.batch import OUTPUT
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PREFIX = "scored/"
HOUR = "hour_utc"


class Backfilled(NamedTuple):
    """The number of added rows, of days with new rows, and of hours that were skipped because they had scores."""

    rows: int
    days: int
    hours_kept: int


def model_id_of(s3: Any, bucket: str, result: Path) -> str:
    """Return the id of the model of a batch result in a bucket. Empty if its metadata has none."""
    head = s3.head_object(Bucket=bucket, Key=f"{OUTPUT}{result.name}")
    return str(head["Metadata"].get("model-id", ""))


def scored_history(features: Path, result: Path, model_id: str) -> pa.Table:
    """Join a batch result to its features, line by line.

    Parameters
    ----------
    features : Path
        A processed_features.parquet.
    result : Path
        The CSV result of batch scoring.
    model_id : str
        The id of the model.

    Returns
    -------
    pa.Table
        Scored rows in the detector's form: the features with `is_anomaly` (int8), `anomaly_score` (float64),
        `p_value` (float64, always null because a batch result has none) and `model_id`, sorted by the keys.

    Raises
    ------
    UserError
        The file has no features, or the result does not match them.
    """
    try:
        table = pq.read_table(features, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(
            f"{features} is not a parquet file of features ({error}); give the processed_features.parquet of the batch"
        ) from error
    missing = [name for name in KEYS if name not in table.column_names]
    if missing:
        raise UserError(f"{features} has no column {missing[0]}; scored rows require an hour and a series")
    types = {"is_anomaly": pa.int8(), "anomaly_score": pa.float64()}
    options = pa_csv.ConvertOptions(include_columns=list(types), column_types=types)
    scores = pa_csv.read_csv(result, convert_options=options)
    if scores.num_rows != table.num_rows:
        raise UserError(f"{result} has {scores.num_rows:,} lines for {table.num_rows:,} rows of {features}")
    for name in types:
        table = table.append_column(name, scores[name])
    table = table.append_column("p_value", pa.nulls(table.num_rows, pa.float64()))
    table = table.append_column("model_id", pa.array([model_id] * table.num_rows, pa.string()))
    return table.sort_by([(name, "ascending") for name in KEYS])


def add_to_bucket(s3: Any, bucket: str, history: pa.Table) -> Backfilled:
    """Add scored rows to the files of their days.

    Parameters
    ----------
    s3 : s3 client
    bucket : str
        The deployment's bucket.
    history : pa.Table
        The result of `scored_history`.

    Raises
    ------
    ClientError
        PreconditionFailed if the detector wrote the same day at the same time. A retry is safe.
    """
    rows = days = kept = 0
    for day, new in _by_day(history):
        key = f"{PREFIX}day={day}/scores.parquet"
        old, etag = _read(s3, bucket, key)
        if old is not None:
            known = pc.is_in(new[HOUR], pc.unique(old[HOUR].cast(new.schema.field(HOUR).type)))
            kept += len(pc.unique(new[HOUR].filter(known)))
            new = new.filter(pc.invert(known))
        if new.num_rows == 0:
            continue
        both = new if old is None else pa.concat_tables([old, new], promote_options="permissive")
        body = io.BytesIO()
        pq.write_table(both.sort_by([(name, "ascending") for name in KEYS]), body, compression="zstd")
        condition = {"IfNoneMatch": "*"} if etag is None else {"IfMatch": etag}
        s3.put_object(Bucket=bucket, Key=key, Body=body.getvalue(), **condition)
        rows, days = rows + new.num_rows, days + 1
    return Backfilled(rows, days, kept)


def _by_day(history: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    # The rows are sorted by hour, so a day is a slice.
    days = pc.value_counts(pc.strftime(history[HOUR], format="%Y-%m-%d"))
    start = 0
    for day, rows in sorted(zip(days.field("values").to_pylist(), days.field("counts").to_pylist(), strict=True)):
        yield day, history.slice(start, rows)
        start += rows


def _read(s3: Any, bucket: str, key: str) -> tuple[pa.Table | None, str | None]:
    try:
        answer = s3.get_object(Bucket=bucket, Key=key)
    except s3.exceptions.NoSuchKey:
        return None, None
    return pq.read_table(io.BytesIO(answer["Body"].read())), answer["ETag"]
