"""Finds incidents in anomalous hours. Pure, and causal by hour.

A decision at an hour depends only on that hour and earlier ones. Hours may arrive one by one, by the day or all at
once, and give the same incidents.

An hour of a series counts when all of this is true:

- The model finds it unusual: so few hours of the training weeks score as low (`max_p_value`).
- It is above expected by the floor in percent.
- It goes beyond the habit of its series, what it did in the five weeks before, by a factor. One of the model's own
  features says by how much (`times_habit`). The model alone would alert on growth: where every week is a little above
  the ones before, a little more is rare.

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

A level, which sums over resources, regions or accounts, alerts on what no incident below it holds. Of a level and what
it sums, what explains the excess opens the incident: the series that holds most of it, the few that hold nearly all, or
else the level. What is below an open level and holds less than most of its excess is part of it. So a fleet that rises
together is one incident, and so is one key in many regions. Levels of several accounts that begin together share one
incident as well.

The hours of a daily bill are decided together when their day is over, so that incidents begin and end with a day.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from egress_alerts.series import SUMMED
from egress_alerts.signatures import is_new_resource, is_off_hours_burst

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from egress_alerts.policy import Floors, Policy
    from egress_alerts.series import Series

GATHERING_HOURS = 24
# Bounds an incident's item in DynamoDB (400 KB); what goes on beyond becomes another alert.
MAX_SERIES_HOURS = 4000
# An hour matters from this share of the usual hour and of the floor on.
_MATTERS = 0.1
# What rises so many hours after an incident began has a beginning of its own; small crowds show theirs later.
_TOGETHER_HOURS, _CROWD_TOGETHER_HOURS = 3, 6
# A series that holds most of a level's excess explains it, and so do a few that hold nearly all of it.
_MOST, _FEW, _NEARLY_ALL = 0.6, 3, 0.8
# What is left of a level beside recent incidents opens one of its own from this share of theirs on.
_LITTLE, _LOOK_BACK_HOURS = 0.3, 96
# Where nothing costs dollars, GB say which series is larger.
_PER_GB = 1e-6
# A gateway meters the bytes of a sender again; both then rise by GB of the same order.
_SAME_BYTES = 2.0


class Hour(NamedTuple):
    """One anomalous hour of a series; amounts are rounded to 6 decimals.

    `times_habit` is how many times as much its excess is as the largest of the five weeks before; it comes from the
    feature `beyond_habit_log`.
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
    times_habit: float = 0.0
    # The share of the material training hours that score as low; None where the model gives none.
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
    """An incident that may take hours in, with the sums that decide on the next hour."""

    def __init__(self, incident: Incident) -> None:
        self.incident = incident
        self.hours = 0
        self.start = self.end = 0
        self.usual: dict[Series, _Usual] = {}
        for member in incident.members.values():
            self._count([member[hour] for hour in sorted(member)])

    @property
    def key(self) -> tuple[int, str]:
        return self.incident.detected, self.incident.alert_id

    @property
    def lead(self) -> list[Hour]:
        """The hours of the series that opened it."""
        return list(next(iter(self.incident.members.values())).values())

    def add(self, rows: Sequence[Hour]) -> None:
        self.incident.add(rows)
        self._count(rows)

    def replace(self, row: Hour) -> None:
        """Put an hour in the place of the one that is there."""
        old, usual = self.incident.members[row.series][row.hour], self.usual[row.series]
        self.incident.add([row])
        usual.excess_usd += row.excess_usd - old.excess_usd
        usual.excess_gb += row.excess_gb - old.excess_gb
        usual.cost_usd += row.cost_usd - old.cost_usd

    def _count(self, rows: Sequence[Hour]) -> None:
        series = rows[0].series
        usual = self.usual.get(series)
        if usual is None:
            usual = self.usual[series] = _Usual()
        for row in rows:
            usual.hours += 1
            usual.excess_usd += row.cost_usd - row.expected_cost_usd
            usual.excess_gb += row.usage_gb - row.expected_usage_gb
            usual.cost_usd += row.cost_usd
        usual.last = max(usual.last, rows[-1].hour)
        self.start = min(self.start, rows[0].hour) if self.hours else rows[0].hour
        self.end = max(self.end, rows[-1].hour)
        self.hours += len(rows)


@dataclass(slots=True)
class _Usual:
    """Running sums of a series in an incident."""

    hours: int = 0
    last: int = -1
    excess_usd: float = 0.0
    excess_gb: float = 0.0
    cost_usd: float = 0.0

    @property
    def weight(self) -> float:
        """The excess of an hour, as `_weight` says it."""
        return (self.excess_usd + _PER_GB * self.excess_gb) / max(self.hours, 1)


class _Recent(NamedTuple):
    row: Hour
    counts: bool


@dataclass(slots=True)
class _Track:
    """A series: its floors, its incidents, and its rising hours of the last 24 that none of them holds."""

    floors: Floors
    incidents: list[_Growing]
    recent: list[_Recent]


class _Held:
    """How much of each level's excess incidents hold below it, by hour."""

    def __init__(self) -> None:
        self._excess: dict[tuple[Series, int], list[float]] = {}

    def add(self, row: Hour, sign: float = 1.0) -> None:
        """Note that an incident holds an hour, or no longer."""
        for level in row.series.levels:
            sums = self._excess.setdefault((level, row.hour), [0.0, 0.0])
            sums[0] += sign * row.excess_gb
            sums[1] += sign * row.excess_usd

    def rest(self, row: Hour) -> Hour:
        """Return what is left of an hour."""
        sums = self._excess.get((row.series, row.hour))
        return row if sums is None else _less(row, *sums)


class _Decision:
    def __init__(self, policy: Policy, open_incidents: Sequence[Incident], past: Iterable[Hour]) -> None:
        self._policy = policy
        self._tracks: dict[Series, _Track] = {}
        self._by_place: dict[tuple[str, str], list[_Growing]] = {}
        self._touched: dict[str, Incident] = {}
        self._held = _Held()
        past = sorted(past, key=lambda each: each.hour)
        hours = {row.hour for row in past}
        for incident in open_incidents:
            for row in (row for member in incident.members.values() for hour, row in member.items() if hour in hours):
                self._held.add(row)
            copy = Incident(incident.alert_id, incident.detected, {s: dict(m) for s, m in incident.members.items()})
            self._keep(_Growing(copy))
        for row in past:
            track = self._track(row.series)
            if all(row.hour > known.usual[row.series].last for known in track.incidents):
                self._remember(track, row)

    def take(self, new: Iterable[Hour]) -> list[Incident]:
        by_time: dict[int, dict[Series, list[Hour]]] = {}
        for row in sorted(new, key=lambda each: each.hour):
            by_time.setdefault(row.decided_at, {}).setdefault(row.series, []).append(row)
        for time in sorted(by_time):
            self._decide(list(by_time[time].values()))
        return sorted(self._touched.values(), key=lambda incident: (incident.detected, incident.alert_id))

    def _decide(self, turns: list[list[Hour]]) -> None:
        """Decide on an hour of all series, or on the hours of its day, which are all alike."""
        openings: list[Series] = []
        counting: list[Series] = []
        # What goes on comes first, from resources up: a level has what is left.
        for given in sorted(turns, key=lambda rows: (-len(rows[0].series.levels), _largest_first(rows))):
            series = given[0].series
            track = self._track(series)
            if not [self._remember(track, each) for each in given][-1]:
                continue
            rows = [self._held.rest(row) for row in given]
            known = self._latest(track, rows[-1])
            if known is not None and self._rises(track, rows[-1]) and self._goes_on(known, track, rows):
                self._add(known, track, rows)
                continue
            counting.append(series)
            if self._reaches_a_floor(track):
                openings.append(series)
        # What begins comes from the top, and the largest leads: the alert is named after it.
        now = {rows[0].series: rows for rows in turns}
        explaining = self._explaining(openings, counting)
        for series in sorted(openings, key=lambda each: (len(each.levels), _largest_first(now[each]))):
            for each in explaining.get(series, [series]):
                self._open(now[each])

    def _explaining(self, openings: list[Series], counting: list[Series]) -> dict[Series, list[Series]]:
        """Return for the levels that few series below explain: those of one account and region, the largest first.

        A series that explains a larger level alone opens its own incident, now or when it reaches a floor.
        """
        below: dict[Series, list[tuple[float, Series]]] = {series: [] for series in openings if series.is_level}
        for series in counting if below else []:
            parts = [below[level] for level in series.levels if level in below]
            weight = self._weight_left(series) if parts else 0.0
            for part in parts:
                part.append((-weight, series))
        found: dict[Series, list[Series]] = {}
        for level, part in below.items():
            whole, largest = self._weight_left(level), sorted(part)[:_FEW]
            if largest and -largest[0][0] >= _MOST * whole:
                found[level] = []
            elif level.region != SUMMED and -sum(weight for weight, _ in largest) >= _NEARLY_ALL * whole:
                found[level] = [series for weight, series in largest if -weight >= whole / 10]
        return found

    def _weight_left(self, series: Series) -> float:
        return sum(_weight(each.row) for each in self._left(self._track(series)))

    def _open(self, rows: list[Hour]) -> None:
        """Open an incident, join or reopen one, unless the hours are a small part of an open level's."""
        row, track = rows[-1], self._track(rows[0].series)
        above = self._above(row)
        if above is not None:
            level, part_of = above
            if _weight(row) < _MOST * part_of.usual[level].weight:
                return
            their = part_of.incident.members[level]
            for each in (each for each in rows if each.hour in their):
                self._replace(part_of, _less(their[each.hour], each.excess_gb, each.excess_usd))
        # With what rose before it was more than habit: it is where the incident began, and costs money too.
        left = [each.row for each in self._left(track)]
        if not left or self._is_rest_of_open_ones(left):
            return
        hours = _from_the_first_that_matters(left) if above is None else rows
        growing = self._latest(track, row) or self._sibling(row, hours) or self._opened(hours, row)
        self._add(growing, track, hours)

    def _is_rest_of_open_ones(self, left: list[Hour]) -> bool:
        """Whether a level has little left beside incidents below it: hours of theirs that do not count, or come after.

        The features of a level look back three days, on what they held as well.
        """
        level, hour = left[-1].series, left[-1].hour
        if not level.is_level:
            return False
        known = self._by_place.get((SUMMED, level.egress_class), ())
        below = [
            usual.weight
            for growing in known
            if hour - growing.end <= _LOOK_BACK_HOURS
            for series, usual in growing.usual.items()
            if level in series.levels
        ]
        return bool(below) and sum(_weight(row) for row in left) / len(left) < _LITTLE * sum(below)

    def _above(self, row: Hour) -> tuple[Series, _Growing] | None:
        """Return the smallest level that the series is part of and that has an open incident, and the incident."""
        for level in row.series.levels:
            known = self._latest(self._track(level), row) if level in self._tracks else None
            if known is not None and row.hour - known.usual[level].last <= self._policy.ended_after_hours:
                return level, known
        return None

    def _replace(self, growing: _Growing, row: Hour) -> None:
        self._held.add(growing.incident.members[row.series][row.hour], -1.0)
        self._held.add(row)
        growing.replace(row)

    def _track(self, series: Series) -> _Track:
        track = self._tracks.get(series)
        if track is None:
            track = _Track(self._policy.floors(series.account_id, series.egress_class), [], [])
            self._tracks[series] = track
        return track

    def _add(self, growing: _Growing, track: _Track, rows: Sequence[Hour]) -> None:
        if rows[0].series not in growing.usual:
            track.incidents.append(growing)
        growing.add(rows)
        for row in rows:
            self._held.add(row)
        track.recent.clear()
        self._touched[growing.incident.alert_id] = growing.incident

    def _keep(self, growing: _Growing) -> None:
        for series in growing.usual:
            self._track(series).incidents.append(growing)
        self._file(growing, growing.lead)

    def _file(self, growing: _Growing, lead: list[Hour]) -> None:
        """Let others find an incident: by account and region, by class, and where new resources began it."""
        series = lead[0].series
        places = [series[:2], (SUMMED, series.egress_class)]
        places += [_new_in(series)] if is_new_resource(lead) else []
        for place in places:
            insort(self._by_place.setdefault(place, []), growing, key=lambda each: each.key)

    def _remember(self, track: _Track, row: Hour) -> bool:
        """Keep an hour for a day when it rises, and return whether it counts."""
        if not self._rises(track, row):
            return False
        counts = row.times_habit >= self._policy.min_times_usual_excess
        recent = track.recent
        recent.append(_Recent(row, counts))
        if recent[0].row.hour <= row.hour - GATHERING_HOURS:
            recent[:] = [each for each in recent if each.row.hour > row.hour - GATHERING_HOURS]
        return counts

    def _rises(self, track: _Track, row: Hour) -> bool:
        excess_gb = row.usage_gb - row.expected_usage_gb
        return excess_gb > 0 and excess_gb >= track.floors.min_excess_percent / 100 * row.expected_usage_gb

    def _left(self, track: _Track) -> list[_Recent]:
        """Return the rising hours of the last 24, of a level what no incident below it holds."""
        if not track.recent or not track.recent[0].row.series.is_level:
            return track.recent
        left = [_Recent(self._held.rest(row), counts) for row, counts in track.recent]
        return [each for each in left if self._rises(track, each.row)]

    def _reaches_a_floor(self, track: _Track) -> bool:
        hours, usd, gb, cost = 0, 0.0, 0.0, 0.0
        for row, counts in self._left(track):
            if counts:
                hours += 1
                usd += row.cost_usd - row.expected_cost_usd
                gb += row.usage_gb - row.expected_usage_gb
                cost += row.cost_usd
        weight = min(hours / self._policy.lasting_hours, 1.0)
        if cost == 0:
            return weight * gb >= track.floors.min_excess_gb
        return weight * usd >= track.floors.min_excess_usd

    def _latest(self, track: _Track, row: Hour) -> _Growing | None:
        """Return the incident of the series that may still take hours in."""
        latest = None
        for known in track.incidents:
            if self._is_open(known, row.hour) and (latest is None or (known.end, known.key) > (latest.end, latest.key)):
                latest = known
        return latest

    def _is_open(self, growing: _Growing, hour: int) -> bool:
        return growing.hours < MAX_SERIES_HOURS and hour - growing.end <= self._policy.incident_gap_hours

    def _goes_on(self, growing: _Growing, track: _Track, rows: list[Hour]) -> bool:
        """Whether an incident has not ended, and the hours matter to it."""
        if rows[0].hour - growing.end > self._policy.ended_after_hours:
            return False
        row, usual = rows[-1], growing.usual[rows[-1].series]
        if usual.cost_usd == 0 and row.cost_usd == 0:
            return row.excess_gb >= _MATTERS * max(usual.excess_gb / usual.hours, track.floors.min_excess_gb / 24)
        return row.excess_usd >= _MATTERS * max(usual.excess_usd / usual.hours, track.floors.min_excess_usd / 24)

    def _sibling(self, row: Hour, hours: list[Hour]) -> _Growing | None:
        """Return the first incident that the hours of another series belong to."""
        series = row.series
        places = [(SUMMED, series.egress_class)] if series.is_level else []
        places += [series[:2]]
        places += [_new_in(series)] if is_new_resource(hours) else []
        for place in places:
            near = self._by_place.get(place, [])
            first = row.decided_at - self._policy.sibling_hours
            for known in near[bisect_left(near, first, key=lambda each: each.incident.detected) :]:
                if self._is_open(known, row.hour) and _is_related(known, hours):
                    return known
        return None

    def _opened(self, hours: list[Hour], row: Hour) -> _Growing:
        identity = "\x1f".join([*row.series, str(hours[0].hour)])
        incident = Incident(hashlib.sha256(identity.encode()).hexdigest()[:16], row.decided_at)
        growing = _Growing(incident)
        self._file(growing, hours)
        return growing


def _new_in(series: Series) -> tuple[str, str]:
    return f"new in {series.account_id}", series.egress_class


def _is_related(growing: _Growing, hours: list[Hour]) -> bool:
    """Whether hours of another series may have the cause of an incident.

    Levels belong together where one is part of the other, or where they begin together. A new resource is a cause of
    its own, unless others begin with it in other regions, and so is what rises at night hours after the incident began.
    A gateway that meters the bytes of a new sender again belongs to it.
    """
    lead = growing.lead
    series, other = hours[0].series, lead[0].series
    begin_together = abs(hours[0].hour - growing.start) <= _CROWD_TOGETHER_HOURS
    if series.is_level or other.is_level:
        is_part = series in other.levels or other in series.levels
        is_same = series.is_level and other.is_level and begin_together
        if series.egress_class == other.egress_class:
            return is_part or is_same
        return series[:2] == other[:2] and _meters_again(hours, growing)
    if series[:2] != other[:2]:
        return begin_together
    if series.resource_id and series.resource_id == other.resource_id:
        return True
    if series.egress_class != other.egress_class and not _meters_again(hours, growing):
        return False
    if is_new_resource(hours) or is_new_resource(lead):
        return is_new_resource(lead) and (is_new_resource(hours) or _meters_again(hours, growing))
    return hours[0].hour - growing.start <= _TOGETHER_HOURS or not is_off_hours_burst(hours)


def _meters_again(hours: list[Hour], growing: _Growing) -> bool:
    """Whether hours carry about the GB that the leading series has in the same hours."""
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


def _less(row: Hour, excess_gb: float, excess_usd: float) -> Hour:
    """Return an hour without some of its excess."""
    return row._replace(
        usage_gb=round(row.usage_gb - excess_gb, 6),
        egress_gb=round(row.egress_gb - excess_gb, 6) if row.egress_gb else 0.0,
        cost_usd=round(row.cost_usd - excess_usd, 6),
    )


def _weight(row: Hour) -> float:
    """Return the excess in dollars, or in GB where there are none."""
    return row.excess_usd + _PER_GB * row.excess_gb


def _largest_first(rows: list[Hour]) -> tuple[float, float, Series]:
    return -sum([row.excess_usd for row in rows]), -sum([row.excess_gb for row in rows]), rows[0].series
