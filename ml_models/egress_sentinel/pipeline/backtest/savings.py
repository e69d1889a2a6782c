"""What an alert that came at a certain moment could have saved. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Savings:
    """An incident's dollars above expected: all, those before the alert, those after a reaction."""

    excess_usd: float
    excess_before_alert_usd: float
    avoidable_usd: float


def savings(excess_usd_by_hour: Mapping[datetime, float], alerted_at: datetime, react_hours: int) -> Savings:
    """Divide an incident's excess by the moment of its alert.

    Parameters
    ----------
    excess_usd_by_hour : mapping of datetime to float
        Dollars above expected in each unusual hour of the incident, by the hour's start.
    alerted_at : datetime
        When the alert came. An hour that it falls into counts as before it.
    react_hours : int
        Hours from the alert until the incident is ended: what starts then or later is avoidable.
    """
    acted_at = alerted_at + timedelta(hours=react_hours)
    before = sum(usd for hour, usd in excess_usd_by_hour.items() if hour < alerted_at)
    avoidable = sum(usd for hour, usd in excess_usd_by_hour.items() if hour >= acted_at)
    return Savings(round(sum(excess_usd_by_hour.values()), 6), round(before, 6), round(max(avoidable, 0.0), 6))
