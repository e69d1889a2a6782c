"""The arrival times of a bill's hours: the times of the export's executions, or a fixed lag. Pure."""

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
    """The settings of a replay.

    Attributes
    ----------
    lag_hours : int
        The age of usage at which the bill is complete.
    every_hours : int, optional
        Hours between deliveries. None uses each delivery if deliveries have times.
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
    """A delivery of the bill. It has the hours before `visible_until`, and `files` if it is dated."""

    arrived: datetime
    visible_until: datetime | None = None
    files: tuple[Path, ...] = ()


def usual_deliveries(first_hour: datetime, end: datetime, as_of: datetime, timing: Timing) -> list[Delivery]:
    """Return the deliveries until `as_of` of a bill with the hours [first_hour, end), with a fixed lag.

    Deliveries arrive at multiples of `every_hours` after midnight of the first day. The last one is the first one that
    has all hours.
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
    """Return dated deliveries until `as_of`. With `every_hours`, return the last delivery of each such period."""
    kept: dict[object, Delivery] = {}
    for moment, files in dated:
        if as_of is None or moment <= as_of:
            slot = moment if every_hours is None else int(moment.timestamp()) // (3600 * every_hours)
            kept[slot] = Delivery(moment, None, tuple(files))
    return list(kept.values())
