"""Reads the training channel: every parquet part of it, as one float32 matrix."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from anomaly_detection.errors import InputError
from anomaly_detection.feature_schema import FeatureSchema

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

HOUR = "hour_utc"


@dataclass(frozen=True)
class TrainingData:
    """What the forest is fitted on.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_features), float32
        NaN where the data have no value; never infinite.
    schema : FeatureSchema
        Names the columns of `matrix`, in order.
    files : int
        Parts that held rows.
    start_hour_utc, end_hour_utc : str or None
        First and last `hour_utc`, as "2018-11-27T16:00:00Z"; None where the parts have no such timestamps.
    """

    matrix: NDArray[np.float32]
    schema: FeatureSchema
    files: int
    start_hour_utc: str | None
    end_hour_utc: str | None


@dataclass(frozen=True)
class _Part:
    name: str
    file: Any
    schema: FeatureSchema


def read_training_data(channel: Path) -> TrainingData:
    """Read all parts below a directory (or one file), in the order of their paths.

    Parts without rows, zero-byte files, hidden files, and what starts with `_` or ends with `.crc` are passed over.
    The features are those that the schema in the parquet metadata names; where the parts carry none, their numeric
    columns.

    Parameters
    ----------
    channel : Path
        SageMaker's `SM_CHANNEL_TRAIN`.

    Raises
    ------
    InputError
        Nothing to read, a part that is not parquet, parts that disagree on the features, or an infinite value.
    """
    parts = [part for path, name in _paths(channel) if (part := _open(path, name)) is not None]
    if not parts:
        raise InputError(f"no training data: {channel} has no parquet part with rows")
    schema = _agreed_schema(parts)
    matrix = np.concatenate([_part_matrix(part, schema.feature_names) for part in parts])
    hours = [hour for part in parts for hour in _hour_range(part)]
    start, end = (_iso(min(hours)), _iso(max(hours))) if hours else (None, None)
    return TrainingData(matrix, schema, len(parts), start, end)


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
    """Open a part that has rows."""
    if path.stat().st_size == 0:
        return None
    try:
        file = pq.ParquetFile(path)
        if file.metadata.num_rows == 0:
            return None
        arrow_schema = file.schema_arrow
        schema = FeatureSchema.from_metadata(arrow_schema.metadata) or FeatureSchema.from_names(
            [field.name for field in arrow_schema if _is_number(field.type)]
        )
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InputError(f"{name} in the training channel is not a parquet part of features: {error}") from error
    _check_columns(name, arrow_schema, schema)
    return _Part(name, file, schema)


def _check_columns(name: str, arrow_schema: Any, schema: FeatureSchema) -> None:
    for feature in schema.feature_names:
        count = len(arrow_schema.get_all_field_indices(feature))
        if count != 1:
            raise InputError(f"{name} has {count} columns named {feature!r}; a feature must be there once")
        kind = arrow_schema.field(feature).type
        if not _is_number(kind):
            raise InputError(f"column {feature!r} of {name} is {kind}; a feature must be numeric")


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _agreed_schema(parts: list[_Part]) -> FeatureSchema:
    first = parts[0]
    for other in parts[1:]:
        if other.schema.hash == first.schema.hash:
            continue
        ours, theirs = set(first.schema.feature_names), set(other.schema.feature_names)
        differing = sorted(ours ^ theirs)
        what = f"only one of them has {differing[0]!r}" if differing else "order or description differ"
        raise InputError(
            f"{first.name} and {other.name} disagree on the features ({what}); all parts must have the same"
        )
    return first.schema


def _part_matrix(part: _Part, names: list[str]) -> NDArray[np.float32]:
    try:
        table = part.file.read(columns=names)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{part.name} cannot be read: {error}") from error
    matrix = np.empty((table.num_rows, len(names)), np.float32)
    for index, name in enumerate(names):
        # Beyond float32 is infinity, which the next lines refuse by name.
        with np.errstate(over="ignore"):
            matrix[:, index] = table[name].cast(pa.float64(), safe=False).to_numpy()
        infinite = np.flatnonzero(np.isinf(matrix[:, index]))
        if infinite.size:
            raise InputError(
                f"column {name!r} of {part.name} is infinite, or too large for float32, in row {infinite[0]}; "
                "features must be finite"
            )
    return matrix


def _hour_range(part: _Part) -> list[datetime]:
    names = part.file.schema_arrow.names
    if HOUR not in names or not pa.types.is_timestamp(part.file.schema_arrow.field(HOUR).type):
        return []
    hours = part.file.read(columns=[HOUR])[HOUR].cast(pa.timestamp("us", "UTC"), safe=False)
    return [hour for hour in pc.min_max(hours).as_py().values() if hour is not None]


def _iso(hour: datetime) -> str:
    return hour.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
