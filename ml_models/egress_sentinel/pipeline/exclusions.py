"""What training leaves out, as the training script's `exclude` channel takes it: the one rule, for this machine.

Left out are the hours of planned events, and the hours of each alert's series from its first to its last one, be it
judged or not: what nobody has looked at may be an incident, and a model that learns it is numb to the next. What
somebody called `false` stays in: that is how the resource is, and so is what came again and was quiet for it.

In AWS `model_registrar.exclusions` does the same from the alerts table; a test holds both to the same lines.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from egress_sentinel.pipeline.feedback import CAUSE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_OF_EVENTS = {"account": "account_id", "region": "region", "egress_class": "egress_class", "resource": "resource_id"}


def exclusions_of(
    alerts: Sequence[Mapping[str, Any]], verdicts: Sequence[Mapping[str, Any]], planned: Sequence[Mapping[str, Any]]
) -> list[dict[str, str]]:
    """Return the lines of the channel.

    Parameters
    ----------
    alerts : sequence of mapping
        Alert records.
    verdicts : sequence of mapping
        Records as `egress-sentinel feedback` writes them, also of alerts that are not among these.
    planned : sequence of mapping
        Events as `read_planned` gives them.
    """
    said = {record["judged_alert_id"]: record["verdict"] for record in verdicts}
    known = {alert["alert_id"] for alert in alerts}
    lines = []
    for alert in alerts:
        verdict = said.get(alert["alert_id"]) or said.get(alert.get("quieted_by")) or "not judged"
        lines += _lines(alert, alert["contributors"], alert["alert_id"], verdict)
    for record in verdicts:
        if record["judged_alert_id"] not in known:
            lines += _lines(record, record["causes"], record["judged_alert_id"], record["verdict"])
    return lines + [_of_event(event) for event in planned]


def as_text(exclusions: Sequence[Mapping[str, str]]) -> str:
    """Return the lines as a file; never empty, since SageMaker takes no channel without bytes."""
    return "".join(f"{json.dumps(line)}\n" for line in exclusions) or "\n"


def _lines(
    about: Mapping[str, Any], series: Sequence[Mapping[str, Any]], alert_id: str, verdict: str
) -> list[dict[str, str]]:
    if verdict == "false":
        return []
    hours = {name: str(about[name]) for name in ("start_hour_utc", "end_hour_utc")}
    why = {"why": f"alert {alert_id}, {verdict}"}
    return [
        {"account_id": str(about["account_id"]), **{n: str(row[n]) for n in CAUSE}, **hours, **why} for row in series
    ]


def _of_event(event: Mapping[str, Any]) -> dict[str, str]:
    start, end = (datetime.fromisoformat(event[name]).astimezone(UTC) for name in ("from", "to"))
    keys = {column: str(event[name]) for name, column in _OF_EVENTS.items() if event.get(name)}
    last = end - timedelta(hours=1)
    return keys | {
        "start_hour_utc": f"{start:%Y-%m-%dT%H:%M:%SZ}",
        "end_hour_utc": f"{last:%Y-%m-%dT%H:%M:%SZ}",
        "why": f"planned: {event['note']}",
    }
