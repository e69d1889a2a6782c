"""PagerDuty's Events API v2: an alert triggers, and resolves when it is notified of as ended or withdrawn.

An incident that is over before the bill shows it triggers as well: its first notification must reach a person.

The alert id is the `dedup_key`, so that a repeated event changes nothing. Nothing is acknowledged: the person on call
decides that.
"""

from __future__ import annotations

from typing import Any

from notification_forwarder.body import described

URL = "https://events.pagerduty.com/v2/enqueue"
_SEVERITIES = {"critical": "critical", "high": "error", "medium": "warning", "low": "info"}
_MAX_SUMMARY = 1024
# The first that names something is the source. In a sum over resources, regions or accounts, some are "*".
_SOURCES = ("resource_id", "service", "account_id", "egress_class")
_DETAILS = (
    "owner",
    "likely_cause",
    "next_step",
    "reasons",
    "cost_usd",
    "expected_cost_usd",
    "current_usd_per_day",
    "usage_gb",
    "expected_usage_gb",
    "account_id",
    "account_name",
    "region",
    "resource_id",
    "detected_hour_utc",
)


def build_events(body: dict[str, Any], routing_key: str) -> list[dict[str, Any]]:
    """Return the events of a notification, worst first.

    Of more than 20 alerts, only the worst 20 trigger an incident. Each alert whose change is its end resolves.
    """
    records = {alert["alert_id"]: alert for _, alert in described(body)}
    more = len(body["summaries"]) - len(records)
    events = []
    for summary in body["summaries"]:
        event = {"routing_key": routing_key, "dedup_key": summary["alert_id"]}
        if summary["state"] in summary["change"].split(", "):
            events.append(event | {"event_action": "resolve"})
        elif summary["alert_id"] in records:
            payload = _payload(summary, records[summary["alert_id"]], more)
            events.append(event | {"event_action": "trigger", "client": "Egress Sentinel", "payload": payload})
    return events


def _payload(summary: dict[str, Any], alert: dict[str, Any], more: int) -> dict[str, Any]:
    details = {name: alert[name] for name in _DETAILS if alert.get(name) not in ("", None)}
    return {
        "summary": summary["title"][:_MAX_SUMMARY],
        "source": next(alert[name] for name in _SOURCES if alert[name] not in ("", "*")),
        "severity": _SEVERITIES[summary["severity"]],
        "timestamp": alert["start_hour_utc"],
        "component": alert["service"],
        "group": alert["account_id"],
        "class": alert["incident_class"] or alert["egress_class"],
        "custom_details": details | ({"more_alerts_in_this_notification": more} if more else {}),
    }
