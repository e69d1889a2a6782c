"""Computes sixteen features of a `timestamp,value` series from past rows only, so that they never change afterwards.

A series can be processed as a whole or in pieces: `advance` passes a `SeriesState` from one piece to the next, and the
features are equal bit for bit. For this, sums are computed in time order. numpy's own summation is not used, because
its order depends on the number of rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from anomaly_detection.feature_schema import SCHEMA_VERSION, FeatureSchema

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

DAY_SECONDS = 86_400
DAYS = 7
# An earlier day's value at the same time is the last row before it that is at most this old.
STALE_SECONDS = 3_600
# The longest window, in rows.
LONGEST = 48
# Residuals are limited to this many spreads, which keeps features within float32.
LARGEST_RESIDUAL = 1_000.0


class SeriesFeature(NamedTuple):
    """A feature's name and description."""

    name: str
    description: str


SERIES_FEATURES = (
    SeriesFeature("value", "the value itself"),
    SeriesFeature("mean_12", "mean of the last 12 rows"),
    SeriesFeature("mean_24", "mean of the last 24 rows"),
    SeriesFeature("mean_48", "mean of the last 48 rows"),
    SeriesFeature("min_24", "smallest of the last 24 rows"),
    SeriesFeature("max_24", "largest of the last 24 rows"),
    SeriesFeature("spread_24", "standard deviation of the last 24 rows"),
    SeriesFeature("spread_48", "standard deviation of the last 48 rows"),
    SeriesFeature("mean_48_change", "mean of the last 48 rows less that of the 48 before"),
    SeriesFeature("repeats", "run of equal values, as a share of the longest run so far"),
    SeriesFeature("outside_range", "distance outside all earlier values, d / (d + their range)"),
    SeriesFeature("position_in_range", "place between the smallest and the largest value so far, 0 to 1"),
    SeriesFeature(
        "residual", "value less last week's, or the median of seven days, at its time: the nearer, in past spreads"
    ),
    SeriesFeature("residual_change", "residual less that of the row before"),
    SeriesFeature("residual_mean_48", "mean residual of the last 48 rows"),
    SeriesFeature("residual_spread_48", "standard deviation of the residual over the last 48 rows"),
)
SERIES_FEATURE_NAMES = [feature.name for feature in SERIES_FEATURES]
TIMESTAMP, VALUE = "timestamp", "value"


@dataclass(frozen=True, eq=False)
class SeriesState:
    """The state that the features of the next rows depend on. Its size does not grow with the series.

    Parameters
    ----------
    seconds : ndarray of shape (n_kept,), int64
        Times (seconds since 1970 in UTC) of the last seven days and one hour, and at least of the last 96 rows.
    values : ndarray of shape (n_kept,), float64
        Their values.
    residuals : ndarray of shape (up to 48,), float64
        The last residuals, in spreads.
    rows : int
        Rows so far.
    lowest, highest : float
        Range of all values so far. Infinite before the first.
    run, longest_run : int
        Length of the current run of equal values, and of the longest run so far.
    known, deviation : float
        The number of rows with an earlier day to compare with, and the sum of their absolute residuals in units of the
        value.
    """

    seconds: NDArray[np.int64]
    values: NDArray[np.float64]
    residuals: NDArray[np.float64]
    rows: int = 0
    lowest: float = np.inf
    highest: float = -np.inf
    run: int = 0
    longest_run: int = 0
    known: float = 0.0
    deviation: float = 0.0

    @classmethod
    def empty(cls) -> SeriesState:
        """Return the state before the first row."""
        return cls(np.empty(0, np.int64), np.empty(0), np.empty(0))


def features_of(seconds: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return the features of a whole series.

    Parameters
    ----------
    seconds : ndarray of shape (n_rows,), int64
        Seconds since 1970 in UTC, not decreasing.
    values : ndarray of shape (n_rows,), float64
        Finite.

    Returns
    -------
    ndarray of shape (n_rows, 16), float32
        Columns as in `SERIES_FEATURES`.
    """
    return advance(SeriesState.empty(), seconds, values)[0]


def advance(
    state: SeriesState, seconds: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float32], SeriesState]:
    """Return the features of a series' next rows, and the state after them.

    Parameters
    ----------
    state : SeriesState
        The state after the previous rows.
    seconds : ndarray of shape (n_rows,), int64
        Seconds since 1970 in UTC, not decreasing, and not before the previous rows.
    values : ndarray of shape (n_rows,), float64
        Finite.

    Returns
    -------
    features : ndarray of shape (n_rows, 16), float32
    state : SeriesState
    """
    if not len(values):
        return np.empty((0, len(SERIES_FEATURES)), np.float32), state
    windows = _Windows(state.values, values)
    mean_48 = windows.mean(LONGEST)
    before_48 = windows.mean(LONGEST, lag=LONGEST)
    run, longest_run = _runs(state, values)
    outside, position, lowest, highest = _range(state, values)
    residuals, known, deviation = _residuals(state, seconds, values)
    of_residuals = _Windows(state.residuals, residuals)
    columns = [
        values,
        windows.mean(12),
        windows.mean(24),
        mean_48,
        windows.fold(24, np.fmin),
        windows.fold(24, np.fmax),
        windows.spread(24),
        windows.spread(LONGEST),
        # With fewer than 48 earlier rows, the change of level is 0.
        np.where(np.isnan(before_48), 0.0, mean_48 - before_48),
        run / longest_run,
        outside,
        position,
        residuals,
        residuals - of_residuals.before(),
        of_residuals.mean(LONGEST),
        of_residuals.spread(LONGEST),
    ]
    largest = float(np.finfo(np.float32).max)
    matrix = np.clip(np.column_stack(columns), -largest, largest).astype(np.float32)
    after = replace(
        state,
        rows=state.rows + len(values),
        lowest=lowest,
        highest=highest,
        run=int(run[-1]),
        longest_run=int(longest_run[-1]),
        known=known,
        deviation=deviation,
    )
    return matrix, _with_tail(after, state, seconds, values, residuals)


def series_schema() -> FeatureSchema:
    """Return the schema of a file of these features, for the training script."""
    features: list[dict[str, Any]] = [
        {"name": name, "unit": "", "description": text, "dtype": "float32"} for name, text in SERIES_FEATURES
    ]
    return FeatureSchema({"version": SCHEMA_VERSION, "keys": [TIMESTAMP], "measures": [], "features": features})


class _Windows:
    """Trailing windows over new rows and the rows before them. At the start of a series, windows are shorter."""

    def __init__(self, past: NDArray[np.float64], new: NDArray[np.float64]) -> None:
        self._rows = len(new)
        past = past[-2 * LONGEST :]
        self._padded = np.concatenate([np.full(2 * LONGEST - len(past), np.nan), past, new])

    def _lagged(self, lag: int) -> NDArray[np.float64]:
        start = 2 * LONGEST - lag
        return self._padded[start : start + self._rows]

    def mean(self, rows: int, lag: int = 0) -> NDArray[np.float64]:
        """Return the mean of the last rows. NaN if there are none."""
        total, count = np.zeros(self._rows), np.zeros(self._rows)
        for step in range(lag + rows - 1, lag - 1, -1):
            value = self._lagged(step)
            there = ~np.isnan(value)
            total += np.where(there, value, 0.0)
            count += there
        mean: NDArray[np.float64] = np.divide(total, count, out=np.full(self._rows, np.nan), where=count > 0)
        return mean

    def spread(self, rows: int) -> NDArray[np.float64]:
        """Return the standard deviation of the last rows."""
        mean = self.mean(rows)
        total, count = np.zeros(self._rows), np.zeros(self._rows)
        for step in range(rows - 1, -1, -1):
            gap = self._lagged(step) - mean
            there = ~np.isnan(gap)
            total += np.where(there, gap * gap, 0.0)
            count += there
        spread: NDArray[np.float64] = np.sqrt(total / count)
        return spread

    def fold(self, rows: int, smaller: Callable[..., NDArray[np.float64]]) -> NDArray[np.float64]:
        """Return the smallest (`fmin`) or largest (`fmax`) of the last rows."""
        found: NDArray[np.float64] = self._lagged(0)
        for step in range(1, rows):
            found = smaller(found, self._lagged(step))
        return found

    def before(self) -> NDArray[np.float64]:
        """Return the previous row's value. The first row of a series is its own predecessor."""
        before = self._lagged(1)
        return np.where(np.isnan(before), self._lagged(0), before)


def _runs(state: SeriesState, values: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the length of the run of equal values that ends at each row, and of the longest run so far."""
    numbers = np.arange(len(values))
    differs = np.empty(len(values), bool)
    differs[0] = not state.rows or values[0] != state.values[-1]
    differs[1:] = values[1:] != values[:-1]
    # A run that continues from the previous rows started `state.run` rows earlier.
    start = np.maximum.accumulate(np.where(differs, numbers, -state.run))
    run = numbers - start + 1
    return run, np.maximum(np.maximum.accumulate(run), state.longest_run)


def _range(
    state: SeriesState, values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], float, float]:
    """Return each row's distance outside the earlier range, its position in the range including it, and the range."""
    lowest = np.minimum.accumulate(np.concatenate([[state.lowest], values]))
    highest = np.maximum.accumulate(np.concatenate([[state.highest], values]))
    if not state.rows:
        lowest[0] = highest[0] = values[0]
    beyond = np.maximum(np.maximum(values - highest[:-1], lowest[:-1] - values), 0.0)
    reach = beyond + (highest[:-1] - lowest[:-1])
    outside = np.divide(beyond, reach, out=np.zeros(len(values)), where=reach > 0)
    width = highest[1:] - lowest[1:]
    position = np.divide(values - lowest[1:], width, out=np.full(len(values), 0.5), where=width > 0)
    return outside, position, float(lowest[-1]), float(highest[-1])


def _residuals(
    state: SeriesState, seconds: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], float, float]:
    """Return each row's residual in past spreads, and the sums that determine the next row's spread."""
    all_seconds, all_values = np.concatenate([state.seconds, seconds]), np.concatenate([state.values, values])
    median, last_week = _usual(all_seconds, all_values, seconds)
    # Either comparison may explain a value: a Monday can resemble the last Monday and differ from Sunday.
    gap = np.where(np.abs(values - last_week) < np.abs(values - median), values - last_week, values - median)
    there = ~np.isnan(gap)
    gap = np.where(there, gap, 0.0)
    known = np.cumsum(np.concatenate([[state.known], there]))
    deviation = np.cumsum(np.concatenate([[state.deviation], np.abs(gap)]))
    spread = np.divide(deviation[:-1], known[:-1], out=np.zeros(len(gap)), where=known[:-1] > 0)
    # There is no past spread for the first residual.
    gap = np.where(known[:-1] > 0, gap, 0.0)
    # A series with an exact daily pattern has no spread. Any deviation is then the largest possible residual.
    with np.errstate(divide="ignore", over="ignore"):
        residuals = np.divide(gap, spread, out=np.zeros(len(gap)), where=gap != 0)
    return np.clip(residuals, -LARGEST_RESIDUAL, LARGEST_RESIDUAL), float(known[-1]), float(deviation[-1])


def _usual(
    all_seconds: NDArray[np.int64], all_values: NDArray[np.float64], seconds: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the median at the same time over the last seven days, and last week's value. NaN if there is none."""
    days = np.full((DAYS, len(seconds)), np.nan)
    for number in range(DAYS):
        wanted = seconds - (number + 1) * DAY_SECONDS
        place = np.searchsorted(all_seconds, wanted, side="right") - 1
        there = (place >= 0) & (wanted - all_seconds[place] <= STALE_SECONDS)
        days[number, there] = all_values[place[there]]
    last_week = days[-1].copy()
    days.sort(axis=0)  # NaN comes last
    count = np.count_nonzero(~np.isnan(days), axis=0)
    columns = np.arange(len(seconds))
    low, high = days[np.maximum(count - 1, 0) // 2, columns], days[np.minimum(count // 2, DAYS - 1), columns]
    return low / 2 + high / 2, last_week


def _with_tail(
    after: SeriesState,
    before: SeriesState,
    seconds: NDArray[np.int64],
    values: NDArray[np.float64],
    residuals: NDArray[np.float64],
) -> SeriesState:
    all_seconds = np.concatenate([before.seconds, seconds])
    all_values = np.concatenate([before.values, values])
    oldest = all_seconds[-1] - DAYS * DAY_SECONDS - STALE_SECONDS
    first = min(int(np.searchsorted(all_seconds, oldest)), max(len(all_seconds) - 2 * LONGEST, 0))
    return replace(
        after,
        seconds=all_seconds[first:].copy(),
        values=all_values[first:].copy(),
        residuals=np.concatenate([before.residuals, residuals])[-LONGEST:],
    )
