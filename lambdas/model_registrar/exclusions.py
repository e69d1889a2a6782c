"""What training leaves out, from the alerts table and the calendar of planned events. Pure.

The rule, and the lines, are those of `egress_sentinel.pipeline.exclusions`: the hours of planned events, and those of
each alert's series from its first to its last hour, judged or not, unless it or the alert that keeps it quiet was
called `false`.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

# Of the table's items these are read and nothing else.
ATTRIBUTES = (
    "alert_id", "judged_alert_id", "verdict", "quieted_by", "account_id", "contributors", "causes", "start_hour_utc",
    "end_hour_utc",
)  # fmt: skip
SERIES = ("region", "service", "egress_class", "resource_id")
_OF_EVENTS = {"account": "account_id", "region": "region", "egress_class": "egress_class", "resource": "resource_id"}


def exclusions_of(items: Iterable[Mapping[str, Any]], events: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Return the lines of the training job's `exclude` channel.

    Parameters
    ----------
    items : iterable of mapping
        Of the alerts table: alerts and verdicts.
    events : iterable of mapping
        Of the calendar that the detector reads.
    """
    rows = sorted(items, key=lambda item: str(item["alert_id"]))
    alerts, verdicts = ([row for row in rows if ("verdict" in row) is judged] for judged in (False, True))
    said = {row["judged_alert_id"]: row["verdict"] for row in verdicts}
    known = {row["alert_id"] for row in alerts}
    lines = []
    for alert in alerts:
        verdict = said.get(alert["alert_id"]) or said.get(alert.get("quieted_by")) or "not judged"
        lines += _lines(alert, alert["contributors"], alert["alert_id"], verdict)
    for row in verdicts:
        if row["judged_alert_id"] not in known:
            lines += _lines(row, row["causes"], row["judged_alert_id"], row["verdict"])
    return lines + [_of_event(event, number) for number, event in enumerate(events, 1)]


def as_text(exclusions: Sequence[Mapping[str, str]]) -> str:
    """Return the lines as a file; never empty, since SageMaker takes no channel without bytes."""
    return "".join(f"{json.dumps(line)}\n" for line in exclusions) or "\n"


def _lines(
    about: Mapping[str, Any], series: Iterable[Mapping[str, Any]], alert_id: str, verdict: str
) -> list[dict[str, str]]:
    if verdict == "false":
        return []
    hours = {name: str(about[name]) for name in ("start_hour_utc", "end_hour_utc")}
    why = {"why": f"alert {alert_id}, {verdict}"}
    return [
        {"account_id": str(about["account_id"]), **{name: str(row[name]) for name in SERIES}, **hours, **why}
        for row in series
    ]


def _of_event(event: Mapping[str, Any], number: int) -> dict[str, str]:
    start, end = (datetime.fromisoformat(event[name]).astimezone(UTC) for name in ("from", "to"))
    keys = {column: str(event[name]) for name, column in _OF_EVENTS.items() if event.get(name)}
    last = end - timedelta(hours=1)
    return keys | {
        "start_hour_utc": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "end_hour_utc": f"{last:%Y-%m-%dT%H:%M:%SZ}",
        "why": f"planned: {event.get('note') or number}",
    }
