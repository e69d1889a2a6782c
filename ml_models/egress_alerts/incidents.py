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
new resource does not join an incident of old ones. An off-hours burst does not join an incident that began hours
before. Lines of another class join only if they carry the same bytes. New resources in other regions join if they
begin within hours.

**Levels.** A level sums over resources, regions or accounts. It alerts on the excess that no incident below it holds.
One series with most of a level's excess, or a few with nearly all of it, open the incident in its place. A small part
of an open level belongs to it. So a fleet that rises together is one incident, and so is a key that is used in many
regions.

**Crowds.** A level is a crowd, and so are resources of one level that open in the same hour. Crowds of one service in
several accounts or regions are one incident if they begin within a day, as with a deployment to all accounts. The
later ones may be found two days after the first.

The hours of a daily bill are decided together at the end of their day, so that incidents begin and end with a day.
"""

from __future__ import annotations

import gc
import hashlib
from bisect import bisect_left, insort
from collections import defaultdict, deque
from contextlib import contextmanager
from heapq import nsmallest
from itertools import groupby
from math import fsum
from operator import attrgetter, itemgetter
from typing import TYPE_CHECKING, TypeAlias

from egress_alerts.hours import Incident
from egress_alerts.packing import HOUR_BYTES, MAX_PACKED_BYTES, text_bytes
from egress_alerts.series import SUMMED
from egress_alerts.signatures import is_new_resource, is_quiet_burst

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from egress_alerts.hours import Hour
    from egress_alerts.policy import Floors, Policy
    from egress_alerts.series import Series

GATHERING_HOURS = 24
# An hour matters if it has this share of the usual hour, and of the floor.
_MATTERS = 0.1
# What rises more hours after an incident began has another beginning.
_TOGETHER_HOURS, _NEW_TOGETHER_HOURS = 3, 6
# A crowd rises by less than a resource of the same size: it becomes visible, and its alert is due, hours later.
_CROWD_TOGETHER_HOURS, _CROWD_SIBLING_HOURS = 24, 48
# One series with this share of a level's excess explains it.
_ALONE = 0.6
# So do a few series that have this share together.
_FEW, _TOGETHER = 3, 0.8
# A sum over regions or accounts opens an incident if counting series have this share of its excess.
_COUNTED = 0.5
# Beside incidents of the last hours, a level opens another one if it has this share of their excess left.
_REST, REST_HOURS = 0.3, 96
# A GB weighs as much as this many dollars: enough to order series that cost nothing.
_PER_GB = 1e-6
# Two meters of the same bytes may differ by this factor.
_SAME_BYTES = 2.0
_HOUR, _DECIDED_AT, _IS_DAILY = attrgetter("hour"), attrgetter("decided_at"), attrgetter("is_daily")
_KEY, _DETECTED = attrgetter("key"), attrgetter("detected")


# The hours of a series that are decided on together. Turns sort by levels, resources first, then by excess.
_Turn: TypeAlias = "tuple[int, float, float, Series, _Track, list[Hour]]"


def find_incidents(
    policy: Policy, open_incidents: Sequence[Incident], past: Iterable[Hour], new: Iterable[Hour]
) -> list[Incident]:
    """Take new hours into incidents.

    Parameters
    ----------
    policy : Policy
        Floors, gap and sibling hours.
    open_incidents : sequence of Incident
        Their state before the first new hour.
    past : iterable of Hour
        Anomalous hours of the 24 hours before the first new one: they count towards the floor.
    new : iterable of Hour
        Anomalous hours to decide on.

    Returns
    -------
    list of Incident
        Those that are new or grew; the given ones are not changed.
    """
    with _without_garbage_collection():
        return _Decision(policy, open_incidents, past).take(new)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Search no cycles meanwhile: of 240,000 rows that all live on, that takes a third of the time of a decision."""
    is_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_on:
            gc.enable()


class _Growing:
    """An incident that may still grow."""

    __slots__ = (
        "beside",
        "egress_class",
        "end",
        "incident",
        "is_crowd",
        "is_touched",
        "members",
        "places",
        "size",
        "start",
    )

    def __init__(self, incident: Incident) -> None:
        self.incident = incident
        self.is_touched = False
        self.egress_class = ""  # of the series that opened it
        self.size = self.start = self.end = 0
        self.members: list[_Member] = []
        # The first member of each account, region, service and class.
        self.beside: dict[tuple[str, ...], _Member] = {}
        self.places: set[tuple[str, ...]] = set()
        self.is_crowd = False  # a level is in it, or as many series as may open in the place of one

    @property
    def key(self) -> tuple[int, str]:
        return self.incident.detected, self.incident.alert_id

    @property
    def detected(self) -> int:
        return self.incident.detected


class _Member:
    """A series in an incident, with running sums."""

    __slots__ = ("cost_usd", "excess_gb", "excess_usd", "growing", "hours", "last", "rows", "texts", "track")

    def __init__(self, growing: _Growing, track: _Track) -> None:
        self.growing, self.track = growing, track
        self.rows = growing.incident.members.setdefault(track.series, {})
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
    def is_new(self) -> bool:
        """Whether it is a new resource."""
        return is_new_resource(list(self.rows.values()))

    @property
    def weight(self) -> float:
        """The excess of an hour, in the unit of `_weight`."""
        return (self.excess_usd + _PER_GB * self.excess_gb) / max(self.hours, 1)


class _Sums:
    """How many hours count, how many of them have a price, and their excess.

    The excess is in whole millionths, whose sum is the same in any order.
    """

    __slots__ = ("hours", "micro_gb", "micro_usd", "priced_hours")

    def __init__(self) -> None:
        self.hours = self.priced_hours = self.micro_usd = self.micro_gb = 0

    def add(self, row: Hour, sign: int = 1) -> None:
        self.hours += sign
        self.micro_usd += sign * round((row.cost_usd - row.expected_cost_usd) * 1e6)
        self.micro_gb += sign * round((row.usage_gb - row.expected_usage_gb) * 1e6)
        if row.cost_usd:
            self.priced_hours += sign

    @property
    def weight(self) -> float:
        """The excess, in the unit of `_weight`."""
        return (self.micro_usd + _PER_GB * self.micro_gb) / 1e6


class _Track:
    """A series: its floors, its incidents, and its rising hours of the last 24 that are in no incident.

    `sums` are the sums of its hours that count. A level has them as long as no incident holds a part of it. `left` are
    the sums that the incidents below a level leave to it, at the hour of the decision.
    """

    __slots__ = (
        "depth",
        "floors",
        "incidents",
        "is_level",
        "least_times",
        "left",
        "levels",
        "recent",
        "rises_by",
        "series",
        "sums",
    )

    def __init__(self, series: Series, levels: tuple[Series, ...], floors: Floors, least_times: float) -> None:
        self.series, self.levels, self.floors = series, levels, floors
        self.is_level = series.is_level
        self.rises_by, self.least_times = floors.min_excess_percent / 100, least_times
        self.depth = -len(levels)  # resources first
        self.incidents: list[_Member] = []
        self.recent: deque[Hour] = deque()
        self.sums = self.left = _Sums()

    def clear(self) -> None:
        """Forget the hours: an incident holds them."""
        if self.recent:
            self.recent.clear()
            self.sums = self.left = _Sums()

    def rises(self, row: Hour) -> bool:
        """Whether an hour is above expected by the floor in percent."""
        excess_gb = row.usage_gb - row.expected_usage_gb
        return excess_gb > 0 and excess_gb >= self.rises_by * row.expected_usage_gb

    def remember(self, rows: Iterable[Hour], *, counts: bool) -> None:
        """Keep rising hours for a day."""
        recent, sums = self.recent, self.sums
        for row in rows:
            recent.append(row)
            if counts:
                sums.add(row)
            first = row.hour - GATHERING_HOURS + 1
            while recent[0].hour < first:
                old = recent.popleft()
                if old.times_habit >= self.least_times:
                    sums.add(old, -1)

    def reaches_a_floor(self, lasting_hours: int) -> bool:
        """Whether the rest is enough for an alert."""
        left, weight = self.left, min(self.left.hours, lasting_hours)
        if left.priced_hours:
            return weight * left.micro_usd >= lasting_hours * self.floors.min_excess_usd * 1e6
        return weight * left.micro_gb >= lasting_hours * self.floors.min_excess_gb * 1e6


class _Held:
    """How much of each level's excess incidents hold below it, by hour."""

    def __init__(self) -> None:
        self._excess: dict[Series, dict[int, list[float]]] = {}

    def add(self, rows: Iterable[Hour], levels: Iterable[Series], sign: float = 1.0) -> None:
        """Note that an incident holds hours of a series that is part of levels, or no longer."""
        for level in levels:
            by_hour = self._excess.setdefault(level, {})
            for row in rows:
                sums = by_hour.setdefault(row.hour, [0.0, 0.0])
                sums[0] += sign * row.excess_gb
                sums[1] += sign * row.excess_usd

    def has(self, level: Series) -> bool:
        """Return whether an incident has ever held a part of a level."""
        return level in self._excess

    def rest(self, row: Hour) -> Hour:
        """Return the rest of an hour, without the part that incidents hold."""
        by_hour = self._excess.get(row.series)
        sums = by_hour.get(row.hour) if by_hour else None
        return row if sums is None else _less(row, *sums)


class _Decision:
    def __init__(self, policy: Policy, open_incidents: Sequence[Incident], past: Iterable[Hour]) -> None:
        self._policy, self._least_times = policy, policy.min_times_usual_excess
        self._tracks: dict[Series, _Track] = {}
        self._levels: dict[tuple[str, ...], tuple[Series, ...]] = {}
        self._floors: dict[tuple[str, str], Floors] = {}
        # Incidents that may have room for another series.
        self._by_place: dict[tuple[str, ...], list[_Growing]] = {}
        # By level, the series below it that an incident of its class holds.
        self._below: dict[Series, list[_Member]] = {}
        self._incidents: list[_Growing] = []
        self._held = _Held()
        self._time = 0
        past = sorted(past, key=_HOUR)
        past_hours = {row.hour for row in past}
        for incident in open_incidents:
            self._take_up(incident, past_hours)
        for row in past:
            track = self._track(row.series)
            if all(row.hour > known.last for known in track.incidents) and track.rises(row):
                track.remember([row], counts=self._counts(row, row))

    def _take_up(self, incident: Incident, past_hours: set[int]) -> None:
        """Continue a copy of an incident."""
        members: dict[Series, dict[int, Hour]] = {series: {} for series in incident.members}
        growing = _Growing(Incident(incident.alert_id, incident.detected, members, incident.background))
        hours = list(incident.members.values())
        self._keep(growing, list(hours[0].values()))
        for series, member in incident.members.items():
            track = self._track(series)
            self._join(track, growing).add([member[hour] for hour in sorted(member)], is_kept=True)
            self._held.add([row for hour, row in member.items() if hour in past_hours], track.levels)

    def take(self, new: Iterable[Hour]) -> list[Incident]:
        ordered, time_of, tracks = sorted(new, key=_HOUR), _HOUR, self._tracks
        if any(map(_IS_DAILY, ordered)):
            time_of = _DECIDED_AT
            ordered.sort(key=time_of)
        for self._time, rows in groupby(ordered, key=time_of):
            by_track: defaultdict[_Track, list[Hour]] = defaultdict(list)
            for row in rows:
                # Nearly all have a track: a call less for each row of a storm.
                by_track[tracks.get(row.series) or self._track(row.series)].append(row)
            self._decide(by_track)
        return [known.incident for known in sorted(self._incidents, key=_KEY) if known.is_touched]

    def _decide(self, by_track: Mapping[_Track, list[Hour]]) -> None:
        """Decide on an hour of all series, or on the hours of its day, which are all alike."""
        openings: list[_Turn] = []
        counting: list[_Track] = []
        # Open incidents come first, and resources before levels: a level gets the rest.
        for turn in sorted([_turn(track, rows) for track, rows in by_track.items()]):
            _, _, _, _, track, given = turn
            if not track.rises(given[-1]):
                continue
            rows = [self._held.rest(row) for row in given] if track.is_level else given
            counts = self._counts(given[-1], rows[-1])
            known = self._latest(track, given[-1]) if counts and track.incidents else None
            if known is not None and track.rises(rows[-1]) and self._goes_on(known, track, rows):
                # Small hours between two that matter join.
                self._add(known, track, [*self._left(track, counting=True), *rows])
                continue
            track.remember(given, counts=counts)
            if counts:
                counting.append(track)
                track.left = self._sums_left(track)
                if track.reaches_a_floor(self._policy.lasting_hours):
                    openings.append(turn)
        self._open_each(openings, counting, by_track)

    def _open_each(self, openings: list[_Turn], counting: list[_Track], by_track: Mapping[_Track, list[Hour]]) -> None:
        """Open new incidents, large levels first. The alert is named after the first series."""
        explaining = self._explaining([track for *_, track, _ in openings], counting)
        together: defaultdict[Series, float] = defaultdict(float)
        for *_, track, rows in openings:
            if not track.is_level and self._above(track, rows[-1]) is None:
                together[track.levels[0]] += track.left.weight
        openings.sort(key=itemgetter(0), reverse=True)
        for *_, opening, _ in openings:
            tracks = explaining.get(opening.series, [opening])
            for track in tracks:
                # Several resources of a level that reach a floor in the same hour are a crowd, too.
                others = together[track.levels[0]] if track.levels else 0.0
                is_crowd = len(tracks) > 1 or track.is_level or track.left.weight < _ALONE * others
                self._open(track, by_track[track], is_crowd=is_crowd)

    def _explaining(self, openings: list[_Track], counting: list[_Track]) -> dict[Series, list[_Track]]:
        """Return by level what opens an incident in its place: a few series of its account and region, or nothing.

        A series that explains a level alone opens its own incident, now or once it reaches a floor. Nothing opens for a
        sum over regions or accounts whose excess is mostly in series that do not count: chance deviations add up too.
        """
        levels = {track.series: track for track in openings if track.is_level}
        below: dict[Series, list[tuple[float, Series]]] = {series: [] for series in levels}
        for track in counting if below else []:
            for level in track.levels:
                if level in below:
                    below[level].append((-track.left.weight, track.series))
        found: dict[Series, list[_Track]] = {}
        for level, part in below.items():
            whole, largest = levels[level].left.weight, nsmallest(_FEW, part)
            if (largest and -largest[0][0] >= _ALONE * whole) or (
                level.region == SUMMED and self._held_by_distinct(part) < _COUNTED * whole
            ):
                found[level] = []
            elif level.region != SUMMED and -sum(weight for weight, _ in largest) >= _TOGETHER * whole:
                found[level] = [self._tracks[series] for weight, series in largest if -weight >= whole / 10]
        return found

    def _held_by_distinct(self, part: list[tuple[float, Series]]) -> float:
        """Return what series hold together, without those that another one sums."""
        every = {series for _, series in part if series.is_level}
        return -sum(weight for weight, series in part if every.isdisjoint(self._tracks[series].levels))

    def _open(self, track: _Track, rows: list[Hour], *, is_crowd: bool) -> None:
        """Open an incident, join or reopen one, unless the hours are a small part of an open level's."""
        if not track.recent:
            return
        is_level = track.is_level
        left = self._left(track) if is_level else []
        if is_level and (not left or self._is_rest_of_recent_ones(left)):
            return
        rows = [self._held.rest(row) for row in rows] if is_level else rows
        row, above = rows[-1], self._above(track, rows[-1])
        if above is None:
            # Hours that rose before were not beyond habit yet: the incident began there, and they cost money too.
            hours = _from_the_first_that_matters(left or self._left(track))
        elif _weight(row) < _ALONE * above.weight:
            return
        else:
            # The level has the earlier hours, and gives up this one.
            hours = rows
            for each in (each for each in rows if each.hour in above.rows):
                self._replace(above, _less(above.rows[each.hour], each.excess_gb, each.excess_usd))
        known = self._latest(track, row)
        if known is None:
            known = self._join(track, self._sibling(row, hours, is_crowd=is_crowd) or self._opened(hours, row))
        self._add(known, track, hours)

    def _above(self, track: _Track, row: Hour) -> _Member | None:
        """Return the smallest level that the series is part of, as a member of an open incident."""
        for level in track.levels:
            above = self._tracks.get(level)
            known = self._latest(above, row) if above is not None and above.incidents else None
            if known is not None and row.hour - known.last <= self._policy.ended_after_hours:
                return known
        return None

    def _is_rest_of_recent_ones(self, left: list[Hour]) -> bool:
        """Whether a level has little left beside incidents below it.

        That may be their own hours that do not count. And for three days after them, the features of the level still
        include their excess.
        """
        hour = left[-1].hour
        members = self._below.get(left[-1].series, ())
        below = [member.weight for member in members if hour - member.growing.end <= REST_HOURS]
        return bool(below) and sum(_weight(row) for row in left) / len(left) < _REST * fsum(below)

    def _add(self, known: _Member, track: _Track, rows: Sequence[Hour]) -> None:
        rows = [row if row.decided_at >= self._time else row.joined_at(self._time) for row in rows]
        known.add(rows)
        track.clear()
        self._held.add(rows, [level for level in track.levels if level in self._tracks])

    def _replace(self, known: _Member, row: Hour) -> None:
        levels = known.track.levels
        self._held.add([known.rows[row.hour]], levels, -1.0)
        self._held.add([row], levels)
        known.replace(row)

    def _track(self, series: Series) -> _Track:
        track = self._tracks.get(series)
        if track is None:
            track = _Track(series, self._levels_of(series), self._floors_of(series), self._least_times)
            self._tracks[series] = track
        return track

    def _levels_of(self, series: Series) -> tuple[Series, ...]:
        # All resources of an account and region have the same ones.
        key = series if series.is_level else series[:4]
        levels = self._levels.get(key)
        if levels is None:
            levels = self._levels[key] = series.levels
        return levels

    def _floors_of(self, series: Series) -> Floors:
        key = series.account_id, series.egress_class
        floors = self._floors.get(key)
        if floors is None:
            floors = self._floors[key] = self._policy.floors(*key)
        return floors

    def _join(self, track: _Track, growing: _Growing) -> _Member:
        member, series = _Member(growing, track), track.series
        growing.members.append(member)
        growing.beside.setdefault(series[:4], member)
        growing.is_crowd = growing.is_crowd or track.is_level or len(growing.members) >= _FEW
        self._keep_at(series[:2], growing)
        growing.size += text_bytes(series)
        track.incidents.append(member)
        for level in track.levels if series.egress_class == growing.egress_class else ():
            self._below.setdefault(level, []).append(member)
        return member

    def _keep(self, growing: _Growing, lead: list[Hour]) -> None:
        """Make an incident known by account and region, by class, and, if new resources began it, by these."""
        self._incidents.append(growing)
        series = lead[0].series
        growing.egress_class = series.egress_class
        places = [series[:2], (SUMMED, series.egress_class)]
        places += [_new_in(series)] if is_new_resource(lead) else []
        for place in places:
            self._keep_at(place, growing)

    def _keep_at(self, place: tuple[str, ...], growing: _Growing) -> None:
        if place not in growing.places:
            growing.places.add(place)
            insort(self._by_place.setdefault(place, []), growing, key=_KEY)

    def _left(self, track: _Track, *, counting: bool = False) -> list[Hour]:
        """Return the rising hours of the last 24, or those that count; of a level what no incident below it holds."""
        if not track.is_level:
            return [row for row in track.recent if not counting or row.times_habit >= track.least_times]
        pairs = [(row, self._held.rest(row)) for row in track.recent]
        return [rest for row, rest in pairs if track.rises(rest) and (not counting or self._counts(row, rest))]

    def _sums_left(self, track: _Track) -> _Sums:
        """Return the sums of the counting hours; of a level of what no incident below it holds."""
        if not (track.is_level and self._held.has(track.series)):
            return track.sums
        sums = _Sums()
        for row in self._left(track, counting=True):
            sums.add(row)
        return sums

    def _counts(self, row: Hour, rest: Hour) -> bool:
        """Whether a rising hour exceeds the habit of its series; the rest of an hour does by a smaller factor."""
        times = row.times_habit if rest is row else row.times_habit * rest.excess_gb / row.excess_gb
        return times >= self._least_times

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

    def _sibling(self, row: Hour, hours: list[Hour], *, is_crowd: bool) -> _Growing | None:
        """Return the first incident that the hours of another series belong to."""
        series = row.series
        places: list[tuple[str, ...]] = [(SUMMED, series.egress_class)] if is_crowd else []
        places += [series[:2], *([_new_in(series)] if is_new_resource(hours) else [])]
        room = MAX_PACKED_BYTES - text_bytes(series)
        longest = max(self._policy.sibling_hours, _CROWD_SIBLING_HOURS)
        for near in (self._by_place.get(place, []) for place in places):
            place = bisect_left(near, row.decided_at - longest, key=_DETECTED)
            while place < len(near):
                known = near[place]
                if known.size >= MAX_PACKED_BYTES:
                    del near[place]
                    continue
                is_near = row.decided_at - known.detected <= self._policy.sibling_hours
                has_room = known.size < room and self._is_open(known, row.hour)
                if has_room and _is_related(known, hours, is_crowd=is_crowd, is_near=is_near):
                    return known
                place += 1
        return None

    def _opened(self, hours: list[Hour], row: Hour) -> _Growing:
        identity = "\x1f".join([*row.series, str(hours[0].hour)])
        incident = Incident(hashlib.sha256(identity.encode()).hexdigest()[:16], row.decided_at)
        growing = _Growing(incident)
        self._keep(growing, hours)
        return growing


def _new_in(series: Series) -> tuple[str, str]:
    return f"new in {series.account_id}", series.egress_class


def _order(member: _Member) -> tuple[int, tuple[int, str]]:
    return member.growing.end, member.growing.key


def _is_related(growing: _Growing, hours: list[Hour], *, is_crowd: bool, is_near: bool) -> bool:
    """Return whether hours of another series may have the cause of an incident. It is near if it was found hours ago.

    A level belongs to another one that it is part of. Crowds of one service belong together if they begin together. A
    new resource has its own cause, unless others begin with it in other regions. An off-hours burst that begins hours
    after the incident has its own cause too. A gateway that meters the bytes of a new sender belongs to the sender's
    incident.
    """
    series = hours[0].series
    beside = growing.beside.get(series[:4], growing.members[0])
    other = beside.track.series
    apart = abs(hours[0].hour - growing.start)
    if is_crowd and growing.is_crowd and series.egress_class == other.egress_class and apart <= _CROWD_TOGETHER_HOURS:
        return series.service == other.service or SUMMED in (series.service, other.service)
    if series.is_level or other.is_level:
        if series.egress_class == other.egress_class:
            return is_near and (series in other.levels or other in series.levels)
        return is_near and series[:2] == other[:2] and _has_same_bytes(hours, growing)
    if series[:2] != other[:2]:
        return apart <= _NEW_TOGETHER_HOURS and is_new_resource(hours) and beside.is_new
    if not is_near and not (growing.is_crowd and series[:4] == other[:4]):
        return False
    if series.resource_id and series.resource_id == other.resource_id:
        return True
    if series.egress_class != other.egress_class and not _has_same_bytes(hours, growing):
        return False
    is_new = is_new_resource(hours)
    if is_new or beside.is_new:
        is_metered_again = not any(row.egress_gb for row in hours) and _has_same_bytes(hours, growing)
        return beside.is_new and (is_new or is_metered_again)
    return hours[0].hour - growing.start <= _TOGETHER_HOURS or not is_quiet_burst(hours)


def _has_same_bytes(hours: list[Hour], growing: _Growing) -> bool:
    """Return whether hours carry about as many GB as the leading series has in the same hours."""
    sent = growing.members[0].rows
    there = [(row.excess_gb, sent[row.hour].excess_gb) for row in hours if row.hour in sent]
    metered, original = (sum(gb) for gb in zip(*there, strict=True)) if there else (0.0, 0.0)
    return 0 < original <= _SAME_BYTES * metered <= _SAME_BYTES**2 * original


def _from_the_first_that_matters(hours: list[Hour]) -> list[Hour]:
    is_free = all(row.cost_usd == 0 for row in hours)
    excess = [row.excess_gb if is_free else row.excess_usd for row in hours]
    least = _MATTERS * sum(excess) / len(excess)
    return hours[next(place for place, each in enumerate(excess) if each >= least) :]


def _less(row: Hour, excess_gb: float, excess_usd: float) -> Hour:
    """Return an hour without some of its excess."""
    return row._replace(
        usage_gb=round(row.usage_gb - excess_gb, 6),
        egress_gb=round(row.egress_gb - excess_gb, 6) if row.egress_gb else 0.0,
        cost_usd=round(row.cost_usd - excess_usd, 6),
    )


def _weight(row: Hour) -> float:
    """Return the excess in dollars, or in GB if it costs nothing."""
    return row.excess_usd + _PER_GB * row.excess_gb


def _turn(track: _Track, rows: list[Hour]) -> _Turn:
    row = rows[0]
    if len(rows) == 1:
        usd, gb = row.expected_cost_usd - row.cost_usd, row.expected_usage_gb - row.usage_gb
    else:
        usd, gb = -sum(each.excess_usd for each in rows), -sum(each.excess_gb for each in rows)
    return track.depth, usd, gb, track.series, track, rows
