"""The weekly digest of a run on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from egress_alerts.digest import Spend, build_digest, last_whole_week, week_before, week_of
from egress_alerts.series import hour_number, parse_hour
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.feature_days import day_rows, days_of

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

    from egress_alerts.alert import Alert
    from egress_alerts.digest import Digest
    from egress_alerts.series import Window

_COLUMNS = ("account_id", "egress_class", "resource_id", "cost_usd")


def digest_of_run(
    alerts: Sequence[Alert], features: Path, verdicts: Sequence[Mapping[str, Any]], week: Window | None = None
) -> Digest:
    """Return the digest of a week.

    Parameters
    ----------
    alerts : sequence of Alert
        The run's.
    features : Path
        The processed_features.parquet that was scored.
    verdicts : sequence of mapping
        As `feedback.read_feedback` returns them.
    week : Window, optional
        Default: the last week that the features have as a whole.

    Raises
    ------
    UserError
        The features cannot be read.
    """
    days = days_of(features)
    if not days:
        raise UserError(f"{features} has no rows")
    week = week or last_whole_week(_end(features, days[-1]))
    spend, before = (_spend(features, each, days) for each in (week, week_before(week)))
    return build_digest(week, alerts, {str(v["judged_alert_id"]): str(v["verdict"]) for v in verdicts}, spend, before)


def parse_week(day: str) -> Window:
    """Return the week of a day.

    Raises
    ------
    UserError
        The text is no day.
    """
    try:
        return week_of(parse_hour(f"{day}T00:00:00Z"))
    except ValueError as error:
        raise UserError(f"--week is {day!r}; give a day of the week, such as 2026-10-12") from error


def _end(features: Path, day: str) -> int:
    """Return the hour after the last one of a day's rows."""
    return hour_number(max(day_rows(features, day, ["hour_utc"])["hour_utc"].to_pylist())) + 1


def _spend(features: Path, week: Window, days: Collection[str]) -> Spend:
    spend = Spend()
    for day in week.days:
        spend.add_day(day_rows(features, day, _COLUMNS) if day in days else None)
    return spend
