"""Reads the training channel by row group: all rows, or a uniform random sample."""

from __future__ import annotations

import io
import sys
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from anomaly_detection.errors import InputError
from anomaly_detection.feature_schema import FeatureSchema
from anomaly_detection.training.exclusions import columns_of
from anomaly_detection.training.exclusions import kept as not_left_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from anomaly_detection.training.exclusions import Exclusion

HOUR = "hour_utc"
CSV_ENDINGS = (".csv", ".csv.gz")
# Keys whose values recur every day. Drift is measured in the mix of their values and in the features.
CATEGORIES = ("account_id", "region", "service", "egress_class")
# The label, 1 for an anomaly. Never used as a feature.
TARGET = "target"
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True)
class TrainingData:
    """The rows for training.

    Parameters
    ----------
    matrix : ndarray of shape (n_sampled, n_features), float32
        NaN is a missing value. Never infinite. In the order of the parts, which is mostly time order.
    rows : int
        The number of rows of all parts, without excluded rows. If `matrix` is a sample, it has fewer rows.
    schema : FeatureSchema
        Describes the columns of `matrix`, in order.
    files : int
        The number of parts with rows.
    start_hour_utc, end_hour_utc : str or None
        First and last `hour_utc`, such as "2018-11-27T16:00:00Z". None if the parts have no such timestamps.
    hours : ndarray of shape (n_sampled,), datetime64[us], or None
        `hour_utc` of the matrix's rows. None if a part has no hours.
    categories : dict
        Each of `CATEGORIES` that is a text column in all parts, to (index of each row's value as int32, values).
    rows_left_out : int
        The number of excluded rows. They do not count in `rows`.
    labels : ndarray of shape (n_sampled,), float64, or None
        `target` of the matrix's rows, NaN for rows without a label. None if a part has no numeric column `target`.
    """

    matrix: NDArray[np.float32]
    rows: int
    schema: FeatureSchema
    files: int
    start_hour_utc: str | None
    end_hour_utc: str | None
    hours: NDArray[np.datetime64] | None = None
    categories: dict[str, tuple[NDArray[np.int32], list[str]]] = field(default_factory=dict)
    rows_left_out: int = 0
    labels: NDArray[np.float64] | None = None

    def only(self, kept: NDArray[np.bool_]) -> TrainingData:
        """Select rows by a mask. If this is a sample, `rows` is reduced to the same share."""
        matrix = self.matrix[kept]
        hours = None if self.hours is None else self.hours[kept]
        rows = round(self.rows * len(matrix) / len(self.matrix))
        start, end = (self.start_hour_utc, self.end_hour_utc) if hours is None else _range(hours)
        categories = {name: (codes[kept], values) for name, (codes, values) in self.categories.items()}
        left_out = self.rows_left_out
        labels = None if self.labels is None else self.labels[kept]
        return TrainingData(matrix, rows, self.schema, self.files, start, end, hours, categories, left_out, labels)


@dataclass(frozen=True)
class _Part:
    name: str
    file: Any
    schema: FeatureSchema
    has_schema: bool


def read_training_data(
    channel: Path, sample: Callable[[int], int], seed: int, exclusions: Sequence[Exclusion] = ()
) -> TrainingData:
    """Read all parts below a directory, or a single file, in the order of their paths.

    Parts are parquet, or CSV with a header (`.csv`, `.csv.gz`). Parts without rows, empty files, hidden files, and
    files that start with `_` or end with `.crc` are skipped. The schema in the parquet metadata names the features.
    Without a schema, all numeric columns except `target` are features. Only one row group of a parquet part is in
    memory at a time, and of it only the features, `hour_utc`, `CATEGORIES` and `target`.

    Parameters
    ----------
    channel : Path
        SageMaker's `SM_CHANNEL_TRAIN`.
    sample : callable
        Takes the number of available rows and returns how many to keep. Each row has the same probability, since parts
        are ordered by time and the first rows would all be from one season.
    seed : int
        Seed of the sample. The same seed keeps the same rows, regardless of how they are split into parts.
    exclusions : sequence of Exclusion
        Rows to leave out before sampling. If there are any, their key columns are read before the features.

    Raises
    ------
    InputError
        There are no rows, or none after exclusions. A part is neither parquet nor CSV, or lacks a column that the
        exclusions name. Parts have different features. A value is infinite, even in a row outside the sample.
    """
    parts = [part for path, name in _paths(channel) if (part := _open(path, name)) is not None]
    if not parts:
        raise InputError(f"no training data: {channel} has no parquet or CSV part with rows")
    schema = _agreed_schema(parts)
    total = sum(part.file.metadata.num_rows for part in parts)
    masks = list(_masks(parts, exclusions)) if exclusions else []
    rows = sum(int(mask.sum()) for mask in masks) if masks else total
    if not rows:
        raise InputError(f"no training data: the exclude channel leaves out all {total} rows of {channel}")
    kept = _drawn(rows, sample(rows), seed)
    matrix = np.empty((len(kept), len(schema.feature_names)), np.float32)
    progress = Progress("read", rows)
    hours = np.full(len(kept), "NaT", "datetime64[us]")
    ends: list[datetime] = []
    has_hours = True
    categories = _Categories(parts, len(kept))
    labels = np.full(len(kept), np.nan) if all(map(_has_target, parts)) else None
    more = [*categories.names, *([] if labels is None else [TARGET])]
    first = 0
    for count, columns, group_hours, group_ends, table in _row_groups(parts, schema.feature_names, more, masks):
        past = first + count
        start, end = np.searchsorted(kept, (first, past))
        for index, values in enumerate(columns):
            matrix[start:end, index] = values[kept[start:end] - first]
        categories.add(table, kept[start:end] - first, start)
        if labels is not None:
            labels[start:end] = table[TARGET].cast(pa.float64()).to_numpy()[kept[start:end] - first]
        if group_hours is None:
            has_hours = False
        else:
            hours[start:end] = group_hours[kept[start:end] - first]
        ends += group_ends
        first = past
        progress.at(first)
    earliest, latest = (_iso(min(ends)), _iso(max(ends))) if ends else (None, None)
    found_hours = hours if has_hours else None
    return TrainingData(
        matrix, rows, schema, len(parts), earliest, latest, found_hours, categories.found(), total - rows, labels
    )


class _Categories:
    """Numbers the values of the columns that all parts have, in order of appearance."""

    def __init__(self, parts: list[_Part], rows: int) -> None:
        self.names = [name for name in CATEGORIES if all(_is_text(part.file.schema_arrow, name) for part in parts)]
        self._numbers: dict[str, dict[str, int]] = {name: {} for name in self.names}
        self._codes = {name: np.empty(rows, np.int32) for name in self.names}

    def add(self, table: Any, places: NDArray[np.int64], start: int) -> None:
        for name in self.names:
            column = pc.fill_null(table[name].cast(pa.string()), "").take(pa.array(places))
            encoded = column.combine_chunks().dictionary_encode()
            numbers = self._numbers[name]
            known = [numbers.setdefault(value, len(numbers)) for value in encoded.dictionary.to_pylist()]
            self._codes[name][start : start + len(places)] = np.array(known, np.int32)[encoded.indices.to_numpy()]

    def found(self) -> dict[str, tuple[NDArray[np.int32], list[str]]]:
        return {name: (self._codes[name], list(self._numbers[name])) for name in self.names}


def _is_text(schema: Any, name: str) -> bool:
    if len(schema.get_all_field_indices(name)) != 1:
        return False
    kind = schema.field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _drawn(rows: int, count: int, seed: int) -> NDArray[np.int64]:
    if count >= rows:
        return np.arange(rows)
    return np.sort(np.random.default_rng(seed).choice(rows, count, replace=False, shuffle=False))


def _paths(channel: Path) -> Iterator[tuple[Path, str]]:
    if channel.is_file():
        yield channel, channel.name
        return
    if not channel.is_dir():
        raise InputError(f"no training data: {channel} is neither a directory nor a file")
    names = sorted(path.relative_to(channel).as_posix() for path in channel.rglob("*") if path.is_file())
    for name in names:
        if not name.endswith(".crc") and not any(step.startswith(("_", ".")) for step in name.split("/")):
            yield channel / name, name


def _open(path: Path, name: str) -> _Part | None:
    """Open a part. None if it has no rows."""
    if path.stat().st_size == 0:
        return None
    try:
        file = pq.ParquetFile(_csv_as_parquet(path) if name.lower().endswith(CSV_ENDINGS) else path)
        if file.metadata.num_rows == 0:
            return None
        arrow_schema = file.schema_arrow
        carried = FeatureSchema.from_metadata(arrow_schema.metadata)
        schema = carried or FeatureSchema.from_names(_feature_names(arrow_schema))
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name} in the training channel is not a parquet or CSV part of features: {error}") from error
    _check_columns(name, arrow_schema, schema)
    return _Part(name, file, schema, carried is not None)


def _csv_as_parquet(path: Path) -> Any:
    """Convert CSV with a header to a parquet file in memory. An empty file has no rows."""
    texts = dict.fromkeys(CATEGORIES, pa.string())
    table = pa_csv.read_csv(path, convert_options=pa_csv.ConvertOptions(column_types=texts))
    target = io.BytesIO()
    pq.write_table(table, target, compression="none")
    return pa.BufferReader(target.getbuffer())


def _check_columns(name: str, arrow_schema: Any, schema: FeatureSchema) -> None:
    for feature in schema.feature_names:
        count = len(arrow_schema.get_all_field_indices(feature))
        if count != 1:
            raise InputError(f"{name} has {count} columns named {feature!r}; a feature must have one column")
        kind = arrow_schema.field(feature).type
        if not _is_number(kind):
            raise InputError(f"column {feature!r} of {name} is {kind}; a feature must be numeric")


def _feature_names(arrow_schema: Any) -> list[str]:
    """Return the float32 columns, or all numeric ones if there are none. Files that Athena writes have no schema."""
    features = [column.name for column in arrow_schema if pa.types.is_float32(column.type)]
    names = features or [column.name for column in arrow_schema if _is_number(column.type)]
    return [name for name in names if name != TARGET]


def _has_target(part: _Part) -> bool:
    """Return whether a part has labels: a numeric column `target` that is not a feature."""
    schema = part.file.schema_arrow
    is_there = len(schema.get_all_field_indices(TARGET)) == 1 and TARGET not in part.schema.feature_names
    return bool(is_there and _is_number(schema.field(TARGET).type))


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _agreed_schema(parts: list[_Part]) -> FeatureSchema:
    """Return the schema of all parts. A part without a schema uses that of another part with the same features."""
    first = next((part for part in parts if part.has_schema), parts[0])
    for other in parts:
        is_same_but_silent = not other.has_schema and other.schema.feature_names == first.schema.feature_names
        if other.schema.hash == first.schema.hash or is_same_but_silent:
            continue
        ours, theirs = set(first.schema.feature_names), set(other.schema.feature_names)
        differing = sorted(ours ^ theirs)
        what = f"only one of them has {differing[0]!r}" if differing else "order or description differ"
        raise InputError(
            f"{first.name} and {other.name} disagree on the features ({what}); all parts must have the same"
        )
    return first.schema


def _has_hours(part: _Part) -> bool:
    schema = part.file.schema_arrow
    return HOUR in schema.names and bool(pa.types.is_timestamp(schema.field(HOUR).type))


def _masks(parts: list[_Part], exclusions: Sequence[Exclusion]) -> Iterator[NDArray[np.bool_]]:
    """Yield each row group's mask of the rows that are not excluded."""
    names = columns_of(exclusions)
    for part in parts:
        missing = [name for name in names if not _is_text(part.file.schema_arrow, name)]
        missing += [] if _has_hours(part) else [HOUR]
        if missing:
            raise InputError(f"{part.name} has no column {missing[0]}, which the exclude channel uses")
        for number in range(part.file.num_row_groups):
            table = _read_row_group(part, number, [*names, HOUR])
            yield not_left_out(_hours(table), table, exclusions)


def _read_row_group(part: _Part, number: int, columns: list[str]) -> Any:
    try:
        return part.file.read_row_group(number, columns=columns)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{part.name} cannot be read: {error}") from error


def _row_groups(
    parts: list[_Part], names: list[str], categories: list[str], masks: list[NDArray[np.bool_]]
) -> Iterator[tuple[int, list[NDArray[np.float32]], NDArray[np.datetime64] | None, list[datetime], Any]]:
    """Yield each row group's number of rows, features, hours, first and last hour, and table.

    If there are masks, only the rows of the row group's mask.
    """
    remaining = iter(masks)
    for part in parts:
        has_hours = _has_hours(part)
        first = 0
        for number in range(part.file.num_row_groups):
            wanted = [*names, *(name for name in categories if name not in names)]
            table = _read_row_group(part, number, [*wanted, HOUR] if has_hours else wanted)
            columns = [_singles(table[name], name, part.name, first) for name in names]
            first += table.num_rows
            if masks:
                mask = next(remaining)
                table, columns = table.filter(pa.array(mask)), [column[mask] for column in columns]
            hours = _hours(table) if has_hours else None
            yield table.num_rows, columns, hours, _hour_range(table) if has_hours else [], table


def _singles(column: Any, name: str, part: str, first: int) -> NDArray[np.float32]:
    is_single = column.type == pa.float32()
    # A value beyond float32 becomes infinite, which the next lines reject.
    with np.errstate(over="ignore"):
        values: NDArray[np.float32] = (column if is_single else column.cast(pa.float64(), safe=False)).to_numpy()
        values = values.astype(np.float32, copy=False)
    infinite = np.isinf(values)
    if infinite.any():
        raise InputError(
            f"column {name!r} of {part} is infinite, or too large for float32, in row {first + infinite.argmax()}; "
            "features must be finite"
        )
    return values


def _hours(table: Any) -> NDArray[np.datetime64]:
    hours = table[HOUR].cast(pa.timestamp("us", "UTC"), safe=False)
    return np.asarray(hours.cast(pa.timestamp("us")).to_numpy())


def _range(hours: NDArray[np.datetime64]) -> tuple[str | None, str | None]:
    known = hours[~np.isnat(hours)]
    if not known.size:
        return None, None
    start, end = (f"{np.datetime_as_string(hour, unit='s')}Z" for hour in (known.min(), known.max()))
    return start, end


def _hour_range(table: Any) -> list[datetime]:
    hours = table[HOUR].cast(pa.timestamp("us", "UTC"), safe=False)
    return [hour for hour in pc.min_max(hours).as_py().values() if hour is not None]


def _iso(hour: datetime) -> str:
    return hour.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Progress:
    """Prints a line to stderr every few seconds, for SageMaker's log. A short job prints none.

    Parameters
    ----------
    verb : str
        The action in the past tense, such as "read".
    total : int
        The number of rows.
    """

    def __init__(self, verb: str, total: int) -> None:
        self._verb = verb
        self._total = total
        self._next = time.monotonic() + PROGRESS_SECONDS

    def at(self, done: int) -> None:
        """Print the number of finished rows, unless a line was printed within the last seconds."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + PROGRESS_SECONDS
            share = 100 * done // self._total
            print(f"{self._verb} {done:,} of {self._total:,} rows ({share} %)", file=sys.stderr, flush=True)
