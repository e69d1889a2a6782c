"""Finds incidents in anomalous hours. Pure, and causal by hour.

A decision at an hour depends only on that hour and earlier ones. Hours may arrive one by one, by the day or all at
once, and give the same incidents.

**Hours that count.** All of this is true of them:

- The model finds the hour unusual: few hours of the training weeks have such a low score (`max_p_value`).
- It is above expected by the floor in percent.
- Its excess is a multiple of the largest in the five weeks before (`times_habit`, `min_times_usual_excess`). The model
  alone would alert on growth: where each week is a little above the one before, a little more is rare.

**Opening.** A series opens an incident when its counting hours of the last 24 hours reach the floor in dollars, or the
floor in GB if the bill prices all of them at $0. The floors are for lasting incidents: below 12 counting hours
(`lasting_hours`) they rise in proportion, and a single hour needs twelve times as much. Rising hours of these 24 that
did not count yet become part of the incident, because it began there.

**Continuing.** An hour that counts extends an incident if it matters: it has at least a tenth of the usual excess of
its series in the incident, and a tenth of the floor divided by 24. Smaller hours join when a later hour matters, or
when they reach a floor by themselves. Without an hour that matters for `ended_after_hours`, the incident has ended. Its
series reopen it within `incident_gap_hours` if they reach a floor again.

**Joining.** Other series of the account and region join an incident within `sibling_hours`, with three exceptions. A
new resource does not join an incident of old ones. A burst while its account is quiet does not join an incident that
began hours before. Lines of another class join only if they carry the same bytes.

**Levels.** A level sums over resources, regions or accounts. It alerts on the excess that no incident below it holds.
One series with most of a level's excess, or a few with nearly all of it, open the incident in its place. A small part
of an open level belongs to it. So a fleet that rises together is one incident, and so is a key that is used in many
regions. Levels of several accounts that begin together share an incident.

The hours of a daily bill are decided together at the end of their day, so that incidents begin and end with a day.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left, insort
from collections import defaultdict, deque
from typing import TYPE_CHECKING, NamedTuple

from egress_alerts.hours import Incident
from egress_alerts.packing import HOUR_BYTES, MAX_PACKED_BYTES, text_bytes
from egress_alerts.series import SUMMED
from egress_alerts.signatures import is_new_resource, is_quiet_burst

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egress_alerts.hours import Hour
    from egress_alerts.policy import Floors, Policy
    from egress_alerts.series import Series

GATHERING_HOURS = 24
# An hour matters if it has this share of the usual hour, and of the floor.
_MATTERS = 0.1
# What rises more hours after an incident began has another beginning. Small crowds become visible later.
_TOGETHER_HOURS, _CROWD_TOGETHER_HOURS = 3, 6
# One series with this share of a level's excess explains it.
_ALONE = 0.6
# So do a few series that have this share together.
_FEW, _TOGETHER = 3, 0.8
# A sum over regions or accounts opens an incident if counting series have this share of its excess.
_COUNTED = 0.5
# Beside incidents of the last hours, a level opens another one if it has this share of their excess left.
_REST, _REST_HOURS = 0.3, 96
# A GB weighs as much as this many dollars: enough to order series that cost nothing.
_PER_GB = 1e-6
# Two meters of the same bytes may differ by this factor.
_SAME_BYTES = 2.0


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
    """An incident that may still grow."""

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
        self.size += text_bytes(series)
        return member


class _Member:
    """A series in an incident, with running sums."""

    __slots__ = ("cost_usd", "excess_gb", "excess_usd", "growing", "hours", "last", "rows", "series", "texts")

    def __init__(self, growing: _Growing, series: Series) -> None:
        self.growing, self.series = growing, series
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
                growing.size += text_bytes((row.usage_type, row.operation))
        self.hours += len(rows)
        self.last = max(self.last, rows[-1].hour)
        growing.end = max(growing.end, rows[-1].hour)
        growing.size += HOUR_BYTES * len(rows)

    def replace(self, row: Hour) -> None:
        """Put an hour in the place of the one that is there."""
        old, self.rows[row.hour] = self.rows[row.hour], row
        self.excess_usd += row.excess_usd - old.excess_usd
        self.excess_gb += row.excess_gb - old.excess_gb
        self.cost_usd += row.cost_usd - old.cost_usd

    @property
    def weight(self) -> float:
        """The excess of an hour, as `_weight` says it."""
        return (self.excess_usd + _PER_GB * self.excess_gb) / max(self.hours, 1)


class _Recent(NamedTuple):
    """A rising hour. Its excess is in whole millionths, whose sum is the same in any order."""

    row: Hour
    counts: bool
    micro_usd: int
    micro_gb: int


class _Track:
    """A series: its floors, its incidents, and its rising hours of the last 24 that none of them holds."""

    __slots__ = ("floors", "hours", "incidents", "levels", "micro_gb", "micro_usd", "priced_hours", "recent", "series")

    def __init__(self, series: Series, floors: Floors) -> None:
        self.series, self.levels, self.floors = series, series.levels, floors
        self.incidents: list[_Member] = []
        self.recent: deque[_Recent] = deque()
        self.hours = self.priced_hours = self.micro_usd = self.micro_gb = 0

    def clear(self) -> None:
        """Forget the hours: an incident holds them."""
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


class _Held:
    """How much of each level's excess incidents hold below it, by hour."""

    def __init__(self) -> None:
        self._excess: dict[tuple[Series, int], list[float]] = {}

    def add(self, rows: Iterable[Hour], levels: Iterable[Series], sign: float = 1.0) -> None:
        """Note that an incident holds hours of a series that is part of levels, or no longer."""
        for row in rows:
            for level in levels:
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
        self._by_place: dict[tuple[str, ...], list[_Growing]] = {}
        self._incidents: list[_Growing] = []
        self._held = _Held()
        self._time = 0
        past = sorted(past, key=lambda each: each.hour)
        past_hours = {row.hour for row in past}
        for incident in open_incidents:
            members = {series: dict(member) for series, member in incident.members.items()}
            copy = Incident(incident.alert_id, incident.detected, members, incident.background)
            growing = _Growing(copy)
            self._keep(growing, list(growing.members[0].rows.values()))
            for member in growing.members:
                track = self._track(member.series)
                track.incidents.append(member)
                self._held.add([row for hour, row in member.rows.items() if hour in past_hours], track.levels)
        for row in past:
            track = self._track(row.series)
            if all(row.hour > known.last for known in track.incidents) and self._rises(row, track.floors):
                track.remember(row, counts=self._counts(row, row))

    def take(self, new: Iterable[Hour]) -> list[Incident]:
        by_time: defaultdict[int, defaultdict[_Track, list[Hour]]] = defaultdict(lambda: defaultdict(list))
        for row in sorted(new, key=lambda each: each.hour):
            by_time[row.decided_at][self._track(row.series)].append(row)
        for self._time in sorted(by_time):
            self._decide(by_time[self._time])
        return [known.incident for known in sorted(self._incidents, key=lambda each: each.key) if known.is_touched]

    def _decide(self, turns: Mapping[_Track, list[Hour]]) -> None:
        """Decide on an hour of all series, or on the hours of its day, which are all alike."""
        openings: list[_Track] = []
        counting: list[_Track] = []
        # Open incidents come first, and resources before levels: a level gets what they leave.
        for track, given in sorted(turns.items(), key=lambda turn: (-len(turn[0].levels), _largest_first(turn))):
            if not self._rises(given[-1], track.floors):
                continue
            rows = [self._held.rest(row) for row in given] if track.series.is_level else given
            counts = self._counts(given[-1], rows[-1])
            known = self._latest(track, given[-1]) if counts else None
            if known is not None and self._rises(rows[-1], track.floors) and self._goes_on(known, track, rows):
                # Small hours between two that matter join.
                self._add(known, track, [*self._left(track, counting=True), *rows])
                continue
            for each in given:
                track.remember(each, counts=counts)
            if counts:
                counting.append(track)
                if self._reaches_a_floor(track):
                    openings.append(track)
        # New incidents follow, large levels first. The alert is named after the first series.
        explaining = self._explaining(openings, counting)
        openings.sort(key=lambda track: (len(track.levels), _largest_first((track, turns[track]))))
        for opening in openings:
            for track in explaining.get(opening.series, [opening]):
                self._open(track, turns[track])

    def _explaining(self, openings: list[_Track], counting: list[_Track]) -> dict[Series, list[_Track]]:
        """Return by level what opens an incident in its place: a few series of its account and region, or nothing.

        A series that explains a level alone opens its own incident, now or once it reaches a floor. Nothing opens for a
        sum over regions or accounts whose excess is mostly in series that do not count: chance deviations add up too.
        """
        levels = {track.series: track for track in openings if track.series.is_level}
        below: dict[Series, list[tuple[float, Series]]] = {series: [] for series in levels}
        for track in counting if below else []:
            parts = [below[level] for level in track.levels if level in below]
            weight = self._weight_left(track) if parts else 0.0
            for part in parts:
                part.append((-weight, track.series))
        found: dict[Series, list[_Track]] = {}
        for level, part in below.items():
            whole, largest = self._weight_left(levels[level]), sorted(part)[:_FEW]
            if (largest and -largest[0][0] >= _ALONE * whole) or (
                level.region == SUMMED and _held_by_distinct(part) < _COUNTED * whole
            ):
                found[level] = []
            elif level.region != SUMMED and -sum(weight for weight, _ in largest) >= _TOGETHER * whole:
                found[level] = [self._tracks[series] for weight, series in largest if -weight >= whole / 10]
        return found

    def _open(self, track: _Track, rows: list[Hour]) -> None:
        """Open an incident, join or reopen one, unless the hours are a small part of an open level's."""
        left = self._left(track)
        if not left or self._is_rest_of_recent_ones(left):
            return
        rows = [self._held.rest(row) for row in rows] if track.series.is_level else rows
        row, above = rows[-1], self._above(track, rows[-1])
        if above is None:
            # Hours that rose before were not beyond habit yet: the incident began there, and they cost money too.
            hours = _from_the_first_that_matters(left)
        elif _weight(row) < _ALONE * above.weight:
            return
        else:
            # The level has the earlier hours, and gives up this one.
            hours = rows
            for each in (each for each in rows if each.hour in above.rows):
                self._replace(above, _less(above.rows[each.hour], each.excess_gb, each.excess_usd))
        known = self._latest(track, row)
        if known is None:
            known = self._join(track, self._sibling(row, hours) or self._opened(hours, row))
        self._add(known, track, hours)

    def _above(self, track: _Track, row: Hour) -> _Member | None:
        """Return the smallest level that the series is part of, as a member of an open incident."""
        for level in track.levels:
            known = self._latest(self._tracks[level], row) if level in self._tracks else None
            if known is not None and row.hour - known.last <= self._policy.ended_after_hours:
                return known
        return None

    def _is_rest_of_recent_ones(self, left: list[Hour]) -> bool:
        """Whether a level has little left beside incidents below it.

        That may be their own hours that do not count. And for three days after them, the features of the level still
        include what they held.
        """
        level, hour = left[-1].series, left[-1].hour
        if not level.is_level:
            return False
        below = [
            member.weight
            for growing in self._by_place.get((SUMMED, level.egress_class), ())
            if hour - growing.end <= _REST_HOURS
            for member in growing.members
            if level in member.series.levels
        ]
        return bool(below) and sum(_weight(row) for row in left) / len(left) < _REST * sum(below)

    def _add(self, known: _Member, track: _Track, rows: Sequence[Hour]) -> None:
        rows = [row if row.decided_at >= self._time else row._replace(joined=self._time) for row in rows]
        known.add(rows)
        track.clear()
        self._held.add(rows, [level for level in track.levels if level in self._tracks])

    def _replace(self, known: _Member, row: Hour) -> None:
        levels = known.series.levels
        self._held.add([known.rows[row.hour]], levels, -1.0)
        self._held.add([row], levels)
        known.replace(row)

    def _track(self, series: Series) -> _Track:
        track = self._tracks.get(series)
        if track is None:
            track = self._tracks[series] = _Track(series, self._policy.floors(series.account_id, series.egress_class))
        return track

    def _join(self, track: _Track, growing: _Growing) -> _Member:
        member = growing.join(track.series)
        track.incidents.append(member)
        return member

    def _keep(self, growing: _Growing, lead: list[Hour]) -> None:
        """Make an incident known by account and region, by class, and, if new resources began it, by these."""
        self._incidents.append(growing)
        series = lead[0].series
        places = [series[:2], (SUMMED, series.egress_class)]
        places += [_new_in(series)] if is_new_resource(lead) else []
        for place in places:
            insort(self._by_place.setdefault(place, []), growing, key=lambda each: each.key)

    def _left(self, track: _Track, *, counting: bool = False) -> list[Hour]:
        """Return the rising hours of the last 24, or those that count; of a level what no incident below it holds."""
        if not track.series.is_level:
            return [recent.row for recent in track.recent if recent.counts or not counting]
        pairs = [(recent.row, self._held.rest(recent.row)) for recent in track.recent]
        return [
            rest for row, rest in pairs if self._rises(rest, track.floors) and (not counting or self._counts(row, rest))
        ]

    def _weight_left(self, track: _Track) -> float:
        """Return the excess of the counting hours that no incident holds, as `_weight` says it."""
        own = self._only_left(track) if track.series.is_level else track
        return (own.micro_usd + _PER_GB * own.micro_gb) / 1e6

    def _rises(self, row: Hour, floors: Floors) -> bool:
        excess_gb = row.usage_gb - row.expected_usage_gb
        return excess_gb > 0 and excess_gb >= floors.min_excess_percent / 100 * row.expected_usage_gb

    def _counts(self, row: Hour, rest: Hour) -> bool:
        """Whether a rising hour exceeds the habit of its series, with what is left of it by as much less."""
        times = row.times_habit if rest is row else row.times_habit * rest.excess_gb / row.excess_gb
        return times >= self._policy.min_times_usual_excess

    def _reaches_a_floor(self, track: _Track) -> bool:
        """Whether the hours that count, and that no incident holds, are enough for an alert."""
        if track.series.is_level:
            # Hours that did not count, or that incidents below hold, are not its own.
            track = self._only_left(track)
        lasting = self._policy.lasting_hours
        weight = min(track.hours, lasting)
        if track.priced_hours:
            return weight * track.micro_usd >= lasting * track.floors.min_excess_usd * 1e6
        return weight * track.micro_gb >= lasting * track.floors.min_excess_gb * 1e6

    def _only_left(self, track: _Track) -> _Track:
        left = _Track(track.series, track.floors)
        for row in self._left(track, counting=True):
            left.remember(row, counts=True)
        return left

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
        """Return the first incident that the hours of another series belong to."""
        series = row.series
        places: list[tuple[str, ...]] = [(SUMMED, series.egress_class)] if series.is_level else []
        places += [series[:2], *([_new_in(series)] if is_new_resource(hours) else [])]
        room = MAX_PACKED_BYTES - text_bytes(series)
        for near in (self._by_place.get(place, []) for place in places):
            first = bisect_left(
                near, row.decided_at - self._policy.sibling_hours, key=lambda each: each.incident.detected
            )
            for known in (near[place] for place in range(first, len(near))):
                if known.size < room and self._is_open(known, row.hour) and _is_related(known, hours):
                    return known
        return None

    def _opened(self, hours: list[Hour], row: Hour) -> _Growing:
        identity = "\x1f".join([*row.series, str(hours[0].hour)])
        incident = Incident(hashlib.sha256(identity.encode()).hexdigest()[:16], row.decided_at)
        growing = _Growing(incident)
        self._keep(growing, hours)
        return growing


def _held_by_distinct(part: list[tuple[float, Series]]) -> float:
    """Return what series hold together, without those that another one sums."""
    every = {series for _, series in part}
    return -sum(weight for weight, series in part if every.isdisjoint(series.levels))


def _new_in(series: Series) -> tuple[str, str]:
    return f"new in {series.account_id}", series.egress_class


def _order(member: _Member) -> tuple[int, tuple[int, str]]:
    return member.growing.end, member.growing.key


def _is_related(growing: _Growing, hours: list[Hour]) -> bool:
    """Whether hours of another series may have the cause of an incident.

    Levels belong together if one is part of the other, or if they begin together. A new resource has its own cause,
    unless others begin with it in other regions. So has a burst in quiet time that begins hours after the incident. A
    gateway that meters the bytes of a new sender belongs to the sender's incident.
    """
    lead = list(growing.members[0].rows.values())
    series, other = hours[0].series, lead[0].series
    begin_together = abs(hours[0].hour - growing.start) <= _CROWD_TOGETHER_HOURS
    if series.is_level or other.is_level:
        is_part = series in other.levels or other in series.levels
        is_same = series.is_level and other.is_level and begin_together
        if series.egress_class == other.egress_class:
            return is_part or is_same
        return series[:2] == other[:2] and _has_same_bytes(hours, growing)
    if series[:2] != other[:2]:
        return begin_together
    if series.resource_id and series.resource_id == other.resource_id:
        return True
    has_same_bytes = _has_same_bytes(hours, growing)
    if series.egress_class != other.egress_class and not has_same_bytes:
        return False
    if is_new_resource(hours) or is_new_resource(lead):
        meters_again = has_same_bytes and not any(row.egress_gb for row in hours)
        return is_new_resource(lead) and (is_new_resource(hours) or meters_again)
    return hours[0].hour - growing.start <= _TOGETHER_HOURS or not is_quiet_burst(hours)


def _has_same_bytes(hours: list[Hour], growing: _Growing) -> bool:
    """Whether hours carry about the GB that the leading series has in the same hours."""
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


def _largest_first(item: tuple[_Track, list[Hour]]) -> tuple[float, float, Series]:
    rows = item[1]
    row = rows[0]
    if len(rows) == 1:
        return row.expected_cost_usd - row.cost_usd, row.expected_usage_gb - row.usage_gb, row.series
    return -sum(row.excess_usd for row in rows), -sum(row.excess_gb for row in rows), row.series
