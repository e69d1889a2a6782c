"""The JSON body of a notification, as the topic delivers it (docs/notification.schema.json)."""

from __future__ import annotations

import json
from typing import Any

_MAJOR_VERSION = "1."


class BodyError(ValueError):
    """A message that is not the JSON body of a notification."""


def read_body(message: str) -> dict[str, Any]:
    """Read the body of a notification.

    Raises
    ------
    BodyError
        The message is something else, such as the text of an alarm, or has another major version.
    """
    try:
        body = json.loads(message)
    except ValueError:
        body = None
    version = body.get("schema_version") if isinstance(body, dict) else None
    if not isinstance(body, dict) or not str(version).startswith(_MAJOR_VERSION):
        raise BodyError(
            f"the message has schema_version {version!r}; 1.0 is accepted. Give the subscription a filter policy, "
            "so that only alerts arrive"
        )
    return body


def described(body: dict[str, Any]) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Return the summary and the record of each alert whose record is in the body, worst first."""
    summaries = {summary["alert_id"]: summary for summary in body["summaries"]}
    return [(summaries[alert["alert_id"]], alert) for alert in body["alerts"]]
