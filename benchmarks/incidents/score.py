"""Compares alerts with the truth, by incident.

- An alert **belongs to** an incident when it was raised from the incident's first hour to 24 hours after its last one,
  and names one of its resources in one of its accounts and regions. An alert about a level (resource `*`) belongs to
  the incident when account, region and usage type agree with it; where they agree with several, to the last to begin.
- The first alert that belongs to an incident **finds** it. Each further one is a **repeat** and counts as a false
  alert: one incident is one page. (An alert that belongs to two incidents finds both.)
- **One alert per cause**: the share of found incidents that a single alert belongs to, and this alert to no other one.
- Alerts that belong to nothing are **false**, hard negatives included. Alerts in the window of an announced event that
  name its resource are dropped for every detector alike: the calendar is open to all.
- Incidents that are not **catchable** (`truth.py`) are not asked for; an alert for one is neither right nor false.
- **Damage in time**: the share of the dollars of catchable incidents whose alert was raised before half of the
  incident's damage was done. `in_time_by_arrival` counts from when the bill with that hour was delivered.
- **Large incidents** cost $20 an hour over some three hours (`truth.py`). Their delay is counted in hours of data from
  the incident's first hour and from the first hour that costs $20, and in hours from the delivery of the first hour. A
  missed one counts as a delay without end, and all of its damage as done before the alert. Damage before the alert is
  counted up to the last hour that the alert needed, and up to the delivery of that hour.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.incidents.alert import ALL, Alert

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from benchmarks.incidents.truth import Case, Incident, Ordinary

GRACE_HOURS = 24
RESAMPLES = 2000


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
    single: int = 0
    large: int = 0
    large_delays: list[int] = field(default_factory=list)
    large_delays_from_usd: list[int] = field(default_factory=list)
    large_delays_after_arrival: list[int] = field(default_factory=list)
    large_usd: float = 0.0
    large_before_alert_usd: float = 0.0
    large_before_notice_usd: float = 0.0
    large_before_delivery_usd: float = 0.0
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
            "one_alert_per_cause": self.single / share,
            "extra_alerts_per_cause": self.repeats / share,
            "large_incidents": self.large,
            "large_found": len(self.large_delays),
            **{
                f"{name}_{label}": _quantile(delays, self.large, quantile)
                for name, delays in (
                    ("large_delay", self.large_delays),
                    ("large_delay_from_usd", self.large_delays_from_usd),
                    ("large_delay_after_arrival", self.large_delays_after_arrival),
                )
                for label, quantile in (("median", 0.5), ("p90", 0.9))
            },
            "large_before_alert": self._of_large(self.large_before_alert_usd),
            "large_before_notice": self._of_large(self.large_before_notice_usd),
            "large_before_delivery": self._of_large(self.large_before_delivery_usd),
        }

    def _of_large(self, usd: float) -> float | None:
        return usd / self.large_usd if self.large_usd else None

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


def _quantile(delays: Sequence[int], count: int, quantile: float) -> int | None:
    """Return the delay within which a share of `count` incidents was found, or None if fewer were found."""
    rank = int(np.ceil(quantile * count)) - 1
    return sorted(delays)[rank] if 0 <= rank < len(delays) else None


def f1_interval(scores: Sequence[Score]) -> tuple[float, float]:
    """Return the 95 % interval of F1 over bills: of the F1 of as many bills, drawn again and again with replacement."""
    counts = np.array([(2 * one.found, one.found + one.false + one.incidents) for one in scores], dtype=float)
    drawn = np.random.default_rng(0).integers(len(counts), size=(RESAMPLES, len(counts)))
    twice, whole = counts[drawn].sum(axis=1).T
    low, high = np.quantile(np.where(whole > 0, twice / np.maximum(whole, 1), 1.0), (0.025, 0.975))
    return float(low), float(high)


def score(case: Case, alerts: Sequence[Alert]) -> Score:
    """Score the alerts of one case."""
    result = Score(account_months=case.account_months)
    alerts = [alert.by_step(case.step_hours) for alert in alerts]
    first: dict[int, Alert] = {}
    count: dict[int, int] = {}
    shared: set[int] = set()
    for alert in sorted(alerts, key=lambda a: (a.detected, -a.rank)):
        if any(is_about(alert, event) for event in case.planned):
            continue
        own = _own(alert, case)
        new = [incident for incident in own if incident.number not in first]
        first |= {incident.number: alert for incident in new}
        count |= {incident.number: count.get(incident.number, 0) + 1 for incident in own}
        shared |= {incident.number for incident in own if len(own) > 1}
        if not new and any(incident.catchable for incident in own):
            result.repeats += 1
            _count_false(result, "repeat")
        elif not own:
            _count_false(result, _looks_like(case, alert))
    for incident in case.incidents:
        if incident.catchable:
            _count_incident(result, case, incident, first.get(incident.number))
            result.single += count.get(incident.number) == 1 and incident.number not in shared
    return result


def explain(case: Case, alerts: Sequence[Alert]) -> list[str]:
    """List when each incident was found or that it was missed, and the ordinary cause of each false alert."""
    lines = []
    alerts = [alert.by_step(case.step_hours) for alert in alerts]
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
    """Return whether an alert is about an incident."""
    return _is_in_time(alert, incident) and any(_is_part(named, incident) for named in alert.named)


def _own(alert: Alert, case: Case) -> list[Incident]:
    """Return the incidents that an alert belongs to; each level that it names belongs to one of them."""
    lasting = sorted((one for one in case.incidents if _is_in_time(alert, one)), key=lambda one: one.start)
    own: dict[int, Incident] = {}
    for named in alert.named:
        parts = [incident for incident in lasting if _is_part(named, incident)]
        own |= {incident.number: incident for incident in (parts[-1:] if named[2] == ALL else parts)}
    return [own[number] for number in sorted(own)]


def _is_in_time(alert: Alert, incident: Incident) -> bool:
    return incident.start <= alert.detected <= incident.end + GRACE_HOURS


def _is_part(named: tuple[str, str, str, str], incident: Incident) -> bool:
    account, region, resource, usage_type = named
    if not (_is_in(account, incident.accounts) and _is_in(region, incident.regions)):
        return False
    return resource in incident.resources or (resource == ALL and _is_of(usage_type, incident.usage_types))


def _is_in(name: str, names: Sequence[str]) -> bool:
    return name == ALL or name in names


def _is_of(usage_type: str, usage_types: Sequence[str]) -> bool:
    """Return whether a usage type is one of some, in whatever region."""
    return usage_type == ALL or _bare(usage_type) in {_bare(one) for one in usage_types}


def _bare(usage_type: str) -> str:
    return re.sub(r"^[A-Z]{2,4}\d?-", "", usage_type)


def is_about(alert: Alert, event: Ordinary) -> bool:
    """Return whether an alert is about something ordinary: raised in its time, and naming its resource first."""
    in_its_time = event.start <= alert.detected <= event.end + GRACE_HOURS
    return in_its_time and any(_touches(named, event) for named in alert.named[:1])


def _touches(named: tuple[str, str, str, str], event: Ordinary) -> bool:
    account, region, resource, _ = named
    in_place = resource in event.resources or (resource == ALL and _is_in(region, event.regions))
    return _is_in(account, (event.account,)) and in_place


def _looks_like(case: Case, alert: Alert) -> str:
    # Those that name a resource and a time come first, permanent ones last.
    for event in case.ordinary:
        in_place = any(
            _touches(named, event) if event.resources else _is_in(named[0], (event.account,)) for named in alert.named
        )
        if in_place and event.start <= alert.detected <= event.end:
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
    told = None if alert is None else int(case.arrival[alert.detected])
    _count_large(result, case, incident, alert, told)
    if alert is None or told is None:
        return
    tally[1] += 1
    result.found += 1
    if alert.detected <= incident.half_done:
        result.in_time_usd += damage
    if told <= incident.half_done + 1:
        result.in_time_by_arrival_usd += damage
    result.delays.append(told - incident.start)
    result.delays_after_arrival.append(told - int(case.arrival[incident.start]))
    result.right_resource += alert.resources[0] in incident.resources
    result.right_class += alert.usage_types[0] in incident.usage_types
    result.right_kind += alert.kind in (incident.kind, *incident.also)


def _count_large(result: Score, case: Case, incident: Incident, alert: Alert | None, told: int | None) -> None:
    """Count a large incident; `told` is the hour in which the bill was delivered that raised its alert."""
    if incident.large_from is None:
        return
    usd, delivered = incident.usd, int(case.arrival[incident.start])
    result.large += 1
    result.large_usd += float(usd.sum())
    result.large_before_delivery_usd += float(usd[:delivered].sum())
    result.large_before_alert_usd += float(usd[: None if alert is None else alert.detected + 1].sum())
    result.large_before_notice_usd += float(usd[:told].sum())
    if alert is not None and told is not None:
        result.large_delays.append(alert.detected - incident.start + 1)
        result.large_delays_from_usd.append(max(alert.detected - incident.large_from + 1, 0))
        result.large_delays_after_arrival.append(told - delivered)
