"""What the report's charts show, read from the features and the scored rows."""

from __future__ import annotations

import glob
import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import duckdb
import pyarrow.parquet as pq

from egress_alerts.series import SUMMED
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

MONTH_DAYS, _WEEK_DAYS = 30, 7
_MAX_RESOURCES = 1000
OTHERS = "(other resources)"
SERIES_KEYS = ("account_id", "region", "service", "egress_class", "resource_id")
_DAYS_BEFORE, _DAYS_AFTER = 7, 3
# The feature by which an alert chooses its worst hour.
_BEYOND_HABIT = "beyond_habit_log"
_NO_LEVEL = f"resource_id <> '{SUMMED}'"


@dataclass(frozen=True)
class Totals:
    """Totals by hour, or by day if the bill is daily, and totals of the whole bill.

    `egress_gb` and `cost_usd` have a list of `len(hours)` numbers for each egress class.
    """

    hours: list[str]
    egress_gb: dict[str, list[float]]
    cost_usd: dict[str, list[float]]
    accounts: int
    series: int
    is_daily: bool = False


@dataclass(frozen=True)
class Cost:
    """A resource's dollars in the last 30 days, in the last seven and in the seven before.

    `usd` is scaled up to 30 days if the bill has fewer.
    """

    account_id: str
    region: str
    egress_class: str
    resource: str
    usd: float
    week_usd: float
    before_usd: float


@dataclass(frozen=True)
class Costs:
    """Costs by resource, the largest first. `days` are those of the bill, 30 at most."""

    rows: list[Cost]
    days: float
    has_week_before: bool


class ReportData:
    """Queries over a processed_features.parquet and, if there are any, scored rows. A context manager.

    Raises
    ------
    UserError
        The features cannot be read.
    """

    def __init__(self, features: Path, scored: Path | None) -> None:
        self._connection = duckdb.connect()
        self._connection.execute("SET TimeZone = 'UTC'")
        parts = sorted(scored.rglob("*.parquet")) if scored else []
        try:
            metadata = pq.read_schema(features).metadata or {}
            self._connection.read_parquet(glob.escape(str(features))).create_view("features")
            if parts:
                self._connection.read_parquet([glob.escape(str(part)) for part in parts]).create_view("scored")
        except (duckdb.Error, OSError, ValueError) as error:
            first_line = str(error).partition("\n")[0]
            raise UserError(f"cannot read features from {features}: {first_line}") from error
        self._has_scores = bool(parts)
        names = pq.read_schema(features).names
        has_days = "is_daily" in names
        self._complete = "is_complete" if "is_complete" in names else "TRUE"
        self._has_names = "account_name" in names
        self._is_daily = has_days and bool(self._row("SELECT COUNT(*) FILTER (WHERE is_daily), 0 FROM features")[0])
        schema = json.loads(metadata.get(b"egress_sentinel.schema", b'{"features": []}'))
        text = "daily_description" if self._is_daily else "description"
        self._features = {
            item["name"]: (item.get(text, item["description"]), item["unit"]) for item in schema["features"]
        }

    def __enter__(self) -> ReportData:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def totals(self) -> Totals:
        """Add all series up by hour and egress class, without levels: these are sums already."""
        rows = self._connection.execute(
            f"SELECT {self._time}, egress_class, SUM(egress_gb), SUM(cost_usd) FROM features "
            f"WHERE {_NO_LEVEL} GROUP BY {self._time}, egress_class ORDER BY {self._time}"
        ).fetchall()
        hours = sorted({row[0] for row in rows})
        place = {hour: number for number, hour in enumerate(hours)}
        egress_gb: dict[str, list[float]] = {}
        cost_usd: dict[str, list[float]] = {}
        for hour, egress_class, gb, usd in rows:
            egress_gb.setdefault(egress_class, [0.0] * len(hours))[place[hour]] = round(gb, 4)
            cost_usd.setdefault(egress_class, [0.0] * len(hours))[place[hour]] = round(usd, 4)
        accounts, series = self._row(
            "SELECT COUNT(DISTINCT account_id), "
            "COUNT(DISTINCT (account_id, region, service, egress_class, resource_id)) "
            f"FROM features WHERE {_NO_LEVEL}"
        )
        return Totals([_text(hour) for hour in hours], egress_gb, cost_usd, accounts, series, self._is_daily)

    def costs(self) -> Costs:
        """Add the last 30 days up by account, region, class and resource, and the last two weeks.

        Hours for which the bill is not complete are left out: they would make every last week cheaper.
        """
        hour = "CAST(hour_utc AS TIMESTAMP)"
        first, last = self._row(
            f"SELECT MIN({hour}), COALESCE(MAX({hour}) FILTER (WHERE {self._complete}), MAX({hour})) FROM features"
        )
        end = last + timedelta(hours=1)
        days = min(MONTH_DAYS, (end - first) / timedelta(days=1))
        starts = [end - timedelta(days=days) for days in (MONTH_DAYS, _WEEK_DAYS, 2 * _WEEK_DAYS)]
        found = self._connection.execute(
            f"SELECT account_id, region, egress_class, resource_id, service, SUM(cost_usd) FILTER (WHERE {hour} >= ?), "
            f"SUM(cost_usd) FILTER (WHERE {hour} >= ?), SUM(cost_usd) FILTER (WHERE {hour} >= ? AND {hour} < ?) "
            f"FROM features WHERE {_NO_LEVEL} AND {hour} < ? GROUP BY ALL ORDER BY 6 DESC NULLS LAST, 1, 2, 3, 4, 5",
            [*starts, starts[1], end],
        ).fetchall()
        sums: dict[tuple[str, str, str, str], list[float]] = {}
        for place, (account, region, egress_class, resource, service, *amounts) in enumerate(found):
            name = resource.rpartition(":")[2] or f"{service} (no resource in the bill)"
            key = (account, region, egress_class, name if place < _MAX_RESOURCES else OTHERS)
            sums[key] = [a + (b or 0.0) for a, b in zip(sums.get(key, [0.0] * 3), amounts, strict=True)]
        scale = MONTH_DAYS / days
        rows = [
            Cost(*key, usd=usd * scale, week_usd=week, before_usd=before) for key, (usd, week, before) in sums.items()
        ]
        return Costs(rows, days, (end - first) >= timedelta(days=2 * _WEEK_DAYS))

    def account_names(self) -> dict[str, str]:
        """Return the names of the bill's accounts, by their ids."""
        if not self._has_names:
            return {}
        rows = self._connection.execute(
            "SELECT account_id, MAX(account_name) FROM features WHERE account_name <> '' GROUP BY account_id"
        ).fetchall()
        return dict(rows)

    def series(self, alert: Mapping[str, Any]) -> dict[str, list[Any]]:
        """Return the alert's leading series around it: hour or day, usage, expected band and, if known, the score.

        From the incident on the band keeps the width that it had before: what the incident itself adds to the mean
        deviation is unrelated to the expectation.
        """
        start = datetime.fromisoformat(alert["start_hour_utc"]) - timedelta(days=_DAYS_BEFORE)
        end = datetime.fromisoformat(alert["end_hour_utc"]) + timedelta(days=_DAYS_AFTER)
        joined = "LEFT JOIN scored USING (hour_utc, account_id, region, service, egress_class, resource_id)"
        score = "MIN(anomaly_score)" if self._has_scores else "NULL"
        rows = self._connection.execute(
            f"SELECT {self._time}, SUM(features.usage_gb), SUM(features.expected_usage_gb), "
            "SUM(features.expected_spread_gb), "
            f"{score} FROM features {joined if self._has_scores else ''} "
            f"WHERE {self._where()} AND hour_utc BETWEEN ? AND ? GROUP BY {self._time} ORDER BY {self._time}",
            [*(alert[name] for name in SERIES_KEYS), start, end],
        ).fetchall()
        hours, usage, expected, spread, scores = zip(*rows, strict=True) if rows else ((),) * 5
        began = _text(datetime.fromisoformat(alert["start_hour_utc"]))
        held = _held(spread, sum(_text(hour) < began for hour in hours))
        return {
            "hours": [_text(hour) for hour in hours],
            "usage_gb": [round(value, 4) for value in usage],
            "low_gb": [round(max(e - 3 * s, 0), 4) for e, s in zip(expected, held, strict=True)],
            "high_gb": [round(e + 3 * s, 4) for e, s in zip(expected, held, strict=True)],
            "expected_gb": [round(value, 4) for value in expected],
            "scores": list(scores) if self._has_scores else [],
        }

    def worst_features(self, alert: Mapping[str, Any]) -> dict[str, tuple[float, str, str]]:
        """Return value, description and unit by feature in the worst hour of the leading series."""
        names = list(self._features)
        if not names:
            return {}
        source = "scored" if self._has_scores else "features"
        order = "anomaly_score" if self._has_scores else "expected_usage_gb - usage_gb"
        if _BEYOND_HABIT in names:
            # The hour that the alert's reasons are about.
            order = f'"{_BEYOND_HABIT}" DESC, {order}, hour_utc'
        quoted = ", ".join(f'"{name}"' for name in names)
        row = self._connection.execute(
            f"SELECT {quoted} FROM {source} WHERE {self._where()} "
            f"AND hour_utc BETWEEN ? AND ? ORDER BY {order} LIMIT 1",
            [
                *(alert[name] for name in SERIES_KEYS),
                datetime.fromisoformat(alert["start_hour_utc"]),
                datetime.fromisoformat(alert["end_hour_utc"]),
            ],
        ).fetchone()
        if row is None:
            return {}
        return {name: (float(value), *self._features[name]) for name, value in zip(names, row, strict=True)}

    @property
    def _time(self) -> str:
        # Without its zone: DuckDB would ask for pytz.
        hour = "CAST(hour_utc AS TIMESTAMP)"
        return f"DATE_TRUNC('day', {hour})" if self._is_daily else hour

    def _where(self) -> str:
        return " AND ".join(f"{name} = ?" for name in SERIES_KEYS)

    def _row(self, sql: str) -> tuple[Any, ...]:
        row = self._connection.execute(sql).fetchone()
        if row is None or row[0] is None:
            raise UserError("the features have no rows")
        return row


def _text(hour: datetime) -> str:
    return f"{hour:%Y-%m-%d %H:%M}"


def _held(spread: Sequence[float], first: int) -> list[float]:
    """Let no value from `first` on be larger than the one before it."""
    before = spread[first - 1] if first else 0.0
    return [*spread[:first], *(min(value, before) for value in spread[first:])]
