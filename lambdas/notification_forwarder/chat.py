"""Custom notifications of Amazon Q Developer in chat applications, which shows them in Slack and Microsoft Teams.

https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
"""

from __future__ import annotations

from typing import Any

from notification_forwarder.body import described

# Slack shows at most 3,000 characters of a block.
_MAX_TEXT = 2900


def build_messages(body: dict[str, Any], message_id: str) -> list[dict[str, Any]]:
    """Return a message for each alert, in the alert's thread. For more than 20 alerts, return one digest.

    Parameters
    ----------
    body : dict
        The notification.
    message_id : str
        The notification's id, from which each message gets an id that is the same when it is sent again.
    """
    if len(body["summaries"]) > len(body["alerts"]):
        return [_digest(body, message_id)]
    return [_message(summary, alert, f"{message_id}-{alert['alert_id']}") for summary, alert in described(body)]


def _message(summary: dict[str, Any], alert: dict[str, Any], message_id: str) -> dict[str, Any]:
    verdict = f"Record a verdict: `egress-sentinel feedback {alert['alert_id']} true|false|planned`"
    keywords = [alert["severity"], alert["state"], alert["egress_class"], alert["incident_class"], alert["owner"]]
    return {
        "version": "1.0",
        "source": "custom",
        "id": message_id,
        "content": {
            "textType": "client-markdown",
            "title": summary["title"],
            "description": _code(summary["text"]),
            "nextSteps": [_inline(alert["next_step"]), verdict],
            "keywords": [_inline(word) for word in keywords if word],
        },
        "metadata": {
            "threadId": alert["alert_id"],
            "summary": summary["title"],
            "eventType": f"egress-incident-{alert['state']}",
            "relatedResources": [
                name for row in alert["contributors"] if (name := row["resource_id"]) not in ("", "*")
            ],
            "additionalContext": {
                name: alert[name]
                for name in ("alert_id", "severity", "state", "account_id", "region", "egress_class", "owner")
                if alert[name]
            },
        },
    }


def _digest(body: dict[str, Any], message_id: str) -> dict[str, Any]:
    summaries = body["summaries"]
    lines = [summary["title"] for summary in summaries[:20]]
    more = [f"and {len(summaries) - 20} more"] if len(summaries) > 20 else []
    return {
        "version": "1.0",
        "source": "custom",
        "id": message_id,
        "content": {
            "textType": "client-markdown",
            "title": f"{len(summaries)} egress alerts",
            "description": _code("\n".join([*lines, *more])),
            "nextSteps": ["Read the e-mail or the alerts table for all of them"],
        },
        "metadata": {"summary": body["subject"], "eventType": "egress-incident-digest"},
    }


def _code(text: str) -> str:
    """Return the text as a block of code without backticks inside, so that a resource id cannot format it."""
    inside = text.replace("`", "'")
    return f"```\n{inside if len(inside) <= _MAX_TEXT else inside[:_MAX_TEXT] + '...'}\n```"


def _inline(text: str) -> str:
    return text.replace("`", "'").replace("*", "").replace("_", " ")
