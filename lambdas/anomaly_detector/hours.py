"""UTC hours as whole numbers since 1970, as texts and as days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def hour_number(moment: datetime) -> int:
    """Return the number of the hour that the moment lies in; a moment without a zone is UTC."""
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(hours=1)


def iso_hour(hour: int) -> str:
    """Return such as `2018-11-27T16:00:00Z`."""
    return f"{_EPOCH + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}"


def parse_hour(text: str) -> int:
    """Return the number of an hour written in ISO 8601.

    Raises
    ------
    ValueError
        No time, or one within an hour.
    """
    moment = datetime.fromisoformat(text)
    aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    if (aware - _EPOCH) % timedelta(hours=1):
        raise ValueError(f"{text} is not the start of an hour")
    return hour_number(aware)


def day_of(hour: int) -> str:
    """Return the UTC day of an hour, such as `2018-11-27`."""
    return iso_hour(hour)[:10]
