"""Reads the feature files of a window of hours from S3. A file that cannot be read does not stop the others."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from egress_alerts import rows
from egress_alerts.rows import KEYS, LABELS, MEASURES, in_hours, sort_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from egress_alerts.series import Window

_TEXTS = {"usage_type", "operation"}
_FLAGS = {"is_provisional", "is_estimated", "is_complete", "is_daily"}
_KEY_TYPES = {"hour_utc": pa.timestamp("us", tz="UTC")}
_MEASURE_TYPES = dict.fromkeys(_TEXTS, pa.string()) | dict.fromkeys(_FLAGS, pa.bool_())


class FeatureError(ValueError):
    """Feature files that are missing or cannot be used."""


@dataclass
class Features:
    """The rows of a window, sorted by hour and series, each with the number of the file that it comes from.

    `faults` maps the address of a file that cannot be used to the reason. `faulty_days` are the days of these files.
    """

    table: pa.Table
    files: Sequence[tuple[str, str]] = ()
    sources: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    faults: dict[str, str] = field(default_factory=dict)
    faulty_days: set[str] = field(default_factory=set)

    def of_file(self, number: int) -> pa.Table:
        """Return the rows that come from one file."""
        return self.table.filter(pa.array(self.sources == number))

    def add_fault(self, address: str, day: str, reason: str) -> None:
        """Note that a file cannot be used."""
        self.faults[address] = reason
        self.faulty_days.add(day)


def read_features(s3: Any, bucket: str, prefix: str, window: Window) -> Features:
    """Read the window's rows. If two files have the same row, the newer file's counts.

    Returns
    -------
    Features
        KEYS, MEASURES, LABELS if a file has them, and the feature columns. Without files there are no rows.
    """
    objects = [(entry, day) for day in window.days for entry in _objects(s3, bucket, f"{prefix}day={day}/")]
    objects.sort(key=lambda found: (found[0]["LastModified"], found[0]["Key"]))
    features = Features(pa.table({}))
    read: list[tuple[tuple[str, str], pa.Table]] = []
    for entry, day in objects:
        address = f"s3://{bucket}/{entry['Key']}"
        body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
        try:
            read.append(((address, day), in_hours(_of_day(_checked(body), day), window.start, window.end)))
        except (FeatureError, pa.ArrowException) as error:
            features.add_fault(address, day, str(error))
    if read:
        features.files = [file for file, _ in read]
        features.table, features.sources = _joined([table for _, table in read])
    return features


def feature_descriptions(table: pa.Table) -> dict[str, str]:
    """Return the description of each feature from the file's metadata, or from the zip for files of Athena."""
    described = rows.feature_descriptions(table)
    return _packaged_descriptions() if described is None else described


def _packaged_descriptions() -> dict[str, str]:
    path = Path(__file__).with_name("feature_descriptions.json")
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def _objects(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry for page in pages for entry in page.get("Contents", []) if entry["Key"].endswith(".parquet")]


def _checked(body: bytes) -> pa.Table:
    """Return a file's rows with every key and measure in the expected type.

    Raises
    ------
    FeatureError, pa.ArrowException
        The file is no parquet file, or lacks a column or a value.
    """
    if not body:
        raise FeatureError("the file is empty")
    try:
        table = pq.read_table(io.BytesIO(body))
    except OSError as error:  # pyarrow raises it for a truncated or damaged file
        raise FeatureError(f"the file cannot be read as parquet: {error}") from error
    missing = [name for name in (*KEYS, *MEASURES) if name not in table.column_names]
    if missing:
        raise FeatureError(f"the file has no column {missing[0]}")
    columns = {name: _column(table, name) for name in (*KEYS, *MEASURES)}
    # Files of earlier versions have no labels.
    columns |= {name: pc.cast(table[name], pa.string()) for name in LABELS if name in table.column_names}
    # All other columns of floats are features. Athena writes some of them as doubles.
    features = [f.name for f in table.schema if f.name not in columns and pa.types.is_floating(f.type)]
    columns |= {name: table[name] for name in features}
    checked = pa.table(columns, metadata=table.schema.metadata)
    checked.validate(full=True)
    return checked


def _of_day(table: pa.Table, day: str) -> pa.Table:
    """Return a file's rows, after a check that all of them are of the day in its folder's name.

    Raises
    ------
    FeatureError
        A row is of another day. It would never be scored: the detector reads only the day of a folder.
    """
    hours = pc.min_max(table["hour_utc"]).as_py()
    others = sorted({f"{hour:%Y-%m-%d}" for hour in hours.values() if hour is not None} - {day})
    if others:
        raise FeatureError(
            f"the file has rows of {others[0]} and is in the folder of {day}; write a file for each day, as "
            "`egress-sentinel features --bucket` does"
        )
    return table


def _column(table: pa.Table, name: str) -> pa.ChunkedArray:
    # Athena writes timestamps without a time zone. All are UTC.
    kind = _KEY_TYPES.get(name, pa.string()) if name in KEYS else _MEASURE_TYPES.get(name, pa.float64())
    column = pc.cast(table[name], kind)
    is_bad = pc.invert(pc.is_finite(column)) if pa.types.is_floating(kind) else pc.is_null(column)
    if (name in KEYS and column.null_count) or pc.any(is_bad).as_py():
        raise FeatureError(f"the column {name} has an empty or infinite value")
    return column


def _joined(tables: list[pa.Table]) -> tuple[pa.Table, np.ndarray]:
    """Return the rows of all files, and for each row the number of its file."""
    table = pa.concat_tables(tables, promote_options="permissive")
    sources = np.repeat(np.arange(len(tables)), [each.num_rows for each in tables])
    kept = _latest(table) if len(tables) > 1 else np.arange(len(table))
    # The row numbers are sorted together with the rows.
    numbered = sort_rows(table.take(pa.array(kept)).append_column("row", pa.array(kept)))
    order = numbered["row"].to_numpy()
    return numbered.drop_columns("row"), sources[order]


def _latest(table: pa.Table) -> np.ndarray:
    keys = zip(*(table[name].to_pylist() for name in KEYS), strict=True)
    last = {key: row for row, key in enumerate(keys)}
    return np.array(sorted(last.values()), np.int64)
