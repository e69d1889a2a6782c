"""Finds the last hour for which each service's lines are complete.

Services report to a bill at different lags, so some of them are missing in a bill's last hours. If a service has no
line in an hour, it had no usage, or its lines are yet to come. The usual number of lines of a service, egress or not,
decides which:

- A service with lines in nearly every hour is complete until the last hour that has at least half of the usual number
  for that hour of the day.
- A service with fewer lines counts as late as the latest of the others.
- After `SETTLED_HOURS` an hour without lines had no usage, and a closed bill is complete.

A daily bill follows the same rules by days, with one exception. A day's lines appear with its first usage and grow
until the day ends, so their number does not show whether the day is complete. The last day of an open bill is never
complete.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egress_features.engines import Engine

SETTLED_HOURS = 48
USUAL_HOURS = 168
# A service's own lines decide if it has lines in this share of the usual hours ...
PRESENT_SHARE = 0.9
# ... and an hour with this share of the usual number of lines is complete.
ENOUGH_SHARE = 0.5
_DAYS = 7
_HOUR, _DAY = timedelta(hours=1), timedelta(days=1)


def make_watermarks(engine: Engine, kept: str) -> dict[str, datetime]:
    """Make the table watermarks (service, complete_until_utc), and return it (UTC) for the services with egress.

    Parameters
    ----------
    engine : Engine
        With the views counted_groups and kept_lines, and the tables granularity and data_hours.
    kept : str
        SQL list of the line item types that bill usage.
    """
    first, last, is_daily = engine.rows(
        "SELECT first_hour, last_hour, is_daily FROM data_hours CROSS JOIN granularity"
    )[0]
    engine.run("CREATE TABLE watermarks (service VARCHAR, complete_until_utc TIMESTAMP)")
    if last is None:
        return {}
    rows = engine.rows(
        "SELECT service, hour_utc, SUM(lines), MAX(has_invoice) FROM counted_groups "
        f"WHERE line_item_type IN ({kept}) AND provider = 'AWS' GROUP BY service, hour_utc"
    )
    lines: dict[str, dict[datetime, int]] = defaultdict(lambda: defaultdict(int))
    closed: dict[datetime, bool] = {}
    for service, hour, count, has_invoice in rows:
        if hour is not None:
            start = utc_day(hour) if is_daily else hour
            lines[service][start] += int(count)
            closed[start] = closed.get(start, False) or bool(has_invoice)
    is_closed = bool(closed) and closed[max(closed)]
    step = _DAY if is_daily else _HOUR
    complete = dict.fromkeys(lines, last) if is_closed else complete_until(lines, first, last, step)
    engine.insert("watermarks", sorted(complete.items()))
    egress = {row[0] for row in engine.rows("SELECT DISTINCT service FROM kept_lines")}
    return {service: hour.replace(tzinfo=UTC) for service, hour in sorted(complete.items()) if service in egress}


def late_services(engine: Engine, complete: Mapping[str, datetime]) -> list[str]:
    """Return a sentence that lists the services whose lines end before the bill does."""
    last = max(
        (row[0].replace(tzinfo=UTC) for row in engine.rows("SELECT last_hour FROM data_hours") if row[0]), default=None
    )
    is_daily = engine.rows("SELECT is_daily FROM granularity")[0][0]
    until = "through {:%Y-%m-%d}" if is_daily else "through {:%Y-%m-%d %H:%M}"
    late = [f"{service} {until.format(hour)}" for service, hour in complete.items() if last and hour < last]
    if not late:
        return []
    later = "days" if is_daily else "hours"
    return [
        f"billing data is complete for {', '.join(late)} UTC; later {later} without charges count as missing, "
        "not as zero"
    ]


def utc_day(hour: datetime) -> datetime:
    """Return the UTC day that overlaps a line's local day most, as `sql/series_hours.sql` does."""
    return (hour + timedelta(hours=14)).replace(hour=0)


def complete_until(
    lines: Mapping[str, Mapping[datetime, int]], first: datetime, last: datetime, step: timedelta = _HOUR
) -> dict[str, datetime]:
    """Return the last complete hour of each service.

    Parameters
    ----------
    lines : mapping
        Number of lines by service and start of the hour or day.
    first, last : datetime
        First and last hour of the data.
    step : timedelta
        An hour or a day.
    """
    own = {service: _own(counts, first, last, step) for service, counts in lines.items()}
    others = min((hour for hour in own.values() if hour is not None), default=last)
    return {service: hour if hour is not None else others for service, hour in own.items()}


def _own(counts: Mapping[datetime, int], first: datetime, last: datetime, step: timedelta) -> datetime | None:
    """Return the last complete hour of a service by its own lines, or None if it has too few."""
    rest = step - _HOUR
    latest = last - rest
    settled = latest - timedelta(hours=SETTLED_HOURS)
    usual = [settled - back * step for back in range(timedelta(hours=USUAL_HOURS) // step)]
    usual = [start for start in usual if start >= first]
    if sum(start in counts for start in usual) < max(PRESENT_SHARE * len(usual), 1):
        return None
    for back in range(int(step > _HOUR), timedelta(hours=SETTLED_HOURS) // step):
        start = latest - back * step
        if counts.get(start, 0) >= max(ENOUGH_SHARE * _usual_lines(counts, start, first, settled), 1):
            return start + rest
    return settled + rest


def _usual_lines(counts: Mapping[datetime, int], hour: datetime, first: datetime, settled: datetime) -> float:
    days = (hour - timedelta(days=back) for back in range(1, _DAYS + SETTLED_HOURS // 24 + 1))
    known = [counts.get(day, 0) for day in days if first <= day <= settled][:_DAYS]
    return median(known) if known else 0.0
