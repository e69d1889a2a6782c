"""Splits the hours of a bill into training and scoring."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from egress_sentinel.errors import UserError

MIN_TRAINING_DAYS = 14
MIN_SCORING_DAYS = 1
TRAINING_SHARE = 0.6


@dataclass(frozen=True)
class Split:
    """Half-open ranges of whole UTC hours: training [start, until) and scoring [until, end)."""

    start: datetime
    until: datetime
    end: datetime


def split(first_hour_utc: datetime, last_hour_utc: datetime, train_until: datetime | None = None) -> Split:
    """Split the hours of an export into training and scoring.

    Parameters
    ----------
    first_hour_utc, last_hour_utc : datetime
        The first and the last hour of the data, inclusive.
    train_until : datetime, optional
        The first hour to score. By default 60 % of the time range, rounded down to midnight, but at least 14 days.

    Raises
    ------
    UserError
        The history is too short, or `train_until` leaves less than 14 days for training or no hours to score.
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
    """Parse an hour such as 2026-10-16 or 2026-10-16T08:00Z. Without a zone, it is UTC.

    Raises
    ------
    UserError
        The text is not a time, or not a whole hour.
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
    """Check that a time is midnight, as a daily bill requires.

    Raises
    ------
    UserError
        The time is within a day.
    """
    if moment.hour:
        raise UserError(f"{option} {moment:%Y-%m-%dT%H:%MZ} is within a day, and the bill is daily: write a date alone")


def rows_text(rows: int, *, is_daily: bool) -> str:
    """Describe a number of feature rows. One row is an hour; in a daily bill, 24 rows are a day."""
    return f"{rows // 24:,} days" if is_daily else f"{rows:,} hours"


def series_text(series: int, levels: int) -> str:
    """Describe a number of series, such as "80 series and 1 level"."""
    return f"{series:,} series" + (f" and {levels:,} level{'s' if levels > 1 else ''}" if levels else "")


def _default_until(first_hour_utc: datetime, end: datetime) -> datetime:
    share = first_hour_utc + (end - first_hour_utc) * TRAINING_SHARE
    midnight = share.replace(hour=0, minute=0, second=0, microsecond=0)
    return max(midnight, first_hour_utc + timedelta(days=MIN_TRAINING_DAYS))


def _day(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d}"
