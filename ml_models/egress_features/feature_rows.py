"""What `sql/features.sql` says, day by day in numpy: the same rows on one machine for a fraction of the CPU.

The SQL is the definition and says why everything is as it is; the names here are those there, and a test holds both to
the same rows. Sums are of whole billionths, as there, so they are the same in every order.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from egress_features.windows import DAY, History, Numbers, RollingMax, Totals, least_of_last, median

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WEEK, _MONTH, _FIVE_WEEKS = 7 * DAY, 28 * DAY, 35 * DAY
_BILLIONTHS = 1e9
# The largest number below a half: added before the rest is cut off, it rounds halves away from zero, as SQL does.
_ALMOST_HALF = np.nextafter(0.5, 0)
# Below it nothing matters; added to both sides of every ratio.
_GB = 0.1
_HABITS = ("above_habit_3h_log", "above_habit_24h_log", "above_habit_steady_log", "above_habit_7d_log")


@dataclass(frozen=True)
class Series:
    """What the windows need to know of the series, in their order: arrays of one length.

    Sets are numbered from 0, hours from the data's first one; both bounds are inclusive.
    """

    account: NDArray[np.int64]
    egress_class: NDArray[np.int64]
    region: NDArray[np.int64]
    group: NDArray[np.int64]
    is_processing_fee: NDArray[np.bool_]
    first_hour: NDArray[np.int64]
    last_hour: NDArray[np.int64]


class _Sets:
    """Sets of series, each of which belongs to one."""

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
        """Give each series what its set has: from shape (24, sets) to (24, series)."""
        return day.take(self._number, axis=1)

    def _sorted(self, day: Numbers) -> Numbers:
        return day if self._order is None else day.take(self._order, axis=1)


@dataclass(frozen=True)
class _Day:
    """What is known of a day once its hours' expectations are: arrays of shape (24, series), in GB."""

    n: Numbers
    is_over: NDArray[np.bool_] | None
    u: Numbers
    e: Numbers
    u_exact: Numbers
    e_exact: Numbers
    u24_exact: Numbers
    e24_exact: Numbers
    expected_day: Numbers | None
    expected_week: Numbers | None
    spread: Numbers
    u3: Numbers
    e3: Numbers
    u168: Numbers
    x3: Numbers
    x24: Numbers
    x72: Numbers
    x168: Numbers
    steady: Numbers

    @cached_property
    def u24(self) -> Numbers:
        return _gb(self.u24_exact)

    @cached_property
    def e24(self) -> Numbers:
        return _gb(self.e24_exact)

    def while_it_lasts(self, values: Numbers) -> Numbers:
        """Take the hours after a series' last one for 0."""
        return values if self.is_over is None else np.where(self.is_over, 0, values)


class FeatureDays:
    """Takes the days of all series one after the other, and returns the rows' columns.

    Parameters
    ----------
    series : Series
    is_daily : bool
        The bill has days alone: each hour has a 24th of its day, and all rows of a day show its last hour's windows.
    """

    def __init__(self, series: Series, *, is_daily: bool = False) -> None:
        self._is_daily = is_daily
        self._series = series
        self._first_end = int(series.last_hour.min())
        self._accounts, self._classes = _Sets(series.account), _Sets(series.egress_class)
        self._regions, self._groups = _Sets(series.region), _Sets(series.group)
        count = len(series.account)
        self._day = -1
        self._u, self._around = History(_MONTH, count), History(_MONTH, count)
        self._u168, self._net3 = History(3 * _WEEK, count), History(17, count, np.int64)
        self._u_total, self._c_total = Totals(_WEEK + 1, count), Totals(_WEEK + 1, count)
        self._e_total, self._x_total = Totals(_WEEK, count), Totals(DAY, count)
        self._deviation_total, self._far_above = Totals(_WEEK + DAY, count), Totals(DAY, count, np.int32)
        self._busy, self._busy_in_region = Totals(_MONTH + 1, count, np.int32), Totals(_MONTH + 1, self._regions.count)
        self._largest_u = RollingMax(_MONTH, DAY, count)
        self._usual_x3, self._usual_x24 = (RollingMax(_FIVE_WEEKS, 3 * DAY, count) for _ in range(2))
        self._usual_x72, self._usual_steady = (RollingMax(_FIVE_WEEKS, 3 * DAY, count) for _ in range(2))
        self._usual_x168 = RollingMax(_FIVE_WEEKS, _WEEK, count)
        self._usual_u24_of_class = RollingMax(_FIVE_WEEKS, 3 * DAY, self._classes.count)

    def next_day(self, u: Numbers, c: Numbers) -> dict[str, Numbers]:
        """Return the measures and features of the next day.

        Parameters
        ----------
        u, c : array of float64, shape (24, series)
            GB and dollars of each hour; 0 where a series has none, and before and after its hours.

        Returns
        -------
        dict of str to array of float64, shape (24, series)
            By column name; without meaning where a series has no row.
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
            **self._against_expected(day),
            **self._against_habit(day),
            **self._against_the_month(day),
            **self._against_others(day),
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
        expected_day, expected_week, alone = self._expected(u)
        e = self._moved(u, alone if is_over is None else np.where(is_over, 0, alone))
        e_exact = _exact(e)
        self._e_total.append(e_exact)
        self._x_total.append(np.maximum(u_exact - e_exact, 0))
        self._deviation_total.append(_exact(np.abs(u - e)))
        u3, e3 = self._u_total.last(3), self._e_total.last(3)
        self._net3.append(u3 - e3)
        u168, e168 = self._u_total.last(_WEEK), self._e_total.last(_WEEK)
        self._u168.append(_gb(u168))
        return _Day(
            n=n,
            is_over=is_over,
            u=u,
            e=e,
            u_exact=u_exact,
            e_exact=e_exact,
            u24_exact=self._u_total.last(DAY),
            e24_exact=self._e_total.last(DAY),
            expected_day=expected_day,
            expected_week=expected_week,
            spread=self._spread(n),
            u3=_gb(u3),
            e3=_gb(e3),
            u168=_gb(u168),
            x3=_gb(self._x_total.last(3)),
            x24=_gb(self._x_total.last(DAY)),
            x72=np.maximum(_gb(self._u_total.last(3 * DAY) - self._e_total.last(3 * DAY)), 0),
            x168=np.maximum(_gb(u168 - e168), 0),
            steady=self._steady(),
        )

    def _steady(self) -> Numbers:
        """Return what goes on steadily: nothing in a daily bill, where a burst looks the same."""
        least = least_of_last(self._net3.since(17), 18)
        steady: Numbers = np.zeros(least.shape) if self._is_daily else np.maximum(least, 0) / (3 * _BILLIONTHS)
        return steady

    def _spread(self, n: Numbers) -> Numbers:
        """Return the mean deviation of the week before the hour, or before the day."""
        ago = DAY if self._is_daily else 1
        spread: Numbers = _gb(self._deviation_total.last(_WEEK, ago)) / np.clip(n - ago + 1, 1, _WEEK)
        return spread

    def _expected(self, u: Numbers) -> tuple[Numbers | None, Numbers | None, Numbers]:
        """Return what the days before say and what the weeks before do, None where there are none, and what counts."""
        # Of this day's hours and the two before: the last hour's neighbour is yet to come.
        hours = self._u.since(2)
        self._around.append(np.maximum(np.maximum(hours[:-2], hours[1:-1]), hours[2:]))
        days, weeks = range(1, min(self._day, 7) + 1), range(7, min(self._day, 28) + 1, 7)
        if not days:
            return None, None, u
        expected_day = median([self._u.lag(back * DAY) for back in days])
        if not weeks:
            return expected_day, None, expected_day
        expected_week = median([self._u.lag(back * DAY) for back in weeks])
        if len(weeks) < 2:
            return expected_day, expected_week, expected_day
        if self._is_daily:
            return expected_day, expected_week, expected_week
        # Its rows are an hour late.
        around = median([self._around.lag(back * DAY - 1) for back in weeks])
        return expected_day, expected_week, np.maximum(expected_week, np.minimum(u, around))

    def _moved(self, u: Numbers, alone: Numbers) -> Numbers:
        """Expect what has vanished from some series of a group of those that rise."""
        above = np.maximum(u - alone, 0)
        vanished = self._groups.total(_exact((alone - u) * (u < 0.5 * alone)))
        risen = self._groups.total(_exact(above))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.minimum(_gb(vanished) / _gb(risen), 1)
        share[risen == 0] = 0
        moved: Numbers = above * self._groups.of_each(share)
        return alone + moved

    def _price(self, u: Numbers, c: Numbers) -> Numbers:
        """Return dollars a GB: of the hour, or of the week before it, or 0."""
        u_week, c_week = _gb(self._u_total.last(_WEEK, 1)), _gb(self._c_total.last(_WEEK, 1))
        price: Numbers = np.zeros_like(u)
        np.divide(c_week, u_week, out=price, where=u_week > 0)
        np.divide(c, u, out=price, where=u > 0)
        return price

    def _against_expected(self, day: _Day) -> dict[str, Numbers]:
        u, e, n = day.u, day.e, day.n
        before = DAY if self._is_daily else 3
        n3, n24, n24_before = np.minimum(n + 1, 3), np.minimum(n + 1, DAY), np.clip(n - before + 1, 0, DAY)
        self._far_above.append(u > e + 2 * day.spread + 0.1)
        u24_before = _gb(self._u_total.last(DAY, before)) / np.maximum(n24_before, 1)
        nothing = np.zeros_like(u)
        of_week = nothing if day.expected_week is None else _above(u + _GB, day.expected_week + _GB)
        of_day = nothing if day.expected_day is None else _above(u + _GB, day.expected_day + _GB)
        return {
            "residual_spread": np.log(1 + np.maximum(u - e, 0) / (day.spread + 0.1 * e + 0.1)),
            "ratio_week_log": of_week,
            "ratio_day_log": of_day,
            "ratio_smallest_log": of_day if day.expected_week is None else np.minimum(of_week, of_day),
            "ratio_3h_log": _above(day.u3 + n3 / 10, day.e3 + n3 / 10),
            "ratio_24h_log": _above(day.u24 + n24 / 10, day.e24 + n24 / 10),
            "ratio_7d_log": nothing if self._day < 21 else _above(day.u168 + 16.8, self._usual_week() + 16.8),
            "acceleration_log": np.where(n24_before, _above(day.u3 / n3 + 0.1, u24_before + 0.1), 0),
            "persistence": self._far_above.last(DAY) / n24,
        }

    def _usual_week(self) -> Numbers:
        """Return the median of the three weeks before."""
        one, two, three = (self._u168.lag(back * _WEEK) for back in (1, 2, 3))
        largest, least = np.maximum(np.maximum(one, two), three), np.minimum(np.minimum(one, two), three)
        return one + two + three - largest - least

    def _against_habit(self, day: _Day) -> dict[str, Numbers]:
        usual_x3, usual_x24 = self._usual_x3.with_next(day.x3), self._usual_x24.with_next(day.x24)
        usual_x72, usual_x168 = self._usual_x72.with_next(day.x72), self._usual_x168.with_next(day.x168)
        usual_steady = self._usual_steady.with_next(day.steady)
        peers_x24 = self._habit_of_peers(day, usual_x24)
        rows = {
            "three_day_excess_gb": day.x72,
            # A burst of some hours is ordinary, also where five weeks had none: it is held against the usual day.
            "usual_three_day_excess_gb": np.maximum(np.maximum(usual_x72, peers_x24), 0.6 * day.e24),
            "steady_excess_gb": day.steady,
            "usual_steady_excess_gb": np.maximum(usual_steady, peers_x24 / 24),
            "three_hour_excess_gb": day.x3,
            "usual_three_hour_excess_gb": np.maximum(np.maximum(usual_x3, peers_x24 / 8), 0.6 * day.e3),
            **dict.fromkeys(_HABITS, np.zeros_like(day.u)),
        }
        if self._day >= 4:
            of_3, of_24, steadily = 0.1 * day.e3, 0.05 * day.e24, 0.05 * day.e24 / DAY
            rows["above_habit_3h_log"] = _above(day.x3 + 0.3 + of_3, usual_x3 + 0.3 + of_3)
            rows["above_habit_24h_log"] = _above(day.x24 + 2.4 + of_24, usual_x24 + 2.4 + of_24)
            rows["above_habit_steady_log"] = _above(day.steady + 0.1 + steadily, usual_steady + 0.1 + steadily)
        if self._day >= 21:
            of_168 = 0.05 * day.u168
            rows["above_habit_7d_log"] = _above(day.x168 + 16.8 + of_168, usual_x168 + 16.8 + of_168)
        return rows

    def _habit_of_peers(self, day: _Day, usual_x24: Numbers) -> Numbers:
        """Return what stands for the habit of a series in its first week: a part of the largest of its group."""
        is_grown_up = day.n >= self._series.first_hour + _WEEK
        if is_grown_up.all():
            return np.zeros_like(usual_x24)
        largest = self._groups.largest(day.while_it_lasts(np.where(is_grown_up, usual_x24, 0)))
        return np.where(is_grown_up, 0, 0.125 * self._groups.of_each(largest))

    def _against_the_month(self, day: _Day) -> dict[str, Numbers]:
        """Hold the hour against the hours from 28 days to one day before."""
        is_busy = day.u >= _GB
        self._busy.append(is_busy)
        self._busy_in_region.append(self._regions.largest(is_busy))
        largest = self._largest_u.with_next(day.u)
        nothing = np.zeros_like(day.u)
        if self._day == 0:
            return dict.fromkeys(("above_range_log", "novelty", "region_novelty"), nothing)
        hours = _MONTH - DAY + 1
        busy_share = self._busy.last(hours, DAY) / np.minimum(day.n - DAY + 1, hours)
        used = self._regions.of_each(1 / (1 + self._busy_in_region.last(hours, DAY)))
        return {
            "above_range_log": _above(day.u + _GB, largest + _GB),
            "novelty": np.maximum(is_busy - busy_share, 0),
            "region_novelty": nothing if self._day < 2 else is_busy * used,
        }

    def _against_others(self, day: _Day) -> dict[str, Numbers]:
        """Hold the series against all of its account and class."""
        u24, e24 = day.while_it_lasts(day.u24_exact), day.while_it_lasts(day.e24_exact)
        class_u24, class_e24 = _gb(self._classes.total(u24)), _gb(self._classes.total(e24))
        usual_largest = self._usual_u24_of_class.with_next(_gb(self._classes.largest(u24)))
        account_u, account_e = _gb(self._accounts.total(day.u_exact)), _gb(self._accounts.total(day.e_exact))
        of_each = self._classes.of_each
        return {
            "account_share_change": np.maximum(
                day.u / (self._accounts.of_each(account_u) + 0.1) - day.e / (self._accounts.of_each(account_e) + 0.1), 0
            ),
            "above_peers_log": (
                np.zeros_like(day.u) if self._day < 4 else _above(day.u24 + 2.4, of_each(usual_largest) + 2.4)
            ),
            "class_ratio_24h_log": (day.u >= _GB) * of_each(_above(class_u24 + 2.4, class_e24 + 2.4)),
            "class_excess_log": np.log(1 + np.maximum(day.u24 - day.e24, 0) / of_each(class_e24 + 2.4)),
        }


def _exact(values: Numbers) -> Numbers:
    """Return the nearest whole billionths, halves away from zero."""
    scaled = values * _BILLIONTHS
    return (scaled + np.copysign(_ALMOST_HALF, scaled)).astype(np.int64)


def _gb(exact: Numbers) -> Numbers:
    return exact / _BILLIONTHS


def _above(value: Numbers, usual: Numbers) -> Numbers:
    """Return ln(value / usual), or 0 where it is below."""
    return np.maximum(np.log(value / usual), 0)
