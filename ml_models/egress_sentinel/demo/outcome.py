"""Compares the alerts of a demo with the incidents in its bill."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True)
class Outcome:
    """The alert of each detected incident, the missed incidents, and the alerts without an incident.

    Attributes
    ----------
    found : list of (label, alert)
        Each detected incident with its first alert.
    missed : list of labels
    unlabelled : list of alerts
    """

    found: list[tuple[Mapping[str, Any], Mapping[str, Any]]]
    missed: list[Mapping[str, Any]]
    unlabelled: list[Mapping[str, Any]]


def compare(alerts: Sequence[Mapping[str, Any]], labels: Sequence[Mapping[str, Any]]) -> Outcome:
    """Match alerts to labelled incidents.

    An alert belongs to an incident if account and region are equal, their hours overlap, and the incident's resource
    is the alert's or one of its contributors'. If the bill names no resource, the egress class is compared.
    """
    found, missed = [], []
    matched: set[str] = set()
    for label in labels:
        own = [alert for alert in alerts if _belongs(alert, label)]
        matched |= {alert["alert_id"] for alert in own}
        if own:
            found.append((label, min(own, key=lambda alert: str(alert["detected_hour_utc"]))))
        else:
            missed.append(label)
    return Outcome(found, missed, [alert for alert in alerts if alert["alert_id"] not in matched])


def outcome_lines(outcome: Outcome) -> list[str]:
    """Describe the detected incidents, their delays and the missed incidents."""
    labels = len(outcome.found) + len(outcome.missed)
    extra = len(outcome.unlabelled)
    lines = [
        f"{len(outcome.found)} of {labels} labelled incidents found, "
        f"{extra} alert{'' if extra == 1 else 's'} without an incident"
    ]
    for label, alert in outcome.found:
        delay = _moment(alert["detected_hour_utc"]) - _moment(label["start_hour_utc"])
        lines.append(f"  found   {label['name']}: alert {alert['alert_id']}, {_hours(delay)} after its first hour")
    lines += [f"  missed  {label['name']}: {label['description']}" for label in outcome.missed]
    lines += [
        f"  extra   alert {alert['alert_id']}: {alert['egress_class']} of {alert['resource_id'] or alert['service']}"
        for alert in outcome.unlabelled
    ]
    return lines


def _belongs(alert: Mapping[str, Any], label: Mapping[str, Any]) -> bool:
    same_place = (alert["account_id"], alert["region"]) == (label["account_id"], label["region"])
    overlap = _moment(alert["start_hour_utc"]) <= _moment(label["end_hour_utc"]) and _moment(
        label["start_hour_utc"]
    ) <= _moment(alert["end_hour_utc"])
    field = "resource_id" if label["resource_id"] else "egress_class"
    return same_place and overlap and label[field] in {c[field] for c in (alert, *alert["contributors"])}


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _hours(delay: timedelta) -> str:
    hours = round(delay / timedelta(hours=1))
    return "in the hour" if hours <= 0 else f"{hours} h"
