"""Where training ends and scoring begins."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from egress_sentinel.errors import UserError

MIN_TRAINING_DAYS = 14
MIN_SCORING_DAYS = 1
TRAINING_SHARE = 0.6


@dataclass(frozen=True)
class Split:
    """Half-open time ranges: training [start, until), scoring [until, end), whole UTC hours."""

    start: datetime
    until: datetime
    end: datetime


def split(first_hour_utc: datetime, last_hour_utc: datetime, train_until: datetime | None = None) -> Split:
    """Split the hours of an export into those to learn from and those to score.

    Parameters
    ----------
    first_hour_utc, last_hour_utc : datetime
        The first and the last hour of the data, inclusive.
    train_until : datetime, optional
        The first hour to score; by default 60 % of the time range, rounded down to a midnight, at least 14 days.

    Raises
    ------
    UserError
        Too little history, or a `train_until` that leaves less than 14 days to learn from or nothing to score.
    """
    end = last_hour_utc + timedelta(hours=1)
    until = train_until or _default_until(first_hour_utc, end)
    days = (end - first_hour_utc) / timedelta(days=1)
    if train_until is None and days < MIN_TRAINING_DAYS + MIN_SCORING_DAYS:
        raise UserError(
            f"the export covers {days:.1f} days ({_day(first_hour_utc)} to {_day(last_hour_utc)}); at least "
            f"{MIN_TRAINING_DAYS + MIN_SCORING_DAYS} are needed: {MIN_TRAINING_DAYS} to learn from and "
            f"{MIN_SCORING_DAYS} to score"
        )
    if until - first_hour_utc < timedelta(days=MIN_TRAINING_DAYS):
        raise UserError(
            f"--train-until {until:%Y-%m-%dT%H:%MZ} leaves {(until - first_hour_utc) / timedelta(days=1):.1f} days to "
            f"learn from; at least {MIN_TRAINING_DAYS} are needed, so "
            f"{first_hour_utc + timedelta(days=MIN_TRAINING_DAYS):%Y-%m-%dT%H:%MZ} or later"
        )
    if until >= end:
        raise UserError(
            f"--train-until {until:%Y-%m-%dT%H:%MZ} leaves nothing to score: the data ends at {end:%Y-%m-%dT%H:%MZ}"
        )
    return Split(first_hour_utc, until, end)


def parse_hour(text: str, option: str) -> datetime:
    """Read an hour such as 2026-10-16 or 2026-10-16T08:00Z; without a zone it is UTC.

    Raises
    ------
    UserError
        The text is no date, or no whole hour.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UserError(f"{option} {text!r} is no time; write 2026-10-16 or 2026-10-16T08:00Z") from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    if (moment.minute, moment.second, moment.microsecond) != (0, 0, 0):
        raise UserError(f"{option} {text!r} is no whole hour; write 2026-10-16T08:00Z")
    return moment


def check_midnight(moment: datetime, option: str) -> None:
    """Check a time for a daily bill.

    Raises
    ------
    UserError
        It is within a day.
    """
    if moment.hour:
        raise UserError(f"{option} {moment:%Y-%m-%dT%H:%MZ} is within a day, and the bill is daily: write a date alone")


def rows_text(rows: int, *, is_daily: bool) -> str:
    """Return a number of feature rows in words: one row is an hour, and 24 are a day of a daily bill."""
    return f"{rows // 24:,} days" if is_daily else f"{rows:,} hours"


def series_text(series: int, levels: int) -> str:
    """Return how many series there are, such as "80 series and 1 level"."""
    return f"{series:,} series" + (f" and {levels:,} level{'s' if levels > 1 else ''}" if levels else "")


def _default_until(first_hour_utc: datetime, end: datetime) -> datetime:
    share = first_hour_utc + (end - first_hour_utc) * TRAINING_SHARE
    midnight = share.replace(hour=0, minute=0, second=0, microsecond=0)
    return max(midnight, first_hour_utc + timedelta(days=MIN_TRAINING_DAYS))


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
