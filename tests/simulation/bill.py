"""A world's bill and its deliveries: hours arrive late and in part, and are restated.

Some bills have a fleet, whose instances rise together, and the rows of levels, which sum over resources and regions.
"""

import io
import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from egress_alerts.alert import ALERT_FIELDS
from egress_alerts.series import Series, parse_hour

FIRST = parse_hour("2026-10-02T00:00:00Z")  # a Friday
EXPECTED_GB, USD_PER_GB = 5.0, 0.09
# So many that three of them do not explain their level, and that an alert does not list all of them.
_FLEET = 7
# In versions without the field `state`, a restatement that removes an incident does not change its alert.
KNOWS_WITHDRAWN = "state" in ALERT_FIELDS
_PLACES = (("111122223333", "eu-west-1"), ("111122223333", "us-east-1"), ("444455556666", "eu-west-1"))


class Bill:
    """The truth, hour by hour, and the drafts that come before it."""

    def __init__(self, seed: int) -> None:
        choice = random.Random(f"bill {seed}")
        self.days = choice.choice((2, 2, 3, 3, 4))
        places = choice.sample(_PLACES, choice.choice((1, 1, 2)))
        self.series = [
            Series(*choice.choice(places), "AmazonS3", "internet", f"bucket-{number}")
            for number in range(choice.choice((1, 2, 3)))
        ]
        kind = choice.random()
        self.has_levels = kind < 0.4
        place = choice.choice(places)
        # A bill without levels shows a fleet as its instances.
        size = _FLEET if kind < 0.6 else 0
        self.fleet = [Series(*place, "AmazonEC2", "internet", f"i-{number}") for number in range(size)]
        self.hours = range(FIRST, FIRST + 24 * self.days)
        self.truth = {(series, hour): EXPECTED_GB for series in [*self.series, *self.fleet] for hour in self.hours}
        for _ in range(choice.choice((1, 1, 2, 3))):
            self._add_incident(choice, [choice.choice(self.series)])
        if self.fleet:
            # Often not all of it.
            self._add_incident(choice, self.fleet[: choice.choice((1, 4, _FLEET, _FLEET))])
        # Until an hour is settled, deliveries have its draft.
        self.drafts: dict[tuple[Series, int], tuple[float, float]] = {}
        for _ in range(choice.choice((0, 1, 2))):
            self._add_draft(choice)

    @property
    def places(self) -> set[tuple[str, ...]]:
        """The accounts and regions of all rows."""
        series = [*self.series, *self.fleet]
        return {each[:2] for one in series for each in (one, *(one.levels if self.has_levels else ()))}

    def _add_incident(self, choice: random.Random, rising: list[Series]) -> None:
        # Often across midnight.
        near_midnight = FIRST + 24 * choice.randrange(1, self.days) + choice.randrange(-6, 2)
        start = choice.choice((near_midnight, near_midnight, choice.choice(self.hours)))
        gb = choice.choice((20.0, 80.0, 300.0, 2000.0))
        for hour in range(start, start + choice.choice((1, 3, 8, 14, 30))):
            for series in rising if hour in self.hours else ():
                self.truth[series, hour] = gb / len(rising) + choice.random()

    def _add_draft(self, choice: random.Random) -> None:
        series, start = choice.choice([*self.series, *self.fleet]), choice.choice(self.hours)
        factor = choice.choice((0.2, 0.6, 4.0, 20.0)) if KNOWS_WITHDRAWN else choice.choice((0.2, 0.6))
        settled = start + choice.choice((10, 20, 40))
        for hour in range(start, min(start + choice.choice((2, 6, 24)), self.hours.stop)):
            self.drafts[series, hour] = (self.truth[series, hour] * factor, settled)

    def known(self, day: int, at_hour: float, until: int, partial_from: int) -> bytes:
        """Return a day's feature file as a delivery at `at_hour` makes it. It is empty if the day has no hours yet.

        Hours from `partial_from` on, up to `until`, are there in part.
        """
        rows = []
        for hour in range(FIRST + 24 * day, min(FIRST + 24 * day + 24, until)):
            for series in (*self.series, *self.fleet):
                gb, settled = self.drafts.get((series, hour), (self.truth[series, hour], 0.0))
                if at_hour >= settled:
                    gb = self.truth[series, hour]
                rows.append((hour, series, gb * 0.5 if hour >= partial_from else gb))
        return feature_file(tuple(rows), self.has_levels) if rows else b""

    def settled(self, day: int) -> bytes:
        """Return a day's feature file as it is in the end."""
        return self.known(day, float("inf"), self.hours.stop, self.hours.stop)


@lru_cache(maxsize=500)
def feature_file(rows: tuple[tuple[int, Series, float], ...], has_levels: bool = False, **features: float) -> bytes:
    """Return a feature file of (hour, series, GB), perhaps with levels; `features` replaces a feature in all rows."""
    body = io.BytesIO()
    counted = {(hour, series): (gb, 1) for hour, series, gb in rows}
    pq.write_table(_table(counted | (_levels(rows) if has_levels else {}), features), body)
    return body.getvalue()


def _levels(rows: tuple[tuple[int, Series, float], ...]) -> dict[tuple[int, Series], tuple[float, int]]:
    """Return by hour and level the GB of its series, and how many they are."""
    sums: dict[tuple[int, Series], tuple[float, int]] = {}
    for hour, series, gb in rows:
        for level in series.levels:
            gb_so_far, count = sums.get((hour, level), (0.0, 0))
            sums[hour, level] = gb_so_far + gb, count + 1
    return sums


def _table(counted: Mapping[tuple[int, Series], tuple[float, int]], features: Mapping[str, float]) -> pa.Table:
    rows = [(hour, series, gb) for (hour, series), (gb, _) in counted.items()]
    hours = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour, _, _ in rows]
    gb = np.array([gb for _, _, gb in rows])
    expected, zeros = EXPECTED_GB * np.array([count for _, count in counted.values()]), np.zeros(len(rows))
    no = np.zeros(len(rows), bool)
    columns: dict[str, Any] = {
        "hour_utc": pa.array(hours, pa.timestamp("us", tz="UTC")),
        **{name: [getattr(series, name) for _, series, _ in rows] for name in Series._fields},
        "usage_type": ["EU-DataTransfer-Out-Bytes"] * len(rows),
        "operation": ["GetObject"] * len(rows),
        "usage_gb": gb,
        "egress_gb": gb,
        "cost_usd": gb * USD_PER_GB,
        "expected_usage_gb": expected,
        "expected_egress_gb": expected,
        "expected_cost_usd": expected * USD_PER_GB,
        "expected_spread_gb": zeros,
        "is_provisional": no,
        "is_estimated": no,
        "is_complete": ~no,
        "is_daily": no,
        "ratio": (gb / expected).astype(np.float32),
        "beyond_habit_log": np.where(gb > expected, 3.0, 0.0).astype(np.float32),
    }
    columns |= {name: np.full(len(rows), value, np.float32) for name, value in features.items()}
    return pa.table(columns)
