"""Hours of series to alerts, by the same rule for every rival.

A series' flagged hours with gaps below `gap_hours` are one alert; it is raised when the flagged hours of the last 24
add up to `floor_usd` above what the rival expected. Series of the same account and region that reach the floor within
twelve hours of each other are one alert. That is the rule that Egress Sentinel states in its documentation.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.incidents.alert import Alert

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from benchmarks.incidents.bill import Floats
    from benchmarks.incidents.panel import Panel

SIBLING_HOURS = 12


@dataclass
class _Group:
    detected: int
    first: int
    last: int
    usd_by_series: dict[int, float] = field(default_factory=dict)
    course: list[tuple[int, float]] = field(default_factory=list)

    def take(self, series: int, hour: int, usd: float, since: int) -> None:
        self.usd_by_series[series] = self.usd_by_series.get(series, 0.0) + usd
        self.first, self.last = min(self.first, since), max(self.last, hour)
        total = max(sum(self.usd_by_series.values()), self.course[-1][1] if self.course else 0.0)
        if self.course and self.course[-1][0] == hour:
            self.course.pop()
        self.course.append((hour, total))


def group(
    panel: Panel,
    flagged: NDArray[np.bool_],
    excess_usd: Floats,
    *,
    floor_usd: float,
    gap_hours: int,
    lasting_hours: int = 1,
) -> list[Alert]:
    """Turn flagged hours into alerts; the rank is the dollars so far above what was expected.

    Parameters
    ----------
    flagged : ndarray of bool, shape (series, hours)
        Hours before the scored weeks are left out here.
    excess_usd : ndarray of shape (series, hours)
        Dollars above what the rival expects.
    lasting_hours : int
        With fewer flagged hours among the last 24 the dollars count in proportion.
    """
    hour, series = np.nonzero(flagged[:, panel.train_hours :].T)
    hour = hour + panel.train_hours
    groups: list[_Group] = []
    current: dict[int, _Group] = {}
    lately: dict[tuple[str, ...], list[_Group]] = {}
    recent: dict[int, deque[tuple[int, float]]] = {}
    for h, s in zip(hour.tolist(), series.tolist(), strict=True):
        usd = float(excess_usd[s, h])
        mine = current.get(s)
        if mine is not None and h - mine.last <= gap_hours:
            mine.take(s, h, usd, h)
            continue
        window = recent.setdefault(s, deque())
        window.append((h, usd))
        while window[0][0] <= h - 24:
            window.popleft()
        gathered = sum(part for _, part in window)
        if gathered * min(len(window) / lasting_hours, 1.0) < floor_usd:
            continue
        place = panel.names[s][:2]
        near = [one for one in lately.get(place, []) if h - one.detected <= SIBLING_HOURS]
        found = near[0] if near else _Group(h, window[0][0], h)
        if not near:
            groups.append(found)
            lately.setdefault(place, []).append(found)
        found.take(s, h, gathered, window[0][0])
        window.clear()
        current[s] = found
    return [_alert(panel, one) for one in groups]


def _alert(panel: Panel, found: _Group) -> Alert:
    order = sorted(found.usd_by_series, key=lambda s: -found.usd_by_series[s])
    accounts, regions, resources, usage_types = zip(*(panel.names[s] for s in order), strict=True)
    return Alert(
        accounts=accounts,
        regions=regions,
        resources=resources,
        usage_types=usage_types,
        start=found.first,
        end=found.last,
        course=tuple(found.course),
    )
