"""Planned events: which incidents a calendar of expected transfers answers. Pure but for `read_calendar`.

An incident is quiet when each of its hours that matter belongs to a planned event, and all that the event's incidents
carry above what was expected stays within what was planned. What is more than planned, and what happens beside the plan
and reaches the floors by itself, is told as ever.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anomaly_detector.hours import parse_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from anomaly_detector.incidents import Hour, Incident, Series
    from anomaly_detector.settings import Policy

NAMES = ("note", "from", "to", "account", "region", "egress_class", "resource", "max_gb", "max_usd")


class CalendarError(ValueError):
    """A calendar that makes no sense: which entry, what, and what is accepted."""


@dataclass(frozen=True)
class PlannedEvent:
    """An expected transfer: hours [start, end), whose series ("" is any), and at most how much above the usual."""

    note: str
    start: int
    end: int
    account: str
    region: str
    egress_class: str
    resource: re.Pattern[str]
    max_gb: float
    max_usd: float

    def covers(self, hour: int, series: Series) -> bool:
        """Say whether an hour of a series belongs to the event."""
        return (
            self.start <= hour < self.end
            and self.account in ("", series.account_id)
            and self.region in ("", series.region)
            and self.egress_class in ("", series.egress_class)
            and self.resource.fullmatch(series.resource_id) is not None
        )

    def excess_of(self, incidents: Iterable[Incident]) -> str:
        """Return in words what the covered hours carry beyond the plan, or "" where they keep to it.

        GB are those of the egress class with the most: a gateway meters the same bytes again.
        """
        hours = [h for incident in incidents for h in incident.hours if self.covers(h.hour, h.series)]
        by_class: dict[str, float] = {}
        for hour in hours:
            by_class[hour.series.egress_class] = by_class.get(hour.series.egress_class, 0.0) + hour.excess_gb
        gb, usd = max(by_class.values(), default=0.0), sum(hour.excess_usd for hour in hours)
        if gb > self.max_gb:
            return f"{gb:,.1f} GB above what is usual, where at most {self.max_gb:,.1f} GB were planned: {self.note}"
        if usd > self.max_usd:
            return f"${usd:,.2f} above what is usual, where at most ${self.max_usd:,.2f} were planned: {self.note}"
        return ""


def read_calendar(s3: Any, bucket: str, key: str) -> list[PlannedEvent]:
    """Read the calendar from S3; none where no key is set.

    Raises
    ------
    CalendarError
        Names the entry.
    ClientError
        It is not there.
    """
    return events_of(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()) if key else []


def events_of(text: str) -> list[PlannedEvent]:
    """Read a JSON list of objects with `NAMES`; `from` and `to` are hours, half-open, the rest may be left out.

    Raises
    ------
    CalendarError
    """
    try:
        entries = json.loads(text)
    except ValueError as error:
        raise CalendarError(f"the calendar of planned events is no JSON: {error}") from error
    if not isinstance(entries, list):
        raise CalendarError("the calendar of planned events is no list")
    return [_event(entry, number) for number, entry in enumerate(entries, 1)]


def answer_of(
    incident: Incident, earlier: Sequence[Incident], events: Sequence[PlannedEvent], policy: Policy
) -> tuple[str, str]:
    """Return what quiets an incident ("" where it is to be told), and what it carries beyond a plan ("" for nothing).

    Parameters
    ----------
    incident : Incident
        The one to be told or not.
    earlier : sequence of Incident
        Those found before it: what they have used of a plan is gone.
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
    beyond = next((text for event in used if (text := event.excess_of([incident, *earlier]))), "")
    if not used or beyond or any(_matters(hours, policy) for hours in beside.values()):
        return "", beyond
    return f"planned: {', '.join(event.note for event in used)}", ""


def _matters(hours: list[Hour], policy: Policy) -> bool:
    floors = policy.floors(hours[0].series)
    if sum(hour.cost_usd for hour in hours) == 0:
        return sum(hour.excess_gb for hour in hours) >= floors.min_excess_gb
    return sum(hour.excess_usd for hour in hours) >= floors.min_excess_usd


def _event(entry: Any, number: int) -> PlannedEvent:
    where = f"planned event {number}"
    given = {name: value for name, value in entry.items() if value is not None} if isinstance(entry, dict) else {}
    unknown = sorted(given.keys() - set(NAMES))
    if unknown:
        raise CalendarError(f"{where} has {unknown[0]!r}; accepted are {', '.join(NAMES)}")
    if "max_gb" not in given and "max_usd" not in given:
        raise CalendarError(f"{where} needs max_gb or max_usd: without them it would hide anything")
    try:
        start, end = parse_hour(str(given["from"])), parse_hour(str(given["to"]))
        max_gb, max_usd = (float(given.get(name, "inf")) for name in ("max_gb", "max_usd"))
    except KeyError as error:
        raise CalendarError(f"{where} has no {error}") from error
    except ValueError as error:
        raise CalendarError(f"{where}: {error}; hours such as 2026-10-16T08:00Z and numbers are accepted") from error
    if end <= start:
        raise CalendarError(f"{where} ends at {given['to']}, not after its start {given['from']}")
    return PlannedEvent(
        note=str(given.get("note", "")) or where,
        start=start,
        end=end,
        account=str(given.get("account", "")),
        region=str(given.get("region", "")),
        egress_class=str(given.get("egress_class", "")),
        resource=_glob(str(given.get("resource", "*"))),
        max_gb=max_gb,
        max_usd=max_usd,
    )


def _glob(pattern: str) -> re.Pattern[str]:
    """Resource ids have brackets of their own, so that `*` and `?` alone stand for something."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
