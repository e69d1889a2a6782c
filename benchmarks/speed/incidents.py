"""A storm of incidents: `python -m benchmarks.speed.incidents [--quick]`.

10,000 series of one account and region are all above expected for 24 hours. The rival finds with pandas the series that
reach $5 in 24 hours: a rolling sum by series, and no more. Ours makes incidents of them, as the detector does. Both
must name the same series, or no ratio is printed. The second line has the levels' rows as well, with the account's
fleet in one incident. Seconds are of CPU.
"""

from __future__ import annotations

import argparse
import random
import time
from typing import TYPE_CHECKING

import pandas as pd

from benchmarks.speed.common import best
from egress_alerts.hours import Hour
from egress_alerts.incidents import find_incidents
from egress_alerts.policy import Policy
from egress_alerts.series import Series, parse_hour

if TYPE_CHECKING:
    from egress_alerts.hours import Incident

HOURS = 24
START = parse_hour("2026-10-02T00:00:00Z")
FLOOR_USD = 5.0


def storm(count: int) -> list[Hour]:
    """Return the hours of the series, each some $0.1 to $1 above expected."""
    chance = random.Random(0)  # noqa: S311 - made-up rows
    rows = []
    for number in range(count):
        name = f"arn:aws:ec2:eu-west-1:111122223333:instance/i-{number:017x}"
        series, usual = Series("111122223333", "eu-west-1", "AmazonEC2", "internet", name), chance.uniform(0.1, 1.0)
        rows += [_hour(series, START + hour, 1.0, usual * chance.uniform(0.8, 1.2)) for hour in range(HOURS)]
    return rows


def levels_of(rows: list[Hour]) -> list[Hour]:
    """Return the hours of the levels that the rows are part of."""
    sums: dict[tuple[int, Series], tuple[int, float]] = {}
    for row in rows:
        for level in row.series.levels:
            count, usd = sums.get((row.hour, level), (0, 0.0))
            sums[row.hour, level] = count + 1, usd + row.excess_usd
    return [_hour(level, hour, float(count), usd) for (hour, level), (count, usd) in sums.items()]


def _hour(series: Series, hour: int, expected_gb: float, excess_usd: float) -> Hour:
    gb, expected_usd = expected_gb + 10 * excess_usd, 0.1 * expected_gb
    usd = expected_usd + excess_usd
    kind = "EU-DataTransfer-Out-Bytes"
    measures = (gb, expected_gb, gb, expected_gb, usd, expected_usd)
    return Hour(hour, series, *measures, -0.1, kind, "RunInstances", False, times_habit=9.0, p_value=0.001)


def by_pandas(rows: list[Hour]) -> set[Series]:
    """Return the series whose excess of any 24 hours reaches the floor; the fewer hours, the more it takes."""
    frame = pd.DataFrame({"series": [row.series for row in rows], "usd": [row.excess_usd for row in rows]})
    usd = frame.groupby("series", sort=False)["usd"].rolling(HOURS, min_periods=1)
    weight = usd.count().clip(upper=12) / 12
    reached = (usd.sum() * weight >= FLOOR_USD).groupby(level=0).any()
    return set(reached.index[reached])


def by_incidents(rows: list[Hour]) -> list[Incident]:
    """Return the incidents."""
    return find_incidents(Policy(), [], [], rows)


def main() -> None:
    """Print the ratios.

    Raises
    ------
    ValueError
        The two name other series.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="1,000 series")
    count = 1_000 if parser.parse_args().quick else 10_000
    rows = storm(count)
    theirs, expected = best(lambda: by_pandas(rows), 3, time.process_time)
    ours, found = best(lambda: by_incidents(rows), 3, time.process_time)
    if {series for incident in found for series in incident.members} != expected:
        raise ValueError("the two name different series")
    _report(f"{count:,} series x {HOURS} hours, {len(found)} incidents", theirs, ours)
    every = [*rows, *levels_of(rows)]
    ours, found = best(lambda: by_incidents(every), 3, time.process_time)
    _report(f"the same with levels, {len(found)} incident", theirs, ours)


def _report(what: str, theirs: float, ours: float) -> None:
    print(f"{what:<44} {ours:.2f} s, {ours / theirs:.1f} times the rolling sum by pandas ({theirs:.2f} s)", flush=True)


if __name__ == "__main__":
    main()
