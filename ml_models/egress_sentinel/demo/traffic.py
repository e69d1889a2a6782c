"""Streams of a bill (one usage type of one resource) and the simulation of their usage."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from egress_sentinel.demo.places import REGIONS

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Clock:
    """The hours of the bill, `start` to `start + hours` (exclusive), UTC."""

    start: datetime
    hours: int

    @classmethod
    def ending(cls, end: date, days: int) -> Clock:
        """Cover `days` whole days, the last of which is `end`."""
        start = datetime.combine(end, time(), UTC) - timedelta(days=days - 1)
        return cls(start, days * 24)

    def at(self, hour: int) -> datetime:
        """Return the moment at which this hour starts."""
        return self.start + timedelta(hours=hour)

    @property
    def score_from_hour(self) -> int:
        """The first hour of the last 14 days."""
        return self.hours - 14 * 24

    def first_hour(self, weekday: int, hour_of_day: int, not_before: int) -> int:
        """Return the first hour from `not_before` on that falls on this weekday (Monday 0) and hour, in UTC."""
        first = self.at(not_before)
        ahead = (weekday * 24 + hour_of_day - first.weekday() * 24 - first.hour) % 168
        return not_before + ahead

    def local(self, utc_offset_hours: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return hour of the day and weekday (Monday 0), each int64 of shape (hours,)."""
        hour = np.arange(self.hours) + self.start.hour + utc_offset_hours
        return hour % 24, (self.start.weekday() + hour // 24) % 7


@dataclass
class Stream:
    """One usage type and operation of one resource, with its usage for every hour (0 = no line).

    Attributes
    ----------
    base : float
        Mean usage of an hour with a line, in `unit`.
    shape : str
        A name of `SHAPES`, or "constant" for exactly `base` in every hour.
    presence : float
        Share of hours with a line.
    rates : tuple of float
        USD per unit: one, or one for each tier of `tariff`.
    usage, injected : ndarray of float64, shape (hours,)
        All usage, and the part of it that an incident added.
    """

    account_id: str
    region: str
    service: str
    usage_type: str
    operation: str
    resource_id: str
    base: float
    rates: tuple[float, ...]
    shape: str = "flat"
    presence: float = 1.0
    sigma: float = 0.12
    tariff: str = ""
    unit: str = "GB"
    family: str = "Data Transfer"
    servicecode: str = "AWSDataTransfer"
    transfer_type: str | None = None
    from_location: str | None = None
    to_location: str | None = None
    description: str = ""
    line_type: str = "Usage"
    role: str = ""
    egress_class: str = ""
    usage: Floats = field(default_factory=lambda: np.zeros(0), repr=False)
    injected: Floats = field(default_factory=lambda: np.zeros(0), repr=False)

    def inject(self, excess: Floats) -> None:
        """Add an incident's usage."""
        excess = np.round(excess, 9)
        self.usage = self.usage + excess
        self.injected = self.injected + excess


def find(streams: list[Stream], role: str) -> list[Stream]:
    """Return the streams with this role."""
    return [stream for stream in streams if stream.role == role]


def _business(hour: NDArray[np.int64], weekday: NDArray[np.int64]) -> Floats:
    day = 0.25 + np.exp(-(((hour - 13.5) / 4.0) ** 2))
    return np.asarray(np.where(weekday < 5, day, 0.35 * day + 0.1))


def _evening(hour: NDArray[np.int64], weekday: NDArray[np.int64]) -> Floats:
    distance = (hour - 20.5 + 12) % 24 - 12
    return np.asarray((0.3 + 1.3 * np.exp(-((distance / 3.5) ** 2))) * np.where(weekday < 5, 1.0, 1.25))


def _nightly(hour: NDArray[np.int64], weekday: NDArray[np.int64]) -> Floats:
    return np.asarray(np.where((hour >= 1) & (hour < 5), 4.0, 0.3) * np.where(weekday < 6, 1.0, 0.8))


def _weekly_backup(hour: NDArray[np.int64], weekday: NDArray[np.int64]) -> Floats:
    return np.asarray(np.where((weekday == 6) & (hour >= 2) & (hour < 7), 1.0, 0.0))


def _flat(hour: NDArray[np.int64], weekday: NDArray[np.int64]) -> Floats:
    return np.ones(len(hour)) + 0.0 * weekday


SHAPES = {
    "flat": _flat,
    "business": _business,
    "evening": _evening,
    "nightly": _nightly,
    "weekly_backup": _weekly_backup,
}


def _shape_of(stream: Stream, clock: Clock) -> Floats:
    """Return the daily and weekly pattern in local time, with mean 1 in active hours, float64 of shape (hours,)."""
    region = REGIONS.get(stream.region)
    course = SHAPES[stream.shape](*clock.local(region.utc_offset_hours if region else -5))
    return np.asarray(course / course[course > 0].mean())


def simulate(streams: list[Stream], clock: Clock, rng: np.random.Generator) -> None:
    """Compute each stream's usage: pattern x growth x autocorrelated lognormal noise x bursts, in hours with a line."""
    count = len(streams)
    days = np.arange(clock.hours) / 24
    growth = (1 + rng.uniform(0.0, 0.05, count))[:, None] ** (days / 30)
    sigma = np.array([stream.sigma for stream in streams])[:, None]
    noise = np.exp(sigma * _autocorrelated(count, clock.hours, rng))
    present = rng.random((count, clock.hours)) < np.array([stream.presence for stream in streams])[:, None]
    bursts = _bursts(count, clock.hours, rng)
    for index, stream in enumerate(streams):
        stream.injected = np.zeros(clock.hours)
        if stream.shape == "constant":
            stream.usage = stream.base * present[index]
        else:
            course = _shape_of(stream, clock) * growth[index] * noise[index] * bursts[index]
            stream.usage = np.round(stream.base * course * present[index], 9)


def _autocorrelated(count: int, hours: int, rng: np.random.Generator, phi: float = 0.7) -> Floats:
    noise = rng.standard_normal((hours, count))
    for hour in range(1, hours):
        noise[hour] = phi * noise[hour - 1] + np.sqrt(1 - phi**2) * noise[hour]
    return np.asarray(noise.T)


def _bursts(count: int, hours: int, rng: np.random.Generator) -> Floats:
    size = np.where(rng.random((count, hours)) < 1 / 300, rng.uniform(1.2, 1.9, (count, hours)), 1.0)
    size[:, 1:] = np.maximum(size[:, 1:], np.sqrt(size[:, :-1]))
    return np.asarray(size)
