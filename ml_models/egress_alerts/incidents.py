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
series in the incident, and a tenth of the floor's share of an hour. Smaller hours after it are left out, until an hour
that matters comes or they reach a floor by themselves. An incident without hours that matter for `ended_after_hours`
has ended. Its series reopen it within `incident_gap_hours` when they reach a floor again.

Other series of the account and region join an incident within `sibling_hours`, unless they show another cause: a new
resource never joins an incident of old ones, and a burst at night never joins an incident that began hours before.

The hours of a daily bill are decided together when their day is over, so that incidents begin and end with a day.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections import defaultdict, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from egress_alerts.policy import Floors, Policy
    from egress_alerts.series import Series

GATHERING_HOURS = 24
# With so many dollars above expected in an hour, the last three hours decide as well.
_LARGE_USD_PER_HOUR, _LARGE_TIMES = 20.0, 5.0
# An item of DynamoDB holds 400 KB; the record takes the rest. What goes on beyond is another alert.
MAX_PACKED_BYTES = 360_000
# A resource is new while its expected GB an hour are below this: a share of what it sends would call any old resource
# new once the incident is large enough.
NEW_EXPECTED_GB = 0.01
SHORT_HOURS = 12
_NIGHT_UTC = {22, 23, 0, 1, 2, 3, 4, 5}
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


# What `packing` takes at most for an hour: eight bytes a field.
_PACKED_HOUR = 8 * len(Hour._fields)


def _packed_texts(texts: Iterable[str]) -> int:
    """Return the bytes that `packing` takes at most for texts: in JSON a character takes up to six."""
    return sum(6 * len(text) + 8 for text in texts)


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
            member = self.members.get(hour.series)
            if member is None:
                member = self.members[hour.series] = {}
            member[hour.hour] = hour

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


class _Growing:
    """An incident that may take hours in, with what decides on the next hour."""

    __slots__ = ("end", "incident", "is_touched", "members", "size", "start")

    def __init__(self, incident: Incident) -> None:
        self.incident = incident
        self.is_touched = False
        self.size = self.start = self.end = 0
        self.members: list[_Member] = []
        for series, hours in incident.members.items():
            self.join(series).add([hours[hour] for hour in sorted(hours)], is_kept=True)

    @property
    def key(self) -> tuple[int, str]:
        return self.incident.detected, self.incident.alert_id

    def join(self, series: Series) -> _Member:
        member = _Member(self, series)
        self.members.append(member)
        self.size += _packed_texts(series)
        return member


class _Member:
    """A series in an incident, with running sums."""

    __slots__ = ("cost_usd", "excess_gb", "excess_usd", "growing", "hours", "last", "rows", "texts")

    def __init__(self, growing: _Growing, series: Series) -> None:
        self.growing = growing
        self.rows = growing.incident.members.setdefault(series, {})
        self.texts: set[str] = set()
        self.hours, self.last = 0, -1
        self.excess_usd = self.excess_gb = self.cost_usd = 0.0

    def add(self, rows: Sequence[Hour], *, is_kept: bool = False) -> None:
        growing = self.growing
        growing.is_touched |= not is_kept
        growing.start = min(growing.start, rows[0].hour) if growing.size and growing.end else rows[0].hour
        for row in rows:
            self.rows[row.hour] = row
            self.excess_usd += row.cost_usd - row.expected_cost_usd
            self.excess_gb += row.usage_gb - row.expected_usage_gb
            self.cost_usd += row.cost_usd
            if row.usage_type not in self.texts or row.operation not in self.texts:
                self.texts |= {row.usage_type, row.operation}
                growing.size += _packed_texts((row.usage_type, row.operation))
        self.hours += len(rows)
        self.last = max(self.last, rows[-1].hour)
        growing.end = max(growing.end, rows[-1].hour)
        growing.size += _PACKED_HOUR * len(rows)


class _Recent(NamedTuple):
    """A rising hour, with its excess in millionths: whole numbers add up exactly, in any order."""

    row: Hour
    counts: bool
    micro_usd: int
    micro_gb: int


class _Track:
    """A series: its floors, its incidents, and its rising hours of the last 24 that none of them holds."""

    __slots__ = ("floors", "hours", "incidents", "micro_gb", "micro_usd", "priced_hours", "recent")

    def __init__(self, floors: Floors) -> None:
        self.floors = floors
        self.incidents: list[_Member] = []
        self.recent: deque[_Recent] = deque()
        self.hours = self.priced_hours = self.micro_usd = self.micro_gb = 0

    def clear(self) -> None:
        """Let an incident hold the hours."""
        if self.recent:
            self.recent.clear()
            self.hours = self.priced_hours = self.micro_usd = self.micro_gb = 0

    def remember(self, row: Hour, *, counts: bool) -> None:
        """Keep a rising hour for a day."""
        micro_usd = round((row.cost_usd - row.expected_cost_usd) * 1e6)
        micro_gb = round((row.usage_gb - row.expected_usage_gb) * 1e6)
        recent = _Recent(row, counts, micro_usd, micro_gb)
        self.recent.append(recent)
        self._sum(recent, 1)
        while self.recent[0].row.hour <= row.hour - GATHERING_HOURS:
            self._sum(self.recent.popleft(), -1)

    def _sum(self, recent: _Recent, sign: int) -> None:
        if recent.counts:
            self.hours += sign
            self.micro_usd += sign * recent.micro_usd
            self.micro_gb += sign * recent.micro_gb
            if recent.row.cost_usd:
                self.priced_hours += sign


class _Decision:
    def __init__(self, policy: Policy, open_incidents: Sequence[Incident], past: Iterable[Hour]) -> None:
        self._policy = policy
        self._tracks: dict[Series, _Track] = {}
        self._by_place: dict[tuple[str, ...], list[_Growing]] = {}
        self._incidents: list[_Growing] = []
        for incident in open_incidents:
            copy = Incident(incident.alert_id, incident.detected, {s: dict(m) for s, m in incident.members.items()})
            growing = _Growing(copy)
            self._keep(growing, next(iter(copy.members))[:2])
            for series, member in zip(copy.members, growing.members, strict=True):
                self._track(series).incidents.append(member)
        for row in sorted(past, key=lambda each: each.hour):
            track = self._track(row.series)
            if all(row.hour > known.last for known in track.incidents) and self._rises(row, track.floors):
                track.remember(row, counts=self._counts(row))

    def take(self, new: Iterable[Hour]) -> list[Incident]:
        by_time: defaultdict[int, defaultdict[_Track, list[Hour]]] = defaultdict(lambda: defaultdict(list))
        for row in sorted(new, key=lambda each: each.hour):
            by_time[row.decided_at][self._track(row.series)].append(row)
        for time in sorted(by_time):
            # The largest leads: the alert is named after it.
            for track, rows in sorted(by_time[time].items(), key=_largest_first):
                self._take(track, rows)
        return [known.incident for known in sorted(self._incidents, key=lambda each: each.key) if known.is_touched]

    def _take(self, track: _Track, rows: list[Hour]) -> None:
        """Decide on an hour of a series, or on the hours of its day, which are all alike."""
        row = rows[-1]
        if not self._rises(row, track.floors):
            return
        counts = self._counts(row)
        known = self._latest(track, row) if counts else None
        if known is not None and self._goes_on(known, track, rows):
            # Small hours between two that matter are part of it: they do not extend it.
            known.add([*(recent.row for recent in track.recent if recent.counts), *rows])
            track.clear()
            return
        for each in rows:
            track.remember(each, counts=counts)
        if counts and self._reaches_a_floor(track):
            # With what rose before it was more than habit: it is where the incident began, and costs money too.
            hours = _from_the_first_that_matters([recent.row for recent in track.recent])
            known = known or self._join(track, row.series, self._sibling(row, hours) or self._opened(hours, row))
            known.add(hours)
            track.clear()

    def _track(self, series: Series) -> _Track:
        track = self._tracks.get(series)
        if track is None:
            track = self._tracks[series] = _Track(self._policy.floors(series.account_id, series.egress_class))
        return track

    def _join(self, track: _Track, series: Series, growing: _Growing) -> _Member:
        member = growing.join(series)
        track.incidents.append(member)
        return member

    def _keep(self, growing: _Growing, place: tuple[str, ...]) -> None:
        self._incidents.append(growing)
        insort(self._by_place.setdefault(place, []), growing, key=lambda each: each.key)

    def _rises(self, row: Hour, floors: Floors) -> bool:
        excess_gb = row.usage_gb - row.expected_usage_gb
        return excess_gb > 0 and excess_gb >= floors.min_excess_percent / 100 * row.expected_usage_gb

    def _counts(self, row: Hour) -> bool:
        """Whether a rising hour exceeds the habit of its series."""
        times = self._policy.min_times_usual_excess
        by_days = row.three_day_excess_gb >= times * row.usual_three_day_excess_gb
        steadily = 0 < row.steady_excess_gb >= times * row.usual_steady_excess_gb
        return by_days or steadily or self._is_large(row)

    def _is_large(self, row: Hour) -> bool:
        """Whether an hour costs so much that three hours are enough; a daily bill does not show three hours."""
        times = max(_LARGE_TIMES, self._policy.min_times_usual_excess)
        is_beyond = 0 < row.three_hour_excess_gb >= times * row.usual_three_hour_excess_gb
        return is_beyond and row.excess_usd >= _LARGE_USD_PER_HOUR and not row.is_daily

    def _reaches_a_floor(self, track: _Track) -> bool:
        """Whether the hours that count, and that no incident holds, are enough for an alert."""
        lasting = self._policy.lasting_hours
        weight = min(track.hours, lasting)
        if track.priced_hours:
            return weight * track.micro_usd >= lasting * track.floors.min_excess_usd * 1e6
        return weight * track.micro_gb >= lasting * track.floors.min_excess_gb * 1e6

    def _latest(self, track: _Track, row: Hour) -> _Member | None:
        """Return the series as a member of the incident that may still take hours in."""
        latest = None
        for known in track.incidents:
            if self._is_open(known.growing, row.hour) and (latest is None or _order(known) > _order(latest)):
                latest = known
        return latest

    def _is_open(self, growing: _Growing, hour: int) -> bool:
        return growing.size < MAX_PACKED_BYTES and hour - growing.end <= self._policy.incident_gap_hours

    def _goes_on(self, known: _Member, track: _Track, rows: list[Hour]) -> bool:
        """Whether an incident has not ended, and the hours matter to it."""
        if rows[0].hour - known.growing.end > self._policy.ended_after_hours:
            return False
        row = rows[-1]
        if known.cost_usd == 0 and row.cost_usd == 0:
            return row.excess_gb >= _MATTERS * max(known.excess_gb / known.hours, track.floors.min_excess_gb / 24)
        return row.excess_usd >= _MATTERS * max(known.excess_usd / known.hours, track.floors.min_excess_usd / 24)

    def _sibling(self, row: Hour, hours: list[Hour]) -> _Growing | None:
        """Return the first incident of the account and region that the hours of another series belong to."""
        near = self._by_place.get(row.series[:2], [])
        first = bisect_left(near, row.decided_at - self._policy.sibling_hours, key=lambda each: each.incident.detected)
        room = MAX_PACKED_BYTES - _packed_texts(row.series)
        for known in (near[place] for place in range(first, len(near))):
            if known.size < room and self._is_open(known, row.hour) and _is_related(known, hours):
                return known
        return None

    def _opened(self, hours: list[Hour], row: Hour) -> _Growing:
        identity = "\x1f".join([*row.series, str(hours[0].hour)])
        incident = Incident(hashlib.sha256(identity.encode()).hexdigest()[:16], row.decided_at)
        growing = _Growing(incident)
        self._keep(growing, row.series[:2])
        return growing


def _order(member: _Member) -> tuple[int, tuple[int, str]]:
    return member.growing.end, member.growing.key


def is_new_resource(hours: list[Hour]) -> bool:
    """Return whether next to nothing was expected of a series: its resource was not there before."""
    return sum(hour.expected_usage_gb for hour in hours) < NEW_EXPECTED_GB * len(hours)


def is_off_hours_burst(hours: list[Hour]) -> bool:
    """Return whether a series sends to the internet for a few hours, all at night or on a weekend (UTC)."""
    is_short = not hours[0].is_daily and len(hours) <= SHORT_HOURS
    to_the_internet = hours[0].series.egress_class == "internet"
    return to_the_internet and is_short and all(_is_off_hours(hour.hour) for hour in hours)


def _is_off_hours(hour: int) -> bool:
    # 1970-01-01 was a Thursday.
    return hour % 24 in _NIGHT_UTC or (hour // 24 + 3) % 7 >= 5


def _is_related(growing: _Growing, hours: list[Hour]) -> bool:
    """Whether hours of another series may have the cause of an incident.

    A new resource is a cause of its own, and so is what rises at night hours after the incident began. A gateway that
    meters the bytes of a new sender again belongs to it.
    """
    lead = list(growing.members[0].rows.values())
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
    sent = growing.members[0].rows
    there = [(row.excess_gb, sent[row.hour].excess_gb) for row in hours if row.hour in sent]
    metered, original = (sum(gb) for gb in zip(*there, strict=True)) if there else (0.0, 0.0)
    return 0 < original <= _SAME_BYTES * metered <= _SAME_BYTES**2 * original


def _from_the_first_that_matters(hours: list[Hour]) -> list[Hour]:
    usd, gb = sum(row.excess_usd for row in hours), sum(row.excess_gb for row in hours)
    is_free = all(row.cost_usd == 0 for row in hours)
    least = _MATTERS * (gb if is_free else usd) / len(hours)
    first = next(i for i, row in enumerate(hours) if (row.excess_gb if is_free else row.excess_usd) >= least)
    return hours[first:]


def _largest_first(item: tuple[_Track, list[Hour]]) -> tuple[float, float, Series]:
    rows = item[1]
    row = rows[0]
    if len(rows) == 1:
        return row.expected_cost_usd - row.cost_usd, row.expected_usage_gb - row.usage_gb, row.series
    return -sum(row.excess_usd for row in rows), -sum(row.excess_gb for row in rows), row.series
