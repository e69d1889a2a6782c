"""Puts the scores of a whole history where the detector keeps its own: `scored/day=YYYY-MM-DD/scores.parquet`.

Nobody is alerted. What the detector has scored stays as it is, since its alerts refer to it: hours that a day's file
has are left alone, and only the others are added.
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
    """What was written: rows added, days with new rows, and hours left alone because they were scored before."""

    rows: int
    days: int
    hours_kept: int


def model_id_of(s3: Any, bucket: str, result: Path) -> str:
    """Return which model a batch's result in a bucket comes from; empty where it does not say."""
    head = s3.head_object(Bucket=bucket, Key=f"{OUTPUT}{result.name}")
    return str(head["Metadata"].get("model-id", ""))


def scored_history(features: Path, result: Path, model_id: str) -> pa.Table:
    """Join the result of a batch to the features that it was made of, by line.

    Parameters
    ----------
    features : Path
        A processed_features.parquet.
    result : Path
        The CSV that batch scoring made of it.
    model_id : str
        Of the model that scored.

    Returns
    -------
    pa.Table
        As the detector writes scored rows: the features with `is_anomaly` (int8), `anomaly_score` (float64),
        `p_value` (float64, null: a batch's output does not say it) and `model_id`, sorted by the keys.

    Raises
    ------
    UserError
        The features are no such file, or the result does not belong to them.
    """
    try:
        table = pq.read_table(features, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise UserError(
            f"{features} is no parquet file of features ({error}); only those have hours to fill in"
        ) from error
    missing = [name for name in KEYS if name not in table.column_names]
    if missing:
        raise UserError(f"{features} has no column {missing[0]}: rows without an hour and a series are no scored rows")
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
    """Write scored rows by day, beside those that are there.

    Parameters
    ----------
    s3 : s3 client
    bucket : str
        A deployment's.
    history : pa.Table
        As `scored_history` gives it.

    Raises
    ------
    ClientError
        PreconditionFailed where the detector wrote the same day meanwhile; doing it again is harmless.
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
    # The rows are sorted by hour, so that a day is a slice.
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
