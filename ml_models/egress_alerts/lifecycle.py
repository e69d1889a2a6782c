"""The life of an incident: its state, its severity, and when people are notified again.

All times are hours of data, never clock time.

State: an incident ends when no hour that matters has come for `ended_after_hours`. Small hours after its last hour are
no part of it, see `incidents`. An incident that a restated bill no longer shows is withdrawn.

Severity: the larger of two amounts is compared with the thresholds of the account and class.

- The dollars above expected so far. A small leak that lasts becomes severe.
- The largest rate in dollars per day, over any 24 hours so far. An incident of less than 12 hours counts as one of 12,
  so that one expensive hour does not count as 24.

Two kinds are at least medium, at their detection and later. One is a suspected leaked key or exfiltration. The other is
an incident whose rate reached the share `medium_share_of_expected` of the account's expected data-transfer cost per day
before the detection. A small account whose egress doubles is not low.

All amounts only rise as hours arrive, so that severity never falls while an incident is open. Only a restatement
lowers it.

Notifications: people are notified of a new incident, and again when one of these is true:

- The severity is higher than they know.
- The incident had ended and is open again.
- Its excess has at least doubled since the last notification, and grown by the threshold for medium.
- A resource leads that was no part of it at the last notification.
- The likely cause is one that they have not read yet.
- It has ended or is withdrawn, where the policy asks for that (`notify_ended`).

Between two notifications of an alert lie at least `notify_again_hours` of data. There is one exception: a higher
severity in the hours that people know, from a restated bill, is notified at once.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from egress_alerts.policy import SEVERITIES, Severity
from egress_alerts.signatures import SECURITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from egress_alerts.hours import Incident
    from egress_alerts.policy import Policy
    from egress_alerts.series import Series

State = Literal["open", "ended", "withdrawn"]
NEW = "new"
_DAY_HOURS = 24
_SHORTEST_HOURS = 12
_MEDIUM = SEVERITIES.index("medium")


class Notified(NamedTuple):
    """The state at the last notification. `until` is the first hour whose data had not arrived by then."""

    severity: str
    state: str
    until: int
    excess_usd: float
    causes: tuple[str, ...]


def state_of(incident: Incident, policy: Policy, data_until: int) -> State:
    """Return open or ended. Data have arrived for the hours before `data_until`."""
    return "ended" if data_until - incident.end - 1 >= policy.ended_after_hours else "open"


def peak_usd_per_day(incident: Incident) -> float:
    """Return the dollars above expected of the costliest 24 hours. Less than a day is scaled up to at most twice."""
    length = min(max(incident.end - incident.start + 1, _SHORTEST_HOURS), _DAY_HOURS)
    return round(max(usd for _, usd in _days(incident)) / length * _DAY_HOURS, 6)


def current_usd_per_day(incident: Incident) -> float:
    """Return the dollars above expected per day at the rate of the last 24 hours."""
    return round(_rates(incident)[-1], 6)


def severity_of(
    incident: Incident, lead: Series, causes: Iterable[str], policy: Policy, *, is_large: bool = False
) -> Severity:
    """Return the severity of an incident.

    Parameters
    ----------
    incident : Incident
    lead : Series
        Its thresholds are those of this series' account and class.
    causes : iterable of str
        Short names of the likely causes, at the detection and now.
    policy : Policy
    is_large : bool
        Whether it is large for its account, as `is_large_for_the_account` returns.
    """
    usd = round(max(excess_usd(incident), *_rates(incident)), 6)
    rank = sum(usd >= threshold for threshold in policy.thresholds(lead.account_id, lead.egress_class))
    return SEVERITIES[max(rank, _MEDIUM if is_large or not SECURITY.isdisjoint(causes) else 0)]


def is_large_for_the_account(incident: Incident, lead: Series, policy: Policy, account_usd_per_day: float) -> bool:
    """Return whether an incident's rate has reached the policy's share of its account's expected dollars a day."""
    share = policy.medium_share(lead.account_id, lead.egress_class)
    return 0 < share * account_usd_per_day <= round(max(_rates(incident)), 6)


def quiet_before(incident: Incident, policy: Policy) -> tuple[int, int]:
    """Return the hour since which the incident has not ended, and the hours without excess before it (0 if none)."""
    hours = sorted({hour for member in incident.members.values() for hour in member})
    ends = [(after, after - before - 1) for before, after in pairwise(hours)]
    return next((end for end in reversed(ends) if end[1] >= policy.ended_after_hours), (hours[0], 0))


def change_to_notify(
    incident: Incident, alert: Mapping[str, Any], lead: Series, notified: Notified | None, policy: Policy, until: int
) -> str:
    """Return in a few words the change to notify people of: `NEW`, a change, or "" if there is none.

    Parameters
    ----------
    incident : Incident
    alert : Alert
        The record built from it.
    lead : Series
        The series that leads it.
    notified : Notified or None
        None if people have not been notified of it.
    policy : Policy
    until : int
        The first hour whose data have not arrived yet.
    """
    state = str(alert["state"])
    if notified is None:
        return "" if state == "withdrawn" else NEW
    is_restated = until <= notified.until and _is_raised(alert, notified)
    if until - notified.until < policy.notify_again_hours and not is_restated:
        return ""
    changes = [] if state == "withdrawn" else _changes(incident, alert, lead, notified, policy)
    if policy.notify_ended and state not in ("open", notified.state):
        changes.append(state)
    return ", ".join(changes)


def _changes(
    incident: Incident, alert: Mapping[str, Any], lead: Series, notified: Notified, policy: Policy
) -> list[str]:
    changes = []
    if _is_raised(alert, notified):
        changes.append(f"raised from {notified.severity.upper()}")
    since, quiet = quiet_before(incident, policy)
    if quiet and since >= notified.until:
        changes.append(f"open again after {quiet} quiet hours")
    excess, floor = excess_usd(incident), policy.thresholds(lead.account_id, lead.egress_class)[0]
    if excess >= 2 * notified.excess_usd and excess - notified.excess_usd >= floor:
        changes.append(f"grown from ${notified.excess_usd:,.2f}")
    if min(incident.members[lead]) >= notified.until:
        changes.append("another resource leads")
    if alert["incident_class"] and alert["incident_class"] not in notified.causes:
        changes.append("another likely cause" if any(notified.causes) else "likely cause known")
    return changes


def _is_raised(alert: Mapping[str, Any], notified: Notified) -> bool:
    return SEVERITIES.index(alert["severity"]) > SEVERITIES.index(notified.severity)


def excess_usd(incident: Incident) -> float:
    """Return the dollars above expected so far."""
    return round(sum(_excess_by_hour(incident).values()), 6)


def _excess_by_hour(incident: Incident) -> dict[int, float]:
    by_hour: dict[int, float] = {}
    for member in incident.members.values():
        for hour, row in member.items():
            by_hour[hour] = by_hour.get(hour, 0.0) + row.excess_usd
    return dict(sorted(by_hour.items()))


def _days(incident: Incident) -> list[tuple[int, float]]:
    """Return for each hour the dollars above expected of the 24 hours until then, at least 0."""
    by_hour = _excess_by_hour(incident)
    hours = list(by_hour)
    days, first, within = [], 0, 0.0
    for hour in hours:
        within += by_hour[hour]
        while hours[first] <= hour - _DAY_HOURS:
            within -= by_hour[hours[first]]
            first += 1
        days.append((hour, max(within, 0.0)))
    return days


def _rates(incident: Incident) -> list[float]:
    """Return for each hour the dollars a day at the rate of the incident's last 24 hours until then."""
    days = _days(incident)
    start = days[0][0]
    lengths = (min(max(hour - start + 1, _SHORTEST_HOURS), _DAY_HOURS) for hour, _ in days)
    return [usd / length * _DAY_HOURS for (_, usd), length in zip(days, lengths, strict=True)]
