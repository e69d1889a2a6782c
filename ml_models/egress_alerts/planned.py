"""Planned events: a calendar of expected transfers, and which incidents it suppresses.

An incident is suppressed when each of its hours that matters belongs to a planned event, and all that the event's
incidents carry above expected stays within the plan. Notified as usual are an incident that exceeds its plan, and hours
beside the plan that reach the floors by themselves.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egress_alerts.policy import PolicyError, check_number, check_scope
from egress_alerts.series import iso_hour, parse_hour, wildcard

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from egress_alerts.hours import Hour, Incident
    from egress_alerts.policy import Policy
    from egress_alerts.series import Series

_TEXTS = ("note", "account", "region", "egress_class", "resource")
_LIMITS = ("max_gb", "max_usd")
_NAMES = ("note", "from", "to", "account", "region", "egress_class", "resource", *_LIMITS)


class CalendarError(ValueError):
    """A calendar entry that is not accepted: its place, its fault, and the accepted values."""


@dataclass(frozen=True)
class PlannedEvent:
    """An expected transfer in the hours [start, end).

    The other fields define which series it covers ("" is any; `*` and `?` in `resource` are wildcards) and how much
    more than expected it may carry.
    """

    note: str
    start: int
    end: int
    account: str = ""
    region: str = ""
    egress_class: str = ""
    resource: str = ""
    max_gb: float = float("inf")
    max_usd: float = float("inf")

    def covers(self, hour: int, series: Series) -> bool:
        """Return whether an hour of a series belongs to the event."""
        return (
            self.start <= hour < self.end
            and self.account in ("", series.account_id)
            and self.region in ("", series.region)
            and self.egress_class in ("", series.egress_class)
            and wildcard(self.resource or "*").fullmatch(series.resource_id) is not None
        )

    def overrun(self, incidents: Iterable[Incident]) -> str:
        """Return in words what the covered hours carry beyond the plan, or "" when they keep to it.

        GB are those of the egress class with the most, because a gateway meters the same bytes again.
        """
        hours = [h for incident in incidents for h in incident.hours if self.covers(h.hour, h.series)]
        by_class: dict[str, float] = {}
        for hour in hours:
            by_class[hour.series.egress_class] = by_class.get(hour.series.egress_class, 0.0) + hour.excess_gb
        gb, usd = max(by_class.values(), default=0.0), sum(hour.excess_usd for hour in hours)
        if gb > self.max_gb:
            return f"{gb:,.1f} GB above expected exceed the {self.max_gb:,.1f} GB that were planned: {self.note}"
        if usd > self.max_usd:
            return f"${usd:,.2f} above expected exceed the ${self.max_usd:,.2f} that were planned: {self.note}"
        return ""

    def record(self) -> dict[str, Any]:
        """Return the event as a JSON object that `check_event` accepts."""
        texts = {name: getattr(self, name) for name in ("account", "region", "egress_class", "resource")}
        limits = {name: getattr(self, name) for name in _LIMITS}
        return {
            "note": self.note,
            "from": iso_hour(self.start),
            "to": iso_hour(self.end),
            **{name: value for name, value in texts.items() if value},
            **{name: value for name, value in limits.items() if value != float("inf")},
        }


def read_calendar(text: str) -> list[PlannedEvent]:
    """Read a calendar, a JSON list of objects.

    Raises
    ------
    CalendarError
    """
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise CalendarError(f"the calendar of planned events is not JSON: {error}") from error
    if not isinstance(entries, list):
        raise CalendarError("the calendar of planned events is not a list")
    return [check_event(entry, f"planned event {number}") for number, entry in enumerate(entries, 1)]


def check_event(entry: Any, where: str, egress_classes: tuple[str, ...] | None = None) -> PlannedEvent:
    """Check one entry of a calendar.

    Parameters
    ----------
    entry : mapping
        `note`, `from` and `to` (UTC hours in ISO 8601, half-open), `max_gb` or `max_usd`, and optionally `account`,
        `region`, `egress_class` and `resource`.
    where : str
        Names the entry in an error.
    egress_classes : tuple of str, optional
        The classes that may be named; by default any.

    Raises
    ------
    CalendarError
    """
    given = {name: value for name, value in entry.items() if value is not None} if isinstance(entry, dict) else {}
    unknown = [name for name in given if name not in _NAMES]
    if unknown:
        raise CalendarError(f"{where} has {unknown[0]!r}; accepted are {', '.join(_NAMES)}")
    for name in ("note", "from", "to"):
        if given.get(name, "") == "":
            raise CalendarError(f"{where} has no {name!r}; it needs note, from, to, and max_gb or max_usd")
    for name in _TEXTS:
        if not isinstance(given.get(name, ""), str):
            raise CalendarError(f"{where}: {name} is {given[name]!r}; a text in quotes is accepted")
    limits = [name for name in _LIMITS if name in given]
    if not limits:
        raise CalendarError(f"{where} needs max_gb or max_usd: without a limit it would hide anything")
    try:
        check_scope(given.get("account"), given.get("egress_class"), egress_classes)
        numbers: dict[str, Any] = {name: check_number(name, given[name]) for name in limits}
    except PolicyError as error:
        raise CalendarError(f"{where}: {error}") from error
    start, end = _hour(where, given, "from"), _hour(where, given, "to")
    if end <= start:
        raise CalendarError(f"{where} ends at {iso_hour(end)}, not after its start {iso_hour(start)}")
    texts = {name: given[name] for name in _TEXTS if name in given}
    return PlannedEvent(start=start, end=end, **texts, **numbers)


def match_planned_event(
    incident: Incident, earlier: Sequence[Incident], events: Sequence[PlannedEvent], policy: Policy
) -> tuple[str, str]:
    """Return why a plan suppresses an incident ("" when it does not), and by how much it exceeds a plan ("" if not).

    Parameters
    ----------
    incident : Incident
    earlier : sequence of Incident
        Those found before it: their share of a plan is used up.
    events : sequence of PlannedEvent
        The calendar; of two events that cover an hour the first one counts.
    policy : Policy
        For the floors of what happens beside the plan.
    """
    used: list[PlannedEvent] = []
    beside: dict[Series, list[Hour]] = {}
    for hour in incident.hours:
        event = next((event for event in events if event.covers(hour.hour, hour.series)), None)
        if event is None:
            beside.setdefault(hour.series, []).append(hour)
        elif event not in used:
            used.append(event)
    overrun = next((text for event in used if (text := event.overrun([incident, *earlier]))), "")
    if not used or overrun or any(_matters(hours, policy) for hours in beside.values()):
        return "", overrun
    return f"planned: {', '.join(event.note for event in used)}", ""


def _matters(hours: list[Hour], policy: Policy) -> bool:
    floors = policy.floors(hours[0].series.account_id, hours[0].series.egress_class)
    if sum(hour.cost_usd for hour in hours) == 0:
        return sum(hour.excess_gb for hour in hours) >= floors.min_excess_gb
    return sum(hour.excess_usd for hour in hours) >= floors.min_excess_usd


def _hour(where: str, given: dict[str, Any], name: str) -> int:
    try:
        return parse_hour(str(given[name]))
    except ValueError as error:
        raise CalendarError(
            f"{where}: {name} is {str(given[name])!r}; an hour such as 2026-10-14T08:00:00Z is accepted"
        ) from error
