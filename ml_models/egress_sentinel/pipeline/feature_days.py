"""A file of features, a day at a time: memory holds the rows of one day."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_HOUR = "hour_utc"


def days_of(features: Path) -> list[str]:
    """Return the UTC days that a file of features has rows of, in order.

    Raises
    ------
    UserError
        It is no parquet file of features.
    """
    try:
        with pq.ParquetFile(features) as file:
            batches = [pc.unique(batch[_HOUR]) for batch in file.iter_batches(columns=[_HOUR])]
    except (OSError, pa.ArrowException, KeyError) as error:
        raise UserError(f"cannot read features from {features}: {error}") from error
    return sorted({f"{hour:%Y-%m-%d}" for hours in batches for hour in hours.to_pylist()})


def day_rows(features: Path, day: str, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the rows of a UTC day, with all columns or some."""
    start = datetime.combine(date.fromisoformat(day), time(), UTC)
    of_day = [(_HOUR, ">=", start), (_HOUR, "<", start + timedelta(days=1))]
    return pq.read_table(features, columns=None if columns is None else [*columns], filters=of_day, partitioning=None)
