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

The hours of a daily bill are decided together when their day is over, so that incidents begin and end with a day.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from egress_alerts.policy import Floors, Policy
    from egress_alerts.series import Series

GATHERING_HOURS = 24
# Bounds an incident's item in DynamoDB (400 KB); what goes on beyond becomes another alert.
MAX_SERIES_HOURS = 4000


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


class _Decision:
    def __init__(self, policy: Policy, open_incidents: Sequence[Incident], past: Iterable[Hour]) -> None:
        self._policy = policy
        self._incidents = [incident.before(incident.end + 1) for incident in open_incidents]
        self._touched: dict[str, Incident] = {}
        self._recent: dict[Series, dict[int, Hour]] = {}
        for hour in past:
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
        recent = [self._remember(each) for each in rows][-1]
        if not self._counts(row):
            return
        incident = self._extended(row)
        if incident is not None:
            incident.add(rows)
        elif self._reaches_a_floor([earlier for earlier in recent if self._counts(earlier)]):
            incident = self._sibling(row) or self._opened(recent, row)
            # With what rose before it was more than habit: it is where the incident began, and costs money too.
            incident.add(recent)
        else:
            return
        self._touched[incident.alert_id] = incident

    def _remember(self, row: Hour) -> list[Hour]:
        """Return the series' unusual hours of the last 24, this one included."""
        hours = self._recent.setdefault(row.series, {})
        if self._rises(row):
            hours[row.hour] = row
        for old in [hour for hour in hours if hour <= row.hour - GATHERING_HOURS]:
            del hours[old]
        return [hours[hour] for hour in sorted(hours)]

    def _counts(self, row: Hour) -> bool:
        return self._rises(row) and row.times_habit >= self._policy.min_times_usual_excess

    def _rises(self, row: Hour) -> bool:
        floor = self._floors(row).min_excess_percent / 100 * row.expected_usage_gb
        return row.excess_gb > 0 and row.excess_gb >= floor

    def _floors(self, row: Hour) -> Floors:
        return self._policy.floors(row.series.account_id, row.series.egress_class)

    def _reaches_a_floor(self, recent: list[Hour]) -> bool:
        if not recent:
            return False
        floors = self._floors(recent[0])
        weight = min(len(recent) / self._policy.lasting_hours, 1.0)
        if sum(row.cost_usd for row in recent) == 0:
            return weight * sum(row.excess_gb for row in recent) >= floors.min_excess_gb
        return weight * sum(row.excess_usd for row in recent) >= floors.min_excess_usd

    def _extended(self, row: Hour) -> Incident | None:
        for incident in reversed(self._incidents):
            if row.series in incident.members and self._is_open(incident, row.hour):
                return incident
        return None

    def _is_open(self, incident: Incident, hour: int) -> bool:
        size = sum(len(member) for member in incident.members.values())
        return size < MAX_SERIES_HOURS and hour - incident.end <= self._policy.incident_gap_hours

    def _sibling(self, row: Hour) -> Incident | None:
        for incident in self._incidents:
            first = next(iter(incident.members))
            is_near = 0 <= row.decided_at - incident.detected <= self._policy.sibling_hours
            if first[:2] == row.series[:2] and is_near and self._is_open(incident, row.hour):
                return incident
        return None

    def _opened(self, recent: list[Hour], row: Hour) -> Incident:
        identity = "\x1f".join([*row.series, str(recent[0].hour)])
        incident = Incident(hashlib.sha256(identity.encode()).hexdigest()[:16], row.decided_at)
        self._incidents.append(incident)
        return incident


def _largest_first(rows: list[Hour]) -> tuple[float, float, Series]:
    return -sum(row.excess_usd for row in rows), -sum(row.excess_gb for row in rows), rows[0].series
