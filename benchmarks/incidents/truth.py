"""The truth about a bill: the injected incidents, and ordinary events that look like one."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from benchmarks.incidents.bill import Floats

# An incident is catchable if it costs this much in any 24 hours, or has that many GB if the bill prices all of it at
# $0. Both values were set before any result was known.
CATCHABLE_USD_PER_DAY = 5.0
CATCHABLE_UNPRICED_GB_PER_DAY = 50.0
# A large incident costs this much per hour over some three hours. Delays count from the first hour that costs as much.
LARGE_USD_PER_HOUR, LARGE_HOURS = 20.0, 3


@dataclass(frozen=True)
class Incident:
    """One injected incident.

    Attributes
    ----------
    number : int
        From 1, in its bill.
    kind, size : str
        Such as `hot_link` and `small`.
    accounts, regions, resources, usage_types : tuple of str
        All that it touched.
    start, end : int
        First and last hour with injected bytes, inclusive, counted from the start of the bill.
    usd, gb : ndarray of shape (hours,)
        Injected dollars and GB by the hour. A byte that is metered twice counts once in each line.
    ratio : float
        Injected GB an hour against what the same lines carried before, while it lasts; infinite for new ones.
    also : tuple of str
        Other kinds that are right as well: a fleet whose retries loop is also a `log_loop`.
    """

    number: int
    kind: str
    size: str
    accounts: tuple[str, ...]
    regions: tuple[str, ...]
    resources: tuple[str, ...]
    usage_types: tuple[str, ...]
    start: int
    end: int
    usd: Floats = field(repr=False)
    gb: Floats = field(repr=False)
    ratio: float
    also: tuple[str, ...] = ()

    @property
    def large_from(self) -> int | None:
        """The first hour that costs as much as an hour of a large incident. None if the incident is not large."""
        if _most_in(LARGE_HOURS, self.usd) < LARGE_HOURS * LARGE_USD_PER_HOUR:
            return None
        return int(np.argmax(self.usd >= LARGE_USD_PER_HOUR))

    @property
    def catchable(self) -> bool:
        """Whether it exceeds the lowest floor that a person would set."""
        if self.usd.sum() == 0:
            return bool(_most_in(24, self.gb) >= CATCHABLE_UNPRICED_GB_PER_DAY)
        return bool(_most_in(24, self.usd) >= CATCHABLE_USD_PER_DAY)

    @property
    def half_done(self) -> int:
        """The first hour at whose end half of the damage is done (of the GB where there is no price)."""
        damage = np.cumsum(self.usd if self.usd.sum() > 0 else self.gb)
        return int(np.searchsorted(damage, damage[-1] / 2))


def _most_in(hours: int, course: Floats) -> float:
    total = np.concatenate([[0.0], np.cumsum(course)])
    return float((total[hours:] - total[:-hours]).max())


@dataclass(frozen=True)
class Ordinary:
    """An ordinary event that looks like an incident. `is_announced` if the calendar of planned events has it."""

    kind: str
    account: str
    regions: tuple[str, ...]
    resources: tuple[str, ...]
    start: int
    end: int
    is_announced: bool = False


@dataclass(frozen=True)
class Case:
    """A bill that a detector gets, and the truth, which it does not get.

    `arrival` is the time at which the export with an hour was delivered, for each hour: hours from the start of the
    bill, int64 of shape (hours,). `planned` is the calendar that every detector may read. `step_hours` is the number of
    hours that a line of the bill covers: 24 in a daily bill.
    """

    name: str
    exports: tuple[Path, ...]
    start: datetime
    hours: int
    train_hours: int
    accounts: tuple[str, ...]
    arrival: np.ndarray
    incidents: tuple[Incident, ...]
    ordinary: tuple[Ordinary, ...]
    step_hours: int = 1

    @property
    def base(self) -> str:
        """The kind of base traffic: the first word of the name."""
        return self.name.split()[0]

    @property
    def planned(self) -> list[Ordinary]:
        """The announced events."""
        return [event for event in self.ordinary if event.is_announced]

    @property
    def account_months(self) -> float:
        """Accounts times scored months."""
        return len(self.accounts) * (self.hours - self.train_hours) / (24 * 365.25 / 12)
