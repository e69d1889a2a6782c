"""Reads the day or hour to check from an event. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

# AWS adds lines to an hour for about a day, so features can change until then.
_SETTLED_DAYS = 2
# An endpoint's data capture arrives within minutes.
_SETTLED_HOURS = 1
_DAY, _HOUR = "%Y-%m-%d", "%Y-%m-%dT%H"


class EventError(ValueError):
    """The event names neither a day nor an hour."""


def windows_of(event: dict[str, Any], *, hourly: bool) -> list[str]:
    """Return the day or hour to check, and the two before it.

    Parameters
    ----------
    event : dict
        The schedule sends `{"time": "2026-11-25T06:20:00Z"}`, which means the day two days earlier, or the hour before.
        A person sends `{"day": "2026-11-23"}` or `{"hour": "2026-11-25T05"}`.
    hourly : bool
        Whether the schedule checks hours instead of days.

    Returns
    -------
    list of str
        Such as "2026-11-23" or "2026-11-25T05", the latest first.

    Raises
    ------
    EventError
        The event has another form.
    """
    form = _HOUR if "hour" in event or ("day" not in event and hourly) else _DAY
    step = timedelta(hours=1) if form == _HOUR else timedelta(days=1)
    try:
        start = _start(event, form, step)
    except ValueError as error:
        raise EventError(f"{event} names neither a day nor an hour: {error}") from error
    return [f"{start - step * back:{form}}" for back in range(3)]


def _start(event: dict[str, Any], form: str, step: timedelta) -> datetime:
    if "hour" in event or "day" in event:
        return datetime.strptime(str(event.get("hour", event.get("day"))), form).replace(tzinfo=UTC)
    if "time" in event:
        moment = datetime.fromisoformat(str(event["time"]))
        return moment - step * (_SETTLED_HOURS if form == _HOUR else _SETTLED_DAYS)
    raise EventError(
        f'{event} names neither a day nor an hour; send {{"day": "2026-11-23"}}, {{"hour": "2026-11-25T05"}} or '
        '{"time": "2026-11-25T06:20:00Z"}'
    )
