"""An anomalous hour of a series, and an incident: the hours that have one cause."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from egress_alerts.series import Series


class Hour(NamedTuple):
    """One anomalous hour of a series. Amounts are rounded to 6 decimals.

    `times_habit` is its excess divided by the largest of the five weeks before: the feature `beyond_habit_log`.
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
    # The hour whose data made it part of an incident, where that is a later one.
    joined: int = 0
    # Its account usually sends less in this hour than on average: its night or weekend.
    is_quiet: bool = False

    @property
    def decided_at(self) -> int:
        """The hour at which a decision uses it: the last one of its day if the bill is daily."""
        return self.hour - self.hour % 24 + 23 if self.is_daily else self.hour

    def joined_at(self, hour: int) -> Hour:
        """Return it as part of an incident since a later hour: `_replace`, at a third of its time."""
        return Hour._make((*self[:-2], hour, self.is_quiet))

    @property
    def excess_usd(self) -> float:
        """Dollars above expected."""
        return self.cost_usd - self.expected_cost_usd

    @property
    def excess_gb(self) -> float:
        """GB above expected."""
        return self.usage_gb - self.expected_usage_gb


class Background(NamedTuple):
    """What the bill showed before an incident: kept with it, so that its cause needs no older rows.

    `before_gb` has the GB above expected of the series that opened it, in the hours up to `start`, the oldest first. A
    resource or region is new if the bill had none of its hours a day before.
    """

    start: int
    before_gb: tuple[float, ...] = ()
    is_new_resource: bool = False
    is_new_region: bool = False
    uses_cloudfront: bool = False

    def hours(self) -> dict[int, float]:
        """Return the GB above expected by hour."""
        first = self.start - len(self.before_gb)
        return {first + place: gb for place, gb in enumerate(self.before_gb)}


@dataclass
class Incident:
    """Anomalous hours of one or more series with one cause, which may span regions and accounts."""

    alert_id: str
    detected: int
    members: dict[Series, dict[int, Hour]] = field(default_factory=dict)
    background: Background | None = None

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
        """Whether the bill is daily."""
        return any(hour.is_daily for member in self.members.values() for hour in member.values())

    def add(self, hours: Iterable[Hour]) -> None:
        """Add hours. An hour that is already in the incident is replaced, never added up."""
        for hour in hours:
            member = self.members.get(hour.series)
            if member is None:
                member = self.members[hour.series] = {}
            member[hour.hour] = hour

    def before(self, end: int) -> Incident:
        """Return the incident as it was when `end` had not come yet."""
        kept = {s: {h: r for h, r in member.items() if max(h, r.joined) < end} for s, member in self.members.items()}
        return Incident(self.alert_id, self.detected, {s: m for s, m in kept.items() if m}, self.background)

    def since(self, start: int) -> list[Hour]:
        """Return the hours from `start` on."""
        return [hour for hour in self.hours if hour.hour >= start]
