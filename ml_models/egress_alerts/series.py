"""The keys of everything else: a series, an hour, a range of hours."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple

# In the keys that a level sums over.
SUMMED = "*"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Series(NamedTuple):
    """The key of a series: of one resource, or of a level, which sums over resources."""

    account_id: str
    region: str
    service: str
    egress_class: str
    resource_id: str

    @property
    def is_level(self) -> bool:
        """Whether the series is the sum of others."""
        return self.resource_id == SUMMED

    @property
    def levels(self) -> tuple[Series, ...]:
        """The levels that the series is part of, the smallest first."""
        resources = self._replace(resource_id=SUMMED)
        regions = resources._replace(region=SUMMED, service=SUMMED)
        levels = dict.fromkeys((resources, regions, regions._replace(account_id=SUMMED)))
        return tuple(level for level in levels if level != self)


class Labels(NamedTuple):
    """What people know a series by: the name of its account, and its tags and cost categories."""

    account_name: str = ""
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Window:
    """The hours [start, end) as hour numbers. If `may_be_empty` is true, missing features are no error."""

    start: int
    end: int
    may_be_empty: bool = False

    @property
    def days(self) -> list[str]:
        """The UTC days that the window touches, in order."""
        return [day_of(hour) for hour in range(self.start - self.start % 24, self.end, 24)]

    def __str__(self) -> str:
        return f"{iso_hour(self.start)} to {iso_hour(self.end)}"


def hour_number(moment: datetime) -> int:
    """Return the number of the UTC hour since 1970 that contains a time. A time without a zone is in UTC."""
    return (_aware(moment) - _EPOCH) // timedelta(hours=1)


def iso_hour(hour: int) -> str:
    """Return an hour number as text, such as `2018-11-27T16:00:00Z`."""
    return f"{_EPOCH + timedelta(hours=hour):%Y-%m-%dT%H:%M:%SZ}"


def parse_hour(text: str) -> int:
    """Return the number of an hour written in ISO 8601.

    Raises
    ------
    ValueError
        The text is not a time, or not the start of an hour.
    """
    moment = _aware(datetime.fromisoformat(text))
    if (moment - _EPOCH) % timedelta(hours=1):
        raise ValueError(f"{text} is not the start of an hour")
    return hour_number(moment)


def day_of(hour: int) -> str:
    """Return the UTC day of an hour number, such as `2018-11-27`."""
    return iso_hour(hour)[:10]


@cache
def wildcard(pattern: str) -> re.Pattern[str]:
    """Return the expression of a pattern in which only `*` and `?` are wildcards, and brackets are not."""
    return re.compile(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)


def _aware(moment: datetime) -> datetime:
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
