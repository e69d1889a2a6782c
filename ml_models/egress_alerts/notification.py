"""One notification: a subject, a text for people, a JSON body for programs, and attributes for filters.

A notification has one route: a team and its channel. It fits into one message of SNS.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal, TypedDict

from egress_alerts.alert import Alert  # noqa: TC001 - json_schema reads the types
from egress_alerts.lifecycle import State  # noqa: TC001
from egress_alerts.message import MAX_IN_FULL, render_alert, render_message, render_subject, s3_address
from egress_alerts.policy import Severity  # noqa: TC001
from egress_alerts.printable import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from egress_alerts.routing import Owner

# SNS counts attributes as well: 256 KB together.
_MAX_BYTES = 245_000


class Summary(TypedDict):
    """What a notification has about each of its alerts."""

    alert_id: Annotated[str, "Stable id: 16 hexadecimal digits"]
    severity: Annotated[Severity, "Severity of the alert"]
    state: Annotated[State, "Whether the incident is ongoing, has ended, or is gone from a restated bill"]
    change: Annotated[str, "What changed since the last notification of the alert; empty for a new alert"]
    title: Annotated[str, "One line of at most 100 ASCII characters"]
    text: Annotated[str, "The lines of the e-mail about the alert; empty where the alert is not in `alerts`"]


class NotificationBody(TypedDict):
    """The JSON body of a notification, for programs."""

    schema_version: Annotated[Literal["1.0"], "Version of this schema. A new minor version only adds fields"]
    subject: Annotated[str, "Subject of the e-mail"]
    team: Annotated[str, "Team that owns the alerts; empty when unknown"]
    channel: Annotated[str, "Channel of the team, from its owner rule; empty without one"]
    full_list: Annotated[str, "Where the records of all alerts are, as s3://bucket/key; empty unless there are over 20"]
    summaries: Annotated[list[Summary], "All alerts, worst first"]
    alerts: Annotated[list[Alert], "The whole records of the worst alerts, at most 20, in the order of `summaries`"]


@dataclass(frozen=True)
class Notification:
    """A notification about alerts of one route.

    `attributes` has values by name, for filter policies: lists of the alerts' values, and the route's team.
    """

    subject: str
    text: str
    body: NotificationBody
    attributes: Mapping[str, list[str] | str]


def build_notification(
    alerts: Sequence[Alert], changes: Mapping[str, str], owner: Owner, bucket: str = "", list_key: str = ""
) -> Notification:
    """Return the notification of alerts, worst first.

    Parameters
    ----------
    alerts : sequence of mapping
        Alert records of one route, at most 200.
    changes : mapping
        By alert id, the change since people were last notified, in a few words.
    owner : Owner
        The route.
    bucket : str
        The bucket of the alerts' `details_key`, and of `list_key`. Empty outside AWS.
    list_key : str
        The key of all records of a digest. Empty for other notifications.
    """
    subject, text = render_subject(alerts), render_message(alerts, changes, bucket, list_key)
    described = min(len(alerts), MAX_IN_FULL)
    body = _body(subject, alerts, changes, owner, described, (bucket, list_key))
    while described and len(json.dumps([text, json.dumps(body)], ensure_ascii=False).encode()) > _MAX_BYTES:
        described //= 2
        body = _body(subject, alerts, changes, owner, described, (bucket, list_key))
    return Notification(subject, text, body, _attributes(alerts, owner))


def _body(
    subject: str,
    alerts: Sequence[Alert],
    changes: Mapping[str, str],
    owner: Owner,
    described: int,
    stored: tuple[str, str],
) -> NotificationBody:
    bucket, list_key = stored
    return {
        "schema_version": "1.0",
        "subject": subject,
        "team": owner.team,
        "channel": owner.channel,
        "full_list": s3_address(bucket, list_key),
        "summaries": [
            _summary(alert, changes.get(alert["alert_id"], ""), bucket, is_described=place < described)
            for place, alert in enumerate(alerts)
        ],
        "alerts": list(alerts[:described]),
    }


def _summary(alert: Alert, change: str, bucket: str, *, is_described: bool) -> Summary:
    return {
        "alert_id": alert["alert_id"],
        "severity": alert["severity"],
        "state": alert["state"],
        "change": change,
        "title": render_subject([alert]),
        "text": render_alert(printable(alert), change, bucket) if is_described else "",
    }


def _attributes(alerts: Sequence[Alert], owner: Owner) -> dict[str, list[str] | str]:
    """Return the attributes for filters of SNS. Without a team or a channel there is no such attribute."""
    lists: dict[str, list[str] | str] = {
        "severity": _distinct(alert["severity"] for alert in alerts),
        "state": _distinct(alert["state"] for alert in alerts),
        "account": _distinct(alert["account_id"] for alert in alerts),
        "region": _distinct(alert["region"] for alert in alerts),
        "class": _distinct(alert["egress_class"] for alert in alerts),
        "kind": _distinct(alert["incident_class"] or "unknown" for alert in alerts),
    }
    route = {"team": owner.team, "channel": owner.channel}
    return lists | {name: value for name, value in route.items() if value}


def _distinct(values: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(values))
