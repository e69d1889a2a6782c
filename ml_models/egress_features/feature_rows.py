"""Computes the features of `sql/features.sql` day by day in numpy: the same rows for a fraction of the CPU time.

The SQL is the definition and explains the choices. The names here are those of the SQL, and a test compares the rows
of both. Both add up whole billionths, so that the order does not change a sum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egress_features.schema import FEATURES
from egress_features.windows import DAY, History, Numbers, RollingMax, Totals, least_of_last, median

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WEEK, _MONTH, _FIVE_WEEKS = 7 * DAY, 28 * DAY, 35 * DAY
_FIRST_DAY_WITH_HABITS = 8
_BILLIONTHS = 1e9
# The largest number below a half: added before the rest is cut off, it rounds halves away from zero, as SQL does.
_ALMOST_HALF = np.nextafter(0.5, 0)
_NAMES = tuple(feature.name for feature in FEATURES)


@dataclass(frozen=True)
class Series:
    """Properties of the series that the windows need: arrays of one length, in the order of the series.

    Groups are numbered from 0, hours from the data's first one. The first and the last hour are inclusive.
    """

    group: NDArray[np.int64]
    usd_per_gb: NDArray[np.float64]
    is_processing_fee: NDArray[np.bool_]
    first_hour: NDArray[np.int64]
    last_hour: NDArray[np.int64]


class _Sets:
    """Sets of series. Each series belongs to one set."""

    def __init__(self, number: NDArray[np.int64]) -> None:
        self._number = number
        self.count = int(number.max()) + 1
        self._order = None if (np.diff(number) >= 0).all() else np.argsort(number, kind="stable")
        self._starts = np.searchsorted(number if self._order is None else number[self._order], np.arange(self.count))

    def total(self, day: Numbers) -> Numbers:
        """Add up each set: from shape (24, series) to (24, sets)."""
        return np.add.reduceat(self._sorted(day), self._starts, axis=1)

    def largest(self, day: Numbers) -> Numbers:
        """Return the largest of each set: from shape (24, series) to (24, sets)."""
        return np.maximum.reduceat(self._sorted(day), self._starts, axis=1)

    def of_each(self, day: Numbers) -> Numbers:
        """Give each series the value of its set: from shape (24, sets) to (24, series)."""
        return day.take(self._number, axis=1)

    def _sorted(self, day: Numbers) -> Numbers:
        return day if self._order is None else day.take(self._order, axis=1)


@dataclass(frozen=True)
class _Day:
    """The quantities of a day from which its features are computed: arrays of shape (24, series), in GB."""

    n: Numbers
    is_over: NDArray[np.bool_] | None
    u: Numbers
    e: Numbers
    e3: Numbers
    e24: Numbers
    spread: Numbers
    x3: Numbers
    x24: Numbers
    x72: Numbers
    steady: Numbers
    repeated: Numbers

    def while_it_lasts(self, values: Numbers) -> Numbers:
        """Return the values, with 0 in the hours after a series' last one."""
        return values if self.is_over is None else np.where(self.is_over, 0, values)


class FeatureDays:
    """Takes the days of all series in order, and returns the columns of their rows.

    Parameters
    ----------
    series : Series
    is_daily : bool
        The bill has daily lines. Each hour has a 24th of its day, and all rows of a day show its last hour's windows.
    """

    def __init__(self, series: Series, *, is_daily: bool = False) -> None:
        self._is_daily = is_daily
        self._series = series
        self._first_end = int(series.last_hour.min())
        self._groups = _Sets(series.group)
        count = len(series.group)
        self._day = -1
        self._u, self._around = History(_MONTH, count), History(_MONTH, count)
        self._net3, self._net24 = History(17, count, np.int64), History(2 * DAY, count, np.int64)
        self._u_total, self._c_total = Totals(_WEEK + 1, count), Totals(_WEEK + 1, count)
        self._e_total, self._rising = Totals(3 * DAY, count), Totals(DAY, count, np.int32)
        self._deviation_total = Totals(_WEEK + DAY, count)
        self._usual_x3, self._usual_x24, self._usual_x72, self._usual_steady, self._usual_repeated = (
            RollingMax(_FIVE_WEEKS, 3 * DAY, count) for _ in range(5)
        )

    def next_day(self, u: Numbers, c: Numbers) -> dict[str, Numbers]:
        """Return the measures and features of the next day.

        Parameters
        ----------
        u, c : array of float64, shape (24, series)
            GB and dollars of each hour. 0 if a series has none, and before and after its hours.

        Returns
        -------
        dict of str to array of float64, shape (24, series)
            By column name. The values of hours in which a series has no row have no meaning.
        """
        self._day += 1
        self._c_total.append(_exact(c))
        day = self._past(u)
        is_fee = self._series.is_processing_fee
        columns = {
            "usage_gb": u,
            "egress_gb": np.where(is_fee, 0, u),
            "cost_usd": c,
            "expected_usage_gb": day.e,
            "expected_egress_gb": np.where(is_fee, 0, day.e),
            "expected_cost_usd": day.e * self._price(u, c),
            "expected_spread_gb": day.spread,
            **self._features(day),
        }
        if self._is_daily:
            return {name: np.broadcast_to(values[-1], values.shape) for name, values in columns.items()}
        return columns

    def _past(self, u: Numbers) -> _Day:
        n = self._day * DAY + np.arange(DAY)[:, None]
        is_over = n > self._series.last_hour if n[-1, 0] > self._first_end else None
        u_exact = _exact(u)
        self._u.append(u)
        self._u_total.append(u_exact)
        alone = self._expected(u)
        e = self._moved(u, alone if is_over is None else np.where(is_over, 0, alone))
        self._e_total.append(_exact(e))
        self._deviation_total.append(_exact(np.abs(u - e)))
        e3, e24 = self._e_total.last(3), self._e_total.last(DAY)
        self._net3.append(self._u_total.last(3) - e3)
        self._net24.append(self._u_total.last(DAY) - e24)
        net3, net24 = self._net3.lag(0), self._net24.lag(0)
        repeated = np.minimum(np.minimum(net24, self._net24.lag(DAY)), self._net24.lag(2 * DAY))
        return _Day(
            n=n,
            is_over=is_over,
            u=u,
            e=e,
            e3=_gb(e3),
            e24=_gb(e24),
            spread=self._spread(n),
            x3=np.maximum(_gb(net3), 0),
            x24=np.maximum(_gb(net24), 0),
            x72=np.maximum(_gb(self._u_total.last(3 * DAY) - self._e_total.last(3 * DAY)), 0),
            steady=self._steady(),
            repeated=_gb(np.maximum(repeated, 0)),
        )

    def _steady(self) -> Numbers:
        """Return the excess that lasts for 18 hours, or 0 in a daily bill, in which a burst looks the same."""
        least = least_of_last(self._net3.since(17), 18)
        steady: Numbers = np.zeros(least.shape) if self._is_daily else np.maximum(least, 0) / (3 * _BILLIONTHS)
        return steady

    def _spread(self, n: Numbers) -> Numbers:
        """Return the mean deviation of the week before the hour, or before the day."""
        ago = DAY if self._is_daily else 1
        spread: Numbers = _gb(self._deviation_total.last(_WEEK, ago)) / np.clip(n - ago + 1, 1, _WEEK)
        return spread

    def _expected(self, u: Numbers) -> Numbers:
        """Return the median of the same hours in the weeks before, or in the days before."""
        # This day's hours and the two before: the neighbour of the last hour is yet to come.
        hours = self._u.since(2)
        self._around.append(np.maximum(np.maximum(hours[:-2], hours[1:-1]), hours[2:]))
        weeks = range(7, min(self._day, 28) + 1, 7)
        if self._day == 0:
            return u
        if len(weeks) < 2:
            return median([self._u.lag(back * DAY) for back in range(1, min(self._day, 7) + 1)])
        expected_week = median([self._u.lag(back * DAY) for back in weeks])
        if self._is_daily:
            return expected_week
        # The rows of `_around` are an hour late.
        around = median([self._around.lag(back * DAY - 1) for back in weeks])
        return np.maximum(expected_week, np.minimum(u, around))

    def _moved(self, u: Numbers, alone: Numbers) -> Numbers:
        """Add the GB that vanished from some series of a group to the expectation of those that rise."""
        above = np.maximum(u - alone, 0)
        vanished = self._groups.total(_exact((alone - u) * (u < 0.5 * alone)))
        risen = self._groups.total(_exact(above))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.minimum(_gb(vanished) / _gb(risen), 1)
        share[risen == 0] = 0
        moved: Numbers = above * self._groups.of_each(share)
        return alone + moved

    def _price(self, u: Numbers, c: Numbers) -> Numbers:
        """Return the price per GB in dollars: of the hour, else of the week before it, else 0."""
        u_week, c_week = _gb(self._u_total.last(_WEEK, 1)), _gb(self._c_total.last(_WEEK, 1))
        price: Numbers = np.zeros_like(u)
        np.divide(c_week, u_week, out=price, where=u_week > 0)
        np.divide(c, u, out=price, where=u > 0)
        return price

    def _features(self, day: _Day) -> dict[str, Numbers]:
        usd_per_gb = self._series.usd_per_gb
        above = day.u - day.e
        rises = (above > 0) & (above >= 0.3 * day.e)
        self._rising.append(rises & (above * usd_per_gb >= 0.01))
        ratios = self._ratios(day, above)
        if self._day < _FIRST_DAY_WITH_HABITS:
            return dict.fromkeys(_NAMES, np.zeros_like(day.u))
        is_material = rises & (day.x24 * usd_per_gb >= 0.5)
        largest = np.maximum(np.maximum(ratios[0], ratios[1]), np.maximum(ratios[2], ratios[3]))
        hours = np.clip(day.n - self._series.first_hour + 1, 1, DAY)
        values = (*ratios[:3], largest, self._rising.last(DAY) / hours)
        return {name: np.where(is_material, value, 0) for name, value in zip(_NAMES, values, strict=True)}

    def _ratios(self, day: _Day, above: Numbers) -> tuple[Numbers, Numbers, Numbers, Numbers]:
        """Compare each excess with its largest in the past, that of its peers, and a share of the expectation."""
        usual_x3, usual_x24 = self._usual_x3.with_next(day.x3), self._usual_x24.with_next(day.x24)
        usual_x72, usual_steady = self._usual_x72.with_next(day.x72), self._usual_steady.with_next(day.steady)
        usual_repeated = self._usual_repeated.with_next(day.repeated)
        peers = self._habit_of_peers(day, usual_x24)
        least = 0.25 / self._series.usd_per_gb
        of_3h = _above(day.x3, 2 * _largest(usual_x3, peers / 8, 0.6 * day.e3), least)
        is_dear = (above * self._series.usd_per_gb >= 20) & (not self._is_daily)
        return (
            _above(day.x72, _largest(usual_x72, peers, 0.6 * day.e24), least),
            _above(day.steady, _largest(usual_steady, peers / DAY, 0.1 * day.e24 / DAY), least / DAY),
            _above(day.repeated, _largest(usual_repeated, peers, 0.1 * day.e24), least),
            np.where(is_dear, of_3h, 0),
        )

    def _habit_of_peers(self, day: _Day, usual_x24: Numbers) -> Numbers:
        """Return an eighth of the largest usual excess in the group, for series in their first week; else 0."""
        is_grown_up = day.n >= self._series.first_hour + _WEEK
        if is_grown_up.all():
            return np.zeros_like(usual_x24)
        largest = self._groups.largest(day.while_it_lasts(np.where(is_grown_up, usual_x24, 0)))
        return np.where(is_grown_up, 0, 0.125 * self._groups.of_each(largest))


def _exact(values: Numbers) -> Numbers:
    """Return the nearest whole billionths, halves away from zero."""
    scaled = values * _BILLIONTHS
    return (scaled + np.copysign(_ALMOST_HALF, scaled)).astype(np.int64)


def _gb(exact: Numbers) -> Numbers:
    return exact / _BILLIONTHS


def _largest(one: Numbers, two: Numbers, three: Numbers) -> Numbers:
    return np.maximum(np.maximum(one, two), three)


def _above(value: Numbers, usual: Numbers, least: NDArray[np.float64]) -> Numbers:
    """Return ln(value / usual), with the least relevant value added to both, or 0 if it is negative."""
    return np.maximum(np.log((value + least) / (usual + least)), 0)
