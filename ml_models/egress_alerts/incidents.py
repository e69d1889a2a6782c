"""Finds incidents in anomalous hours. Pure, and causal by hour.

A decision at an hour depends only on that hour and earlier ones. Hours may arrive one by one, by the day or all at
once, and give the same incidents.

An hour of a series counts when all of this is true:

- The model finds it unusual.
- It is above expected by the floor in percent.
- It exceeds the habit of its series by a factor. Habit is what the series did in the five weeks before. One of these is
  enough: the excess of the last three days, compared with any three days and with 0.6 of an expected day; the steady
  excess of the last 18 hours; or, where the hour costs $20 more than expected, the excess of the last three hours, by
  five times. A job that runs for some hours now and then has large days by habit, but no steady excess.

A series opens an incident when its counting hours of the last 24 hours reach the floor in dollars, or the floor in GB
if the bill prices all of them at $0 (free tiers hide true spikes). The floors are for lasting incidents: below 12
counting hours (`lasting_hours`) they rise in proportion, and a single hour needs twelve times as much. Unusual hours of
these 24 that did not count yet become part of the incident, because it began there.

An incident goes on with each hour that matters: a counting hour that carries at least a tenth of the usual hour of its
series in the incident, and a tenth of the floor's share of an hour. Smaller hours are left out until they reach a floor
by themselves. An incident without hours that matter for `ended_after_hours` has ended. Its series reopen it within
`incident_gap_hours` when they reach a floor again.

Other series of the account and region join an incident within `sibling_hours`, unless they show another cause: a new
resource never joins an incident of old ones, and a burst at night never joins an incident that began hours before.

The hours of a daily bill are decided together when their day is over, so that incidents begin and end with a day.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from egress_alerts.signatures import is_new_resource, is_off_hours_burst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from egress_alerts.policy import Floors, Policy
    from egress_alerts.series import Series

GATHERING_HOURS = 24
# With so many dollars above expected in an hour, the last three hours decide as well.
_LARGE_USD_PER_HOUR, _LARGE_TIMES = 20.0, 5.0
# Bounds an incident's item in DynamoDB (400 KB); what goes on beyond becomes another alert.
MAX_SERIES_HOURS = 4000
# An hour matters from this share of the usual hour and of the floor on.
_MATTERS = 0.1
# What rises so many hours after an incident began has a beginning of its own.
_TOGETHER_HOURS = 3
# A gateway meters the bytes of a sender again; both then rise by GB of the same order.
_SAME_BYTES = 2.0


class Hour(NamedTuple):
    """One anomalous hour of a series; amounts are rounded to 6 decimals.

    `three_day_excess_gb` is the excess of its last 72 hours, `steady_excess_gb` the least hourly excess of any 3 of its
    last 18 hours, and `three_hour_excess_gb` the excess of its last 3 hours. Each `usual_...` is the largest of the
    same in the five weeks before, or a share of the expected GB where that is more.
    """

    hour: int
    series: Series
    usage_gb: float
    expected_usage_gb: float
    egress_gb: float
    expected_egress_gb: float
    cost_usd: float
    expected_cost_usd: float
    anomaly_score: float
    usage_type: str
    operation: str
    is_provisional: bool
    # Taken from flow logs and priced by list price, since the bill has not reached the hour.
    is_estimated: bool = False
    three_day_excess_gb: float = 0.0
    usual_three_day_excess_gb: float = 0.0
    steady_excess_gb: float = 0.0
    usual_steady_excess_gb: float = 0.0
    three_hour_excess_gb: float = 0.0
    usual_three_hour_excess_gb: float = 0.0
    # The share of the training hours in which something happened that score as low; None where the model gives none.
    p_value: float | None = None
    # One of 24 equal parts of a day of a daily bill.
    is_daily: bool = False

    @property
    def decided_at(self) -> int:
        """The hour at which it is decided on: the last one of its day where the bill is daily."""
        return self.hour - self.hour % 24 + 23 if self.is_daily else self.hour

    @property
    def excess_usd(self) -> float:
        """Dollars above what was expected."""
        return self.cost_usd - self.expected_cost_usd

    @property
    def excess_gb(self) -> float:
        """GB above what was expected."""
        return self.usage_gb - self.expected_usage_gb


@dataclass
class Incident:
    """Anomalous hours of one or more series of one account and region."""

    alert_id: str
    detected: int
    members: dict[Series, dict[int, Hour]] = field(default_factory=dict)

    @property
    def hours(self) -> list[Hour]:
        """All anomalous hours, by hour and series."""
        return sorted(hour for member in self.members.values() for hour in member.values())

    @property
    def start(self) -> int:
        """The first anomalous hour."""
        return min(min(member) for member in self.members.values())

    @property
    def end(self) -> int:
        """The last anomalous hour."""
        return max(max(member) for member in self.members.values())

    @property
    def is_daily(self) -> bool:
        """Whether the bill says its days alone."""
        return any(hour.is_daily for member in self.members.values() for hour in member.values())

    def add(self, hours: Iterable[Hour]) -> None:
        """Take hours in; an hour that is there already is replaced, never added up."""
        for hour in hours:
            self.members.setdefault(hour.series, {})[hour.hour] = hour

    def before(self, end: int) -> Incident:
        """Return the incident as it was when `end` had not come yet."""
        return self._only(lambda hour: hour < end)

    def since(self, start: int) -> list[Hour]:
        """Return the hours from `start` on."""
        return [hour for hour in self.hours if hour.hour >= start]

    def _only(self, keep: Callable[[int], bool]) -> Incident:
        kept = {s: {h: row for h, row in member.items() if keep(h)} for s, member in self.members.items()}
        return Incident(self.alert_id, self.detected, {s: member for s, member in kept.items() if member})


def find_incidents(
    policy: Policy, open_incidents: Sequence[Incident], past: Iterable[Hour], new: Iterable[Hour]
) -> list[Incident]:
    """Take new hours into incidents.

    Parameters
    ----------
    policy : Policy
        Floors, gap and sibling hours.
    open_incidents : sequence of Incident
        As they stood before the first new hour.
    past : iterable of Hour
        Anomalous hours of the 24 hours before the first new one: they count towards the floor.
    new : iterable of Hour
        Anomalous hours to decide on.

    Returns
    -------
    list of Incident
        Those that are new or grew; the given ones are not changed.
    """
    return _Decision(policy, open_incidents, past).take(new)


@dataclass
class _SeriesTally:
    """Running sums of one series in an incident."""

    hours: int = 0
    last: int = 0
    excess_usd: float = 0.0
    excess_gb: float = 0.0
    cost_usd: float = 0.0

    def add(self, row: Hour) -> None:
        self.hours += 1
        self.last = max(self.last, row.hour)
        self.excess_usd += row.excess_usd
        self.excess_gb += row.excess_gb
        self.cost_usd += row.cost_usd


class _Growing:
    """An incident that may take hours in, with the sums that decide on the next hour."""

    def __init__(self, incident: Incident) -> None:
        self.incident = incident
        self.hours = 0
        self.start = self.end = 0
        self.by_series: dict[Series, _SeriesTally] = {}
        for member in incident.members.values():
            self._tally(sorted(member.values()))

    @property
    def key(self) -> tuple[int, str]:
        return self.incident.detected, self.incident.alert_id

    @property
    def lead(self) -> list[Hour]:
        """The hours of the series that opened it."""
        return list(next(iter(self.incident.members.values())).values())

    def add(self, rows: Sequence[Hour]) -> None:
        self.incident.add(rows)
        self._tally(rows)

    def _tally(self, rows: Sequence[Hour]) -> None:
        tally = self.by_series.setdefault(rows[0].series, _SeriesTally())
        for row in rows:
            tally.add(row)
        self.start = min(self.start, rows[0].hour) if self.hours else rows[0].hour
        self.end = max(self.end, rows[-1].hour)
        self.hours += len(rows)


class _Recent(NamedTuple):
    row: Hour
    counts: bool


class _Decision:
    def __init__(self, policy: Policy, open_incidents: Sequence[Incident], past: Iterable[Hour]) -> None:
        self._policy = policy
        self._by_series: dict[Series, list[_Growing]] = {}
        self._by_place: dict[tuple[str, str], list[_Growing]] = {}
        self._touched: dict[str, Incident] = {}
        self._recent: dict[Series, dict[int, _Recent]] = {}
        self._floors_of: dict[tuple[str, str], Floors] = {}
        for incident in open_incidents:
            copy = Incident(incident.alert_id, incident.detected, {s: dict(m) for s, m in incident.members.items()})
            self._keep(_Growing(copy))
        for hour in sorted(past, key=lambda each: each.hour):
            self._remember(hour)

    def take(self, new: Iterable[Hour]) -> list[Incident]:
        by_time: dict[int, dict[Series, list[Hour]]] = {}
        for row in sorted(new, key=lambda each: each.hour):
            by_time.setdefault(row.decided_at, {}).setdefault(row.series, []).append(row)
        for time in sorted(by_time):
            # The largest leads: the alert is named after it.
            for rows in sorted(by_time[time].values(), key=_largest_first):
                self._take(rows)
        return sorted(self._touched.values(), key=lambda incident: (incident.detected, incident.alert_id))

    def _take(self, rows: list[Hour]) -> None:
        """Decide on an hour of a series, or on the hours of its day, which are all alike."""
        row = rows[-1]
        if not [self._remember(each) for each in rows][-1]:
            return
        known = self._latest(row)
        if known is not None and self._goes_on(known, rows):
            self._add(known, rows)
            return
        gathered = self._gathered(row.series)
        if self._reaches_a_floor([recent.row for recent in gathered if recent.counts]):
            # With what rose before it was more than habit: it is where the incident began, and costs money too.
            hours = _from_the_first_that_matters([recent.row for recent in gathered])
            self._add(known or self._sibling(row, hours) or self._opened(hours, row), hours)

    def _add(self, growing: _Growing, rows: Sequence[Hour]) -> None:
        is_member = rows[0].series in growing.by_series
        growing.add(rows)
        if not is_member:
            self._by_series.setdefault(rows[0].series, []).append(growing)
        self._touched[growing.incident.alert_id] = growing.incident

    def _keep(self, growing: _Growing) -> None:
        for series in growing.by_series:
            self._by_series.setdefault(series, []).append(growing)
        place = next(iter(growing.incident.members))[:2]
        insort(self._by_place.setdefault(place, []), growing, key=lambda each: each.key)

    def _remember(self, row: Hour) -> bool:
        """Keep an hour for a day when it rises, and return whether it counts."""
        if not self._rises(row):
            return False
        hours = self._recent.setdefault(row.series, {})
        counts = self._counts(row)
        hours[row.hour] = _Recent(row, counts)
        oldest = next(iter(hours))
        while oldest <= row.hour - GATHERING_HOURS:
            del hours[oldest]
            oldest = next(iter(hours))
        return counts

    def _gathered(self, series: Series) -> list[_Recent]:
        """Return the rising hours of the last 24 that no incident holds yet."""
        held = max((growing.by_series[series].last for growing in self._by_series.get(series, ())), default=-1)
        return [recent for hour, recent in self._recent[series].items() if hour > held]

    def _counts(self, row: Hour) -> bool:
        return self._rises(row) and self._is_new(row)

    def _rises(self, row: Hour) -> bool:
        floor = self._floors(row).min_excess_percent / 100 * row.expected_usage_gb
        return row.excess_gb > 0 and row.excess_gb >= floor

    def _floors(self, row: Hour) -> Floors:
        scope = row.series.account_id, row.series.egress_class
        floors = self._floors_of.get(scope)
        if floors is None:
            floors = self._floors_of[scope] = self._policy.floors(*scope)
        return floors

    def _is_new(self, row: Hour) -> bool:
        times = self._policy.min_times_usual_excess
        by_days = row.three_day_excess_gb >= times * row.usual_three_day_excess_gb
        steadily = 0 < row.steady_excess_gb >= times * row.usual_steady_excess_gb
        return by_days or steadily or self._is_large(row)

    def _is_large(self, row: Hour) -> bool:
        """Whether an hour costs so much that three hours are enough; a daily bill does not show three hours."""
        times = max(_LARGE_TIMES, self._policy.min_times_usual_excess)
        is_beyond = 0 < row.three_hour_excess_gb >= times * row.usual_three_hour_excess_gb
        return is_beyond and row.excess_usd >= _LARGE_USD_PER_HOUR and not row.is_daily

    def _reaches_a_floor(self, recent: list[Hour]) -> bool:
        if not recent:
            return False
        floors = self._floors(recent[0])
        weight = min(len(recent) / self._policy.lasting_hours, 1.0)
        if sum(row.cost_usd for row in recent) == 0:
            return weight * sum(row.excess_gb for row in recent) >= floors.min_excess_gb
        return weight * sum(row.excess_usd for row in recent) >= floors.min_excess_usd

    def _latest(self, row: Hour) -> _Growing | None:
        """Return the incident of the row's series that may still take hours in."""
        candidates = [known for known in self._by_series.get(row.series, ()) if self._is_open(known, row.hour)]
        return max(candidates, key=lambda known: (known.end, known.key), default=None)

    def _is_open(self, growing: _Growing, hour: int) -> bool:
        return growing.hours < MAX_SERIES_HOURS and hour - growing.end <= self._policy.incident_gap_hours

    def _goes_on(self, growing: _Growing, rows: list[Hour]) -> bool:
        """Whether an incident has not ended, and the hours matter to it."""
        if rows[0].hour - growing.end > self._policy.ended_after_hours:
            return False
        row, usual, floors = rows[-1], growing.by_series[rows[-1].series], self._floors(rows[-1])
        if usual.cost_usd == 0 and row.cost_usd == 0:
            return row.excess_gb >= _MATTERS * max(usual.excess_gb / usual.hours, floors.min_excess_gb / 24)
        return row.excess_usd >= _MATTERS * max(usual.excess_usd / usual.hours, floors.min_excess_usd / 24)

    def _sibling(self, row: Hour, hours: list[Hour]) -> _Growing | None:
        """Return the first incident of the account and region that the hours of another series belong to."""
        near = self._by_place.get(row.series[:2], [])
        first = bisect_left(near, row.decided_at - self._policy.sibling_hours, key=lambda each: each.incident.detected)
        candidates = (near[place] for place in range(first, len(near)))
        return next(
            (known for known in candidates if self._is_open(known, row.hour) and _is_related(known, hours)), None
        )

    def _opened(self, hours: list[Hour], row: Hour) -> _Growing:
        identity = "\x1f".join([*row.series, str(hours[0].hour)])
        incident = Incident(hashlib.sha256(identity.encode()).hexdigest()[:16], row.decided_at)
        growing = _Growing(incident)
        insort(self._by_place.setdefault(row.series[:2], []), growing, key=lambda each: each.key)
        return growing


def _is_related(growing: _Growing, hours: list[Hour]) -> bool:
    """Whether hours of another series may have the cause of an incident.

    A new resource is a cause of its own, and so is what rises at night hours after the incident began. A gateway that
    meters the bytes of a new sender again belongs to it.
    """
    lead = growing.lead
    resource = hours[0].series.resource_id
    if resource and resource == lead[0].series.resource_id:
        return True
    if is_new_resource(hours) or is_new_resource(lead):
        return is_new_resource(lead) and (is_new_resource(hours) or _meters_again(hours, growing))
    return hours[0].hour - growing.start <= _TOGETHER_HOURS or not is_off_hours_burst(hours)


def _meters_again(hours: list[Hour], growing: _Growing) -> bool:
    """Whether a gateway's hours carry about the GB that the leading series sends in the same hours."""
    if any(row.egress_gb for row in hours):
        return False
    sent = next(iter(growing.incident.members.values()))
    there = [(row.excess_gb, sent[row.hour].excess_gb) for row in hours if row.hour in sent]
    metered, original = (sum(gb) for gb in zip(*there, strict=True)) if there else (0.0, 0.0)
    return 0 < original <= _SAME_BYTES * metered <= _SAME_BYTES**2 * original


def _from_the_first_that_matters(hours: list[Hour]) -> list[Hour]:
    usd, gb = sum(row.excess_usd for row in hours), sum(row.excess_gb for row in hours)
    is_free = all(row.cost_usd == 0 for row in hours)
    least = _MATTERS * (gb if is_free else usd) / len(hours)
    first = next(i for i, row in enumerate(hours) if (row.excess_gb if is_free else row.excess_usd) >= least)
    return hours[first:]


def _largest_first(rows: list[Hour]) -> tuple[float, float, Series]:
    return -sum(row.excess_usd for row in rows), -sum(row.excess_gb for row in rows), rows[0].series
