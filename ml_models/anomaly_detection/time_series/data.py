"""Reads `timestamp,value` lines from a file, a training channel or a request."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from anomaly_detection.content_types.rows import is_number, shown
from anomaly_detection.errors import InputError
from anomaly_detection.time_series.features import TIMESTAMP, VALUE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

# Features are 32-bit floats.
LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, eq=False)
class Series:
    """A series in time order.

    Parameters
    ----------
    timestamps : list of str
        The timestamps as written in the input.
    seconds : ndarray of shape (n_rows,), int64
        Seconds since 1970 in UTC.
    values : ndarray of shape (n_rows,), float64
        Finite.
    notes : list of str
        Messages about rows that were left out or reordered.
    """

    timestamps: list[str]
    seconds: NDArray[np.int64]
    values: NDArray[np.float64]
    notes: list[str]


def read_series(source: Path | str, name: str, *, is_strict: bool = False) -> Series:
    """Read CSV.

    Parameters
    ----------
    source : Path or str
        A file, or the text itself. It has a header with `timestamp` and `value` among its columns, or only these two
        columns and no header. Times are ISO 8601, in UTC if they have no zone. Rows without a value are left out, and
        rows are sorted by time. Either adds a note.
    name : str
        The name of the input in error messages.
    is_strict : bool
        Raise an error instead of adding a note, because a request needs a result for each line.

    Raises
    ------
    InputError
        The input cannot be read, or a row has no valid time or value.
    """
    table = _table(source, name)
    texts, numbers = table[TIMESTAMP], table[VALUE]
    is_there = numbers.str.strip().ne("")
    notes = [] if is_there.all() else [f"{int((~is_there).sum()):,} rows without a value are left out"]
    if is_strict and notes:
        raise InputError(f"data row {int(is_there.argmin()) + 1} of {name} has no value; a finite number is expected")
    texts, numbers = texts[is_there], numbers[is_there]
    seconds, values = _seconds(name, texts), _values(name, numbers)
    falls = np.flatnonzero(np.diff(seconds) < 0)
    if len(falls):
        if is_strict:
            raise InputError(f"data row {int(falls[0]) + 2} of {name} is earlier than the row before it")
        notes.append("the rows were not in time order; they are sorted by time")
    order = np.argsort(seconds, kind="stable")
    return Series(texts.iloc[order].tolist(), seconds[order], values[order], notes)


def seconds_of(timestamps: Sequence[str] | pd.Series) -> NDArray[np.int64]:
    """Return times as whole seconds since 1970. Times without a zone are UTC.

    Raises
    ------
    ValueError
        A text is not a time.
    """
    times = _times(pd.Series(timestamps))
    if times.isna().any():
        raise ValueError("a text is not an ISO 8601 time")
    return times.to_numpy("datetime64[s]").astype(np.int64)


def _times(texts: pd.Series) -> pd.Series:
    """Parse times. A text that is not a time becomes NaT, and so does "now", which pandas would accept."""
    if pd.api.types.is_datetime64_any_dtype(texts):
        return pd.to_datetime(texts, utc=True)
    return pd.to_datetime(texts.where(texts.str.match("[0-9]")), utc=True, format="ISO8601", errors="coerce")


def _table(source: Path | str, name: str) -> pd.DataFrame:
    def read(header: int | None) -> pd.DataFrame:
        buffer = source if isinstance(source, Path) else io.StringIO(source)
        return pd.read_csv(buffer, dtype=str, keep_default_na=False, skipinitialspace=True, header=header)

    try:
        table = read(0)
        if TIMESTAMP not in table.columns and len(table.columns) == 2:
            table = read(None)
            table.columns = pd.Index([TIMESTAMP, VALUE])
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {name}: {str(error).splitlines()[0]}") from error
    # If rows have more cells than the header, pandas uses the first cells as an index.
    if not isinstance(table.index, pd.RangeIndex):
        raise InputError(f"a row of {name} has more values than its header names")
    for column in (TIMESTAMP, VALUE):
        if column not in table.columns:
            raise InputError(f"{name} has no column {column}; a header with {TIMESTAMP} and {VALUE} is expected")
    return table


def _seconds(name: str, texts: pd.Series) -> NDArray[np.int64]:
    try:
        return seconds_of(texts)
    except ValueError as error:
        row, text = next(iter(texts[_times(texts).isna()].items()))
        raise InputError(
            f"data row {int(str(row)) + 1} of {name} has the timestamp {shown(text)}; "
            "an ISO 8601 time such as 2013-12-02 21:15:00 is expected"
        ) from error


def _values(name: str, numbers: pd.Series) -> NDArray[np.float64]:
    values: NDArray[np.float64] = pd.to_numeric(numbers, errors="coerce").to_numpy(np.float64)
    bad = ~((np.abs(values) <= LARGEST) & numbers.map(is_number).to_numpy(bool))
    if bad.any():
        row, text = next(iter(numbers[bad].items()))
        raise InputError(
            f"data row {int(str(row)) + 1} of {name} has the value {shown(text)}; a finite number is expected"
        )
    return values
