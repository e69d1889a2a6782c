"""Trailing windows over all series at once, a day at a time.

An array holds a day. Its rows are the 24 hours and its columns are series (or classes, regions), which are 0 before
their first line. A window is the difference of two running totals, or the maximum of daily maxima. It needs memory
only for the hours that it looks back.
"""

from __future__ import annotations

import tempfile
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray

Numbers = np.ndarray[tuple[int, int], np.dtype[Any]]

DAY = 24
_IN_MEMORY_BYTES = 2**26


class History:
    """The values of a quantity in the last days.

    Parameters
    ----------
    lag : int
        The most hours to look back from any hour of the day that was appended last.
    columns : int
        Number of series.
    dtype : data type
        Of the values.
    """

    def __init__(self, lag: int, columns: int, dtype: DTypeLike = np.float64) -> None:
        days = 1 + -(-lag // DAY)
        self._kept = days * DAY
        # The array has room for half as many days again, so that kept rows move to the beginning less often.
        self._rows = _zeros((self._kept + (days // 2 + 1) * DAY, columns), np.dtype(dtype))
        self._end = self._kept

    def append(self, day: Numbers) -> None:
        """Add a day, shape (24, columns)."""
        if self._end == len(self._rows):
            moved = self._end - self._kept
            for row in range(0, self._kept, DAY):
                self._rows[row : row + DAY] = self._rows[row + moved : row + moved + DAY]
            self._end = self._kept
        self._rows[self._end : self._end + DAY] = day
        self._end += DAY

    def lag(self, hours: int) -> Numbers:
        """Return, for each hour of the last day, the value so many hours before it: a view, shape (24, columns)."""
        return self._rows[self._end - DAY - hours : self._end - hours]

    def since(self, hours: int) -> Numbers:
        """Return the last day and so many hours before it: a view, shape (hours + 24, columns)."""
        return self._rows[self._end - DAY - hours : self._end]


class Totals:
    """Sums of whole numbers over trailing hours. Running totals may overflow; their differences are still correct.

    Parameters
    ----------
    lag : int
        The most hours to look back: the length of the longest window plus the hours since its end.
    columns : int
        Number of series.
    dtype : integer type
        Of the sums.
    """

    def __init__(self, lag: int, columns: int, dtype: DTypeLike = np.int64) -> None:
        self._running = History(lag, columns, dtype)
        self._dtype = dtype

    def append(self, day: Numbers) -> None:
        """Add a day, shape (24, columns)."""
        sums = np.empty(day.shape, self._dtype)
        before = self._running.lag(0)[-1]
        for hour in range(DAY):
            np.add(before, day[hour], out=sums[hour])
            before = sums[hour]
        self._running.append(sums)

    def last(self, hours: int, ago: int = 0) -> Numbers:
        """Return, for each hour of the last day, the sum of so many hours, of which the last is `ago` hours before."""
        return self._running.lag(ago) - self._running.lag(ago + hours)


class RollingMax:
    """The largest of the hours from `first` to `last` hours ago, both whole days; at least 0.

    Such a window is the end of its first day, whole days, and the beginning of its last day.
    """

    def __init__(self, first: int, last: int, columns: int) -> None:
        self._first, self._last = first, last
        self._ends = History(first, columns)
        self._beginnings = History(last, columns)
        self._days: deque[NDArray[np.float64]] = deque(maxlen=first // DAY)

    def with_next(self, day: Numbers) -> Numbers:
        """Add the next day, whose values are at least 0, and return the largest value for each of its hours."""
        self._append(day)
        found = np.maximum(self._ends.lag(self._first), self._beginnings.lag(self._last))
        whole = np.zeros(found.shape[1])
        for one in islice(self._days, max(len(self._days) - self._last // DAY - 1, 0)):
            np.maximum(whole, one, out=whole)
        return np.maximum(found, whole)

    def _append(self, day: Numbers) -> None:
        beginnings, ends = np.empty_like(day), np.empty_like(day)
        beginnings[0], ends[-1] = day[0], day[-1]
        for hour in range(1, DAY):
            np.maximum(beginnings[hour - 1], day[hour], out=beginnings[hour])
            np.maximum(ends[-hour], day[-hour - 1], out=ends[-hour - 1])
        self._beginnings.append(beginnings)
        self._ends.append(ends)
        self._days.append(ends[0].copy())


def _zeros(shape: tuple[int, int], dtype: np.dtype[Any]) -> Numbers:
    """Return zeros. A large array is in a temporary file, so that it may exceed the memory."""
    size = shape[0] * shape[1] * dtype.itemsize
    if size < _IN_MEMORY_BYTES:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile(prefix="egress-features-") as file:
        file.truncate(size)
        return np.memmap(file, dtype, "r+", shape=shape)


def least_of_last(values: Numbers, hours: int) -> Numbers:
    """Return the least of each row and the rows before it, `hours` in all; shape (rows - hours + 1, columns)."""
    size = 1
    while size < hours:
        step = min(size, hours - size)
        values = np.minimum(values[step:], values[:-step])
        size += step
    return values


def median(values: Sequence[Numbers]) -> Numbers:
    """Return the median of arrays, element by element. For an even number it is the mean of the two in the middle."""
    found = list(values)
    middle = (len(found) - 1) // 2
    for last in range(len(found) - 1, middle - 1, -1):
        for place in range(last):
            one, other = found[place], found[place + 1]
            found[place], found[place + 1] = np.minimum(one, other), np.maximum(one, other)
    return (found[middle] + found[len(found) // 2]) / 2
