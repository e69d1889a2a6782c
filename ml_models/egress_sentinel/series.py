"""Any `timestamp,value` series: reading it, and the incidents in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from anomaly_detection.errors import InputError
from anomaly_detection.series_detector import SeriesScores, SeriesSettings, find_incidents, seconds_of
from anomaly_detection.series_features import TIMESTAMP, VALUE
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Series:
    """A series in the order of time.

    Parameters
    ----------
    timestamps : list of str
        As they stand in the file.
    seconds : ndarray of shape (n_rows,), int64
        Seconds since 1970 in UTC.
    values : ndarray of shape (n_rows,), float64
        Finite.
    notes : list of str
        What was left out or reordered.
    """

    timestamps: list[str]
    seconds: NDArray[np.int64]
    values: NDArray[np.float64]
    notes: list[str]


def read_series(path: Path) -> Series:
    """Read a CSV file.

    Parameters
    ----------
    path : Path
        With a header that names `timestamp` and `value` among its columns, or with these two columns alone and no
        header. Times are ISO 8601, in UTC where they have no zone; rows with no value are left out with a note.

    Raises
    ------
    UserError
        It cannot be read, or a row has no such time or number.
    """
    try:
        table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True)
        if TIMESTAMP not in table.columns and len(table.columns) == 2:
            table = pd.read_csv(path, dtype=str, keep_default_na=False, skipinitialspace=True, header=None)
            table.columns = pd.Index([TIMESTAMP, VALUE])
        texts, numbers = table[TIMESTAMP], table[VALUE]
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read {path}: {str(error).splitlines()[0]}") from error
    except KeyError as error:
        raise UserError(f"{path} has no column {error}; a header with timestamp and value is expected") from error
    is_there = numbers.str.strip().ne("")
    notes = [] if is_there.all() else [f"{int((~is_there).sum()):,} rows without a value are left out"]
    texts, numbers = texts[is_there], numbers[is_there]
    seconds, values = _seconds(path, texts), _values(path, numbers)
    if np.any(np.diff(seconds) < 0):
        notes.append("the rows were not in the order of time; they are taken in that order")
    order = np.argsort(seconds, kind="stable")
    return Series(texts.iloc[order].tolist(), seconds[order], values[order], notes)


def _seconds(path: Path, texts: pd.Series[str]) -> NDArray[np.int64]:
    try:
        return seconds_of(texts)
    except ValueError:
        bad = pd.to_datetime(texts, utc=True, format="ISO8601", errors="coerce").isna()
        row, text = next(iter(texts[bad].items()))
        raise UserError(
            f"data row {int(str(row)) + 1} of {path} has the timestamp {text!r}; "
            "an ISO 8601 time such as 2013-12-02 21:15:00 is expected"
        ) from None


def _values(path: Path, numbers: pd.Series[str]) -> NDArray[np.float64]:
    values: NDArray[np.float64] = pd.to_numeric(numbers, errors="coerce").to_numpy(np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        row, text = next(iter(numbers[bad].items()))
        raise UserError(f"data row {int(str(row)) + 1} of {path} has the value {text!r}; a finite number is expected")
    return values


def detect(path: Path, series: Series, settings: SeriesSettings) -> SeriesScores:
    """Find a series' incidents.

    Raises
    ------
    UserError
        The series is too short.
    """
    try:
        return find_incidents(series.seconds, series.values, settings)
    except InputError as error:
        raise UserError(f"{path}: {error}") from error


def alert_records(series: Series, scores: SeriesScores) -> list[dict[str, Any]]:
    """Return the alerts as JSON says them."""
    values = np.asarray(series.values).tolist()
    return [
        {
            "timestamp": series.timestamps[alert.row],
            "value": values[alert.row],
            "score": alert.score,
            "tail_probability": alert.tail_probability,
            "reasons": [{"feature": name, "splits_saved": saved} for name, saved in alert.reasons],
        }
        for alert in scores.alerts
    ]
