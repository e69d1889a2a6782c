"""Which day an event asks for. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

# AWS goes on writing an hour's lines for about a day; before that a day has other features than it will have.
SETTLED_DAYS = 2


class EventError(ValueError):
    """An event that names no day."""


def day_of(event: dict[str, Any]) -> date:
    """Return the day to judge.

    Parameters
    ----------
    event : dict
        `{"time": "2026-11-25T06:00:00Z"}` as the schedule sends it, for the day two days before, or by hand
        `{"day": "2026-11-23"}`.

    Raises
    ------
    EventError
        Anything else.
    """
    try:
        if "day" in event:
            return date.fromisoformat(str(event["day"]))
        if "time" in event:
            return datetime.fromisoformat(str(event["time"])).date() - timedelta(days=SETTLED_DAYS)
    except ValueError as error:
        raise EventError(f"{event} names no day: {error}") from error
    raise EventError(
        f'{event} names no day; accepted are {{"day": "2026-11-23"}} and {{"time": "2026-11-25T06:00:00Z"}}'
    )
