"""What training leaves out, as the training script's `exclude` channel takes it.

Left out are the hours of planned events, and the hours of each alert's series from its first to its last one, with or
without a verdict: an hour without a verdict may be an incident, and a model that learns it is numb to the next.
What a verdict calls `false` stays in, because that is how the resource behaves, and so do its suppressed repeats.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from egress_alerts.series import iso_hour
from egress_alerts.verdicts import SERIES

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egress_alerts.planned import PlannedEvent

# The fields of alerts and verdicts that are read.
EXCLUSION_FIELDS = (
    "alert_id", "judged_alert_id", "verdict", "suppressed_by", "quieted_by", "account_id", "contributors", "causes",
    "start_hour_utc", "end_hour_utc",
)  # fmt: skip


def build_exclusions(
    alerts: Iterable[Mapping[str, Any]], verdicts: Iterable[Mapping[str, Any]], planned: Sequence[PlannedEvent]
) -> list[dict[str, str]]:
    """Return the lines of the channel.

    Parameters
    ----------
    alerts : iterable of mapping
        Alert records, of this or an earlier version.
    verdicts : iterable of mapping
        Records that `build_verdict` made, also of alerts that are not among these.
    planned : sequence of PlannedEvent

    Returns
    -------
    list of dict
        Each with the keys that a row must have to be left out, `start_hour_utc` and `end_hour_utc` (inclusive), and
        `why`.
    """
    verdicts = list(verdicts)
    given = {record["judged_alert_id"]: record["verdict"] for record in verdicts}
    known = set()
    lines = []
    for alert in alerts:
        known.add(alert["alert_id"])
        suppressed = alert.get("suppressed_by") or alert.get("quieted_by")
        verdict = given.get(alert["alert_id"]) or given.get(suppressed) or "no verdict"
        lines += _lines(alert, alert["contributors"], alert["alert_id"], verdict)
    for record in verdicts:
        if record["judged_alert_id"] not in known:
            lines += _lines(record, record["causes"], record["judged_alert_id"], record["verdict"])
    return lines + [_event_line(event) for event in planned]


def as_text(exclusions: Iterable[Mapping[str, str]]) -> str:
    """Return the lines as a file; never empty, because SageMaker takes no channel without bytes."""
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


def _event_line(event: PlannedEvent) -> dict[str, str]:
    keys = {
        "account_id": event.account,
        "region": event.region,
        "egress_class": event.egress_class,
        "resource_id": event.resource,
    }
    return {name: value for name, value in keys.items() if value} | {
        "start_hour_utc": iso_hour(event.start),
        "end_hour_utc": iso_hour(event.end - 1),
        "why": f"planned: {event.note}",
    }
