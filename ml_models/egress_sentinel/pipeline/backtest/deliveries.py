"""When a bill's hours arrive: by the executions' own times, or by a usual lag. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

DEFAULT_LAG_HOURS = 24
DEFAULT_EVERY_HOURS = 8
DEFAULT_RETRAIN_DAYS = 7
DEFAULT_REACT_HOURS = 4


@dataclass(frozen=True)
class Timing:
    """How a replay goes.

    Attributes
    ----------
    lag_hours : int
        How old usage is when the bill has all of it.
    every_hours : int, optional
        Hours between deliveries; where deliveries have times, None takes each of them.
    retrain_days : int
        Days between trainings.
    react_hours : int
        Hours from an alert until the incident is ended.
    """

    lag_hours: int = DEFAULT_LAG_HOURS
    every_hours: int | None = None
    retrain_days: int = DEFAULT_RETRAIN_DAYS
    react_hours: int = DEFAULT_REACT_HOURS


@dataclass(frozen=True)
class Delivery:
    """A bill that arrives: it holds the hours before `visible_until`; `files` if the delivery has files."""

    arrived: datetime
    visible_until: datetime | None = None
    files: tuple[Path, ...] = ()


def usual_deliveries(first_hour: datetime, end: datetime, as_of: datetime, timing: Timing) -> list[Delivery]:
    """Return the deliveries until `as_of` of a bill whose hours are [first_hour, end), with the usual lag.

    Deliveries come at multiples of `every_hours` since midnight of the first day; the last one is the first to have all
    hours.
    """
    every = timedelta(hours=timing.every_hours or DEFAULT_EVERY_HOURS)
    lag = timedelta(hours=timing.lag_hours)
    deliveries = []
    arrived = first_hour.replace(hour=0) + every
    while arrived <= as_of:
        visible_until = min(arrived - lag, end)
        if visible_until > first_hour:
            deliveries.append(Delivery(arrived, visible_until))
        if visible_until == end:
            break
        arrived += every
    return deliveries


def thinned(
    dated: Sequence[tuple[datetime, list[Path]]], as_of: datetime | None, every_hours: int | None
) -> list[Delivery]:
    """Return dated deliveries until `as_of`, the last one of each `every_hours` where that is given."""
    kept: dict[object, Delivery] = {}
    for moment, files in dated:
        if as_of is None or moment <= as_of:
            slot = moment if every_hours is None else int(moment.timestamp()) // (3600 * every_hours)
            kept[slot] = Delivery(moment, None, tuple(files))
    return list(kept.values())
