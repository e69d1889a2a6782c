"""Holds alerts against the truth, by incident.

- An alert **belongs to** an incident when it is of the account, was raised from the incident's first hour to 24 hours
  after its last one, and names one of its resources in one of its regions.
- The first alert that belongs to an incident **finds** it. Each further one is a **repeat** and counts as a false
  alert: one incident is one page. (An alert that belongs to two incidents finds both.)
- Alerts that belong to nothing are **false**, hard negatives included. Alerts in the window of an announced event that
  name its resource are dropped for every detector alike: the calendar is open to all.
- Incidents that are not **catchable** (`truth.py`) are not asked for; an alert for one is neither right nor false.
- **Damage in time**: the share of the dollars of catchable incidents whose alert was raised before half of the
  incident's damage was done. `in_time_by_arrival` counts from when the bill with that hour was delivered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.incidents.alert import Alert
    from benchmarks.incidents.truth import Case, Incident, Ordinary

GRACE_HOURS = 24


@dataclass
class Score:
    """Counts that add up over cases; the figures are properties.

    Attributes
    ----------
    account_months : float
    incidents, found : int
        Catchable incidents, and those of them that an alert found.
    false, repeats : int
        False alerts, repeats among them.
    false_by : dict
        False alerts by the hard negative that they fall on, or "repeat" or "nothing".
    damage_usd, in_time_usd, in_time_by_arrival_usd : float
    delays, delays_after_arrival : list of int
        Hours from an incident's first hour to the delivery of the hour that raised the alert; and from the delivery of
        the first hour.
    right_resource, right_class, right_kind : int
        Found incidents whose alert names one of their resources first; whose usage type; whose kind.
    by : dict
        (kind, size) to [catchable, found].
    """

    account_months: float = 0.0
    incidents: int = 0
    found: int = 0
    false: int = 0
    repeats: int = 0
    false_by: dict[str, int] = field(default_factory=dict)
    damage_usd: float = 0.0
    in_time_usd: float = 0.0
    in_time_by_arrival_usd: float = 0.0
    delays: list[int] = field(default_factory=list)
    delays_after_arrival: list[int] = field(default_factory=list)
    right_resource: int = 0
    right_class: int = 0
    right_kind: int = 0
    by: dict[tuple[str, str], list[int]] = field(default_factory=dict)

    @property
    def precision(self) -> float:
        """Found incidents among found incidents and false alerts; 1 where nothing was raised."""
        return self.found / (self.found + self.false) if self.found + self.false else 1.0

    @property
    def recall(self) -> float:
        """Found incidents among the catchable ones."""
        return self.found / self.incidents if self.incidents else 1.0

    @property
    def f1(self) -> float:
        """2 found / (found + false + incidents)."""
        whole = self.found + self.false + self.incidents
        return 2 * self.found / whole if whole else 1.0

    @property
    def false_per_account_month(self) -> float:
        """What the budget is about."""
        return self.false / self.account_months if self.account_months else 0.0

    @property
    def in_time(self) -> float:
        """Share of the damage whose alert came before half of it was done."""
        return self.in_time_usd / self.damage_usd if self.damage_usd else 1.0

    @property
    def in_time_by_arrival(self) -> float:
        """The same, with alerts raised when the bill was there."""
        return self.in_time_by_arrival_usd / self.damage_usd if self.damage_usd else 1.0

    def figures(self) -> dict[str, Any]:
        """Return the figures of the table."""
        share = max(self.found, 1)
        return {
            "f1": self.f1,
            "precision": self.precision,
            "recall": self.recall,
            "false_per_account_month": self.false_per_account_month,
            "in_time": self.in_time,
            "in_time_by_arrival": self.in_time_by_arrival,
            "delay_hours": float(np.median(self.delays)) if self.delays else None,
            "delay_after_arrival_hours": float(np.median(self.delays_after_arrival)) if self.delays else None,
            "right_resource": self.right_resource / share,
            "right_class": self.right_class / share,
            "right_kind": self.right_kind / share,
        }

    def __add__(self, other: Score) -> Score:
        total = Score()
        for name, value in vars(self).items():
            theirs = getattr(other, name)
            if name == "false_by":
                total.false_by = {k: value.get(k, 0) + theirs.get(k, 0) for k in {**value, **theirs}}
            elif name == "by":
                keys = {**value, **theirs}
                total.by = {
                    k: [a + b for a, b in zip(value.get(k, [0, 0]), theirs.get(k, [0, 0]), strict=True)] for k in keys
                }
            else:
                setattr(total, name, value + theirs)
        return total


def total(scores: Iterable[Score]) -> Score:
    """Add scores up."""
    return sum(scores, Score())


def score(case: Case, alerts: Sequence[Alert]) -> Score:
    """Score the alerts of one case."""
    result = Score(account_months=case.account_months)
    first: dict[int, Alert] = {}
    for alert in sorted(alerts, key=lambda a: (a.detected, -a.rank)):
        if any(is_about(alert, event) for event in case.planned):
            continue
        own = [incident for incident in case.incidents if belongs(alert, incident)]
        new = [incident for incident in own if incident.number not in first]
        first |= {incident.number: alert for incident in new}
        if not new and any(incident.catchable for incident in own):
            result.repeats += 1
            _count_false(result, "repeat")
        elif not own:
            _count_false(result, _looks_like(case, alert))
    for incident in case.incidents:
        if incident.catchable:
            _count_incident(result, case, incident, first.get(incident.number))
    return result


def explain(case: Case, alerts: Sequence[Alert]) -> list[str]:
    """Say of each incident when it was found or that it was missed, and of each false alert what it fell on."""
    lines = []
    for incident in case.incidents:
        own = [alert for alert in alerts if belongs(alert, incident)]
        found = f"found after {min(a.detected for a in own) - incident.start} h" if own else "missed"
        needless = "" if incident.catchable else " (not catchable)"
        lines.append(
            f"{case.name}  {found}{needless}: {incident.size} {incident.kind}, ${incident.usd.sum():,.0f} in "
            f"{incident.end - incident.start + 1} h from hour {incident.start}, {incident.ratio:.1f} times the usual, "
            f"{incident.usage_types[0]} of {incident.resources[0]}"
        )
    for alert in alerts:
        if not any(belongs(alert, incident) for incident in case.incidents):
            verdict = "dropped, planned" if any(is_about(alert, event) for event in case.planned) else "false"
            lines.append(
                f"{case.name}  {verdict}: {_looks_like(case, alert)}, raised at hour "
                f"{alert.detected}, rank {alert.rank:.4g}, {alert.usage_types[0]} of {alert.resources[0]}"
            )
    return lines


def belongs(alert: Alert, incident: Incident) -> bool:
    """Say whether an alert is about an incident."""
    return (
        alert.account == incident.account
        and incident.start <= alert.detected <= incident.end + GRACE_HOURS
        and not set(alert.regions).isdisjoint(incident.regions)
        and not set(alert.resources).isdisjoint(incident.resources)
    )


def is_about(alert: Alert, event: Ordinary) -> bool:
    """Say whether an alert is about something ordinary: raised in its time, and naming its resource first."""
    same_place = alert.account == event.account and event.start <= alert.detected <= event.end + GRACE_HOURS
    return same_place and bool(alert.resources) and alert.resources[0] in event.resources


def _looks_like(case: Case, alert: Alert) -> str:
    # Those that name a resource and a time come first, what goes on anyway comes last.
    for event in case.ordinary:
        in_place = not event.resources or not set(alert.resources).isdisjoint(event.resources)
        if alert.account == event.account and in_place and event.start <= alert.detected <= event.end:
            return event.kind
    return "nothing"


def _count_false(result: Score, reason: str) -> None:
    result.false += 1
    result.false_by[reason] = result.false_by.get(reason, 0) + 1


def _count_incident(result: Score, case: Case, incident: Incident, alert: Alert | None) -> None:
    damage = float(incident.usd.sum())
    tally = result.by.setdefault((incident.kind, incident.size), [0, 0])
    tally[0] += 1
    result.incidents += 1
    result.damage_usd += damage
    if alert is None:
        return
    tally[1] += 1
    result.found += 1
    told = int(case.arrival[alert.detected])
    if alert.detected <= incident.half_done:
        result.in_time_usd += damage
    if told <= incident.half_done + 1:
        result.in_time_by_arrival_usd += damage
    result.delays.append(told - incident.start)
    result.delays_after_arrival.append(told - int(case.arrival[incident.start]))
    result.right_resource += alert.resources[0] in incident.resources
    result.right_class += alert.usage_types[0] in incident.usage_types
    result.right_kind += alert.kind == incident.kind
