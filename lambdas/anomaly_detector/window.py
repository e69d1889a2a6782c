"""Finds the hours that an event asks for."""

from __future__ import annotations

import re
from typing import Any

from egress_alerts.series import Window, parse_hour

SCHEDULE_HOURS = 48  # bills of the last two days are still being written
_DAY = re.compile(r"day=(\d{4}-\d{2}-\d{2})/[^/]+\.parquet$")


class EventError(ValueError):
    """An event that names no hours."""


def window_of(event: dict[str, Any], features_prefix: str) -> Window:
    """Return the hours that an event asks for.

    Parameters
    ----------
    event : dict
        An S3 `Object Created` event through EventBridge (the day in the object's key), a schedule (the last 48
        hours), or `{"start": ..., "end": ...}` by hand, half-open.
    features_prefix : str
        Prefix of the feature files in the bucket.

    Raises
    ------
    EventError
        The event is of another kind.
    """
    if event.get("detail-type") == "Object Created":
        return _of_object(str(event["detail"]["object"]["key"]), features_prefix)
    if event.get("detail-type") == "Scheduled Event":
        end = parse_hour(str(event["time"])[:13] + ":00:00Z")
        return Window(end - SCHEDULE_HOURS, end, may_be_empty=True)
    if "start" in event and "end" in event:
        return _by_hand(event)
    raise EventError(
        "the event names no hours; accepted are an S3 Object Created event through EventBridge, a Scheduled Event, "
        'and {"start": "2026-01-31T00:00Z", "end": "2026-02-01T00:00Z"}'
    )


def _of_object(key: str, features_prefix: str) -> Window:
    day = _DAY.search(key)
    if not key.startswith(features_prefix) or not day:
        raise EventError(f"the object {key} is no feature file; {features_prefix}day=YYYY-MM-DD/NAME.parquet is one")
    start = parse_hour(f"{day[1]}T00:00:00Z")
    return Window(start, start + 24)


def _by_hand(event: dict[str, Any]) -> Window:
    try:
        start, end = parse_hour(str(event["start"])), parse_hour(str(event["end"]))
    except ValueError as error:
        raise EventError(f"start and end are hours such as 2026-01-31T00:00Z: {error}") from error
    if end <= start:
        raise EventError(f"the window from {event['start']} to {event['end']} is empty; end lies after start")
    return Window(start, end)
