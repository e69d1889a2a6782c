"""Writes processed_features.parquet from the tables of series and hours, day by day.

Memory holds the hours of all series that windows look back on, and a few days of rows. It does not grow with the hours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from egress_features.engines.base import ArrayEngine
from egress_features.feature_rows import FeatureDays, Series
from egress_features.queries import features_sql, list_usd_per_gb_sql
from egress_features.schema import FEATURES, KEYS, LABELS, MEASURES
from egress_features.windows import DAY, Numbers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from egress_features.engines.base import Engine

# Hours of series that are taken out of the tables at once, some 20 bytes each.
_CELLS = 4_000_000
_ROW_GROUP = 122_880
_FEATURES = [feature.name for feature in FEATURES]
_TEXTS = (*KEYS[1:], *LABELS, "usage_type", "operation")
_TYPES = (
    {"hour_utc": pa.timestamp("us", tz="UTC")}
    | dict.fromkeys(_TEXTS, pa.dictionary(pa.int32(), pa.string()))
    | dict.fromkeys(("is_provisional", "is_estimated", "is_complete", "is_daily"), pa.bool_())
    | dict.fromkeys(_FEATURES, pa.float32())
)
_NAMES = (*KEYS, *MEASURES, *LABELS, *_FEATURES)
_LINE_KINDS = """
CREATE OR REPLACE TABLE line_kinds AS
SELECT ROW_NUMBER() OVER (ORDER BY usage_type, operation) AS kind, usage_type, operation
FROM (SELECT DISTINCT usage_type, operation FROM series_hours) AS kinds
"""
_SERIES = f"""
SELECT group_number - 1 AS group_number, is_processing_fee, {", ".join((*KEYS[1:], *LABELS))},
  CAST({list_usd_per_gb_sql("egress_class")} AS DOUBLE) AS usd_per_gb,
  DATE_DIFF('hour', d.first_hour, first_hour_utc) AS first_hour,
  DATE_DIFF('hour', d.first_hour, LEAST(last_hour_utc, d.last_hour)) AS last_hour,
  COALESCE(DATE_DIFF('hour', d.first_hour, complete_until_utc), -1) AS complete_until,
  COALESCE(DATE_DIFF('hour', d.first_hour, estimated_from_utc + INTERVAL 1 HOUR - INTERVAL 1 MICROSECOND), d.hours)
    AS estimated_from
FROM series
CROSS JOIN (SELECT MIN(hour_utc) AS first_hour, MAX(hour_utc) AS last_hour, COUNT(*) AS hours FROM hours) AS d
ORDER BY series_id
"""
_LINES = """
SELECT h.n - {first} AS hour, x.series_id - 1 AS series, x.usage_gb, x.cost_usd, x.is_provisional, k.kind
FROM series_hours AS x
JOIN hours AS h ON h.hour_utc = x.hour_utc
JOIN line_kinds AS k ON k.usage_type = x.usage_type AND k.operation = x.operation
WHERE h.n >= {first} AND h.n < {first} + {hours}
"""


def write_features(engine: Engine, path: Path, metadata: Mapping[str, str]) -> None:
    """Write the rows of `sql/features.sql`, in its order: with numpy if the engine has arrays, else with the query.

    Parameters
    ----------
    engine : Engine
        With the tables `series`, `hours` and `series_hours`.
    path : Path
        The parquet file.
    metadata : mapping of str to str
        For the file.
    """
    if not isinstance(engine, ArrayEngine):
        engine.write_parquet(features_sql(), path, metadata)
        return
    engine.run(_LINE_KINDS)
    rows = _Rows(engine)
    days = FeatureDays(rows.series, is_daily=rows.is_daily)
    schema = pa.schema([(name, _TYPES.get(name, pa.float64())) for name in _NAMES])
    with pq.ParquetWriter(path, schema, compression="zstd", use_dictionary=list(_TEXTS), store_schema=False) as writer:
        writer.add_key_value_metadata(dict(metadata))
        pending: list[pa.RecordBatch] = []
        for lines in _days(engine, len(rows.series.group), rows.hours):
            pending.append(rows.of_day(lines, days.next_day(lines.usage_gb, lines.cost_usd), schema))
            if sum(batch.num_rows for batch in pending) >= _ROW_GROUP:
                writer.write_table(pa.Table.from_batches(pending), 2 * _ROW_GROUP)
                pending.clear()
        if pending:
            writer.write_table(pa.Table.from_batches(pending), 2 * _ROW_GROUP)


class _Lines(NamedTuple):
    """A day of line items, added up by hour and series: arrays of shape (24, series).

    `kind` is that of the hour's largest line, from 1. It is 0 without a line.
    """

    first_hour: int
    usage_gb: Numbers
    cost_usd: Numbers
    is_provisional: Numbers
    kind: Numbers


def _days(engine: ArrayEngine, series: int, hours: int) -> Iterator[_Lines]:
    """Yield every day of the data. The last one is filled up with zeros."""
    step = max(_CELLS // (series * DAY), 1) * DAY
    for first in range(0, hours, step):
        lines = engine.arrays(_LINES.format(first=first, hours=step))
        place = lines["hour"] * series + lines["series"]
        chunk = {}
        for name, dtype in (("usage_gb", float), ("cost_usd", float), ("is_provisional", bool), ("kind", np.int32)):
            chunk[name] = np.zeros((step, series), dtype)
            chunk[name].reshape(-1)[place] = lines[name]
        for hour in range(0, min(step, hours - first), DAY):
            yield _Lines(first + hour, **{name: values[hour : hour + DAY] for name, values in chunk.items()})


class _Rows:
    """The columns of the rows that are not computed: keys, labels and flags."""

    def __init__(self, engine: ArrayEngine) -> None:
        found = engine.arrays(_SERIES)
        self.series = Series(
            group=found["group_number"],
            usd_per_gb=found["usd_per_gb"],
            is_processing_fee=found["is_processing_fee"],
            first_hour=found["first_hour"],
            last_hour=found["last_hour"],
        )
        hours = engine.arrays(
            "SELECT CAST(MIN(hour_utc) AS TIMESTAMP) AS first_hour_utc, COUNT(*) AS hours, "
            "BOOL_OR(is_daily) AS is_daily FROM hours"
        )
        self.hours = int(hours["hours"][0])
        self.is_daily = bool(hours["is_daily"][0])
        self._first_hour_utc = hours["first_hour_utc"][0]
        self._complete_until, self._estimated_from = found["complete_until"], found["estimated_from"]
        self._texts = {name: _Texts.numbered(found[name]) for name in (*KEYS[1:], *LABELS)}
        kinds = engine.arrays("SELECT usage_type, operation FROM line_kinds ORDER BY kind")
        self._kinds = {name: _Texts.numbered(np.append("", texts)) for name, texts in kinds.items()}

    def of_day(self, lines: _Lines, numbers: Mapping[str, Numbers], schema: pa.Schema) -> pa.RecordBatch:
        """Return a day's rows, by hour and series."""
        n = lines.first_hour + np.arange(DAY)[:, None]
        has_row = (n >= self.series.first_hour) & (n <= self.series.last_hour)
        places = np.flatnonzero(has_row)

        def chosen(day: Numbers) -> NDArray[Any]:
            every = (day if day.shape == has_row.shape else np.broadcast_to(day, has_row.shape)).reshape(-1)
            return every if len(places) == has_row.size else every.take(places)

        columns: dict[str, Any] = {
            "hour_utc": chosen(self._first_hour_utc + n * np.timedelta64(1, "h")),
            **{name: text.of(chosen(text.number)) for name, text in self._texts.items()},
            **{name: text.of(chosen(text.number[lines.kind])) for name, text in self._kinds.items()},
            "is_provisional": chosen(lines.is_provisional),
            "is_estimated": chosen(n >= self._estimated_from),
            "is_complete": chosen(n <= self._complete_until),
            "is_daily": np.full(len(places), self.is_daily),
            **{name: chosen(values) for name, values in numbers.items()},
        }
        columns |= {name: columns[name].astype(np.float32) for name in _FEATURES}
        return pa.RecordBatch.from_arrays([_arrow(columns[field.name], field.type) for field in schema], schema=schema)


class _Texts(NamedTuple):
    """Distinct texts, and the number of each place's text among them."""

    number: NDArray[np.int32]
    distinct: pa.Array

    @classmethod
    def numbered(cls, texts: NDArray[Any]) -> _Texts:
        """Take the texts of all places."""
        distinct, number = np.unique(texts, return_inverse=True)
        encoded = [text.encode() for text in distinct]
        ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
        texts_in_arrow = pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))
        return cls(number.astype(np.int32), texts_in_arrow)

    def of(self, number: NDArray[np.int32]) -> pa.DictionaryArray:
        """Return the texts of the numbers."""
        return pa.DictionaryArray.from_arrays(_arrow(number, pa.int32()), self.distinct)


def _arrow(values: NDArray[Any] | pa.Array, kind: pa.DataType) -> pa.Array:
    """Return numbers, timestamps or flags as an Arrow array, without the import of pandas that `pa.array` makes."""
    if isinstance(values, pa.Array):
        return values
    bits = np.packbits(values, bitorder="little") if pa.types.is_boolean(kind) else np.ascontiguousarray(values)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(bits)])
