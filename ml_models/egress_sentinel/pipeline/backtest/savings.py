"""Computes the savings that an alert at a given time allows. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Savings:
    """An incident's dollars above expected: in total, before the alert, and after the reaction time."""

    excess_usd: float
    excess_before_alert_usd: float
    avoidable_usd: float


def savings(excess_usd_by_hour: Mapping[datetime, float], alerted_at: datetime, react_hours: int) -> Savings:
    """Split an incident's excess at the time of its alert.

    Parameters
    ----------
    excess_usd_by_hour : mapping of datetime to float
        Dollars above expected in each anomalous hour of the incident, by the hour's start.
    alerted_at : datetime
        The time of the alert. The hour that contains it counts as before the alert.
    react_hours : int
        Hours from the alert until the incident is ended. Hours that start at that time or later are avoidable.
    """
    acted_at = alerted_at + timedelta(hours=react_hours)
    before = sum(usd for hour, usd in excess_usd_by_hour.items() if hour < alerted_at)
    avoidable = sum(usd for hour, usd in excess_usd_by_hour.items() if hour >= acted_at)
    return Savings(round(sum(excess_usd_by_hour.values()), 6), round(before, 6), round(max(avoidable, 0.0), 6))
