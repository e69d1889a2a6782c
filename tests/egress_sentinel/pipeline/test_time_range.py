"""Where training ends: 60 % of the range, never less than 14 days, and a sentence where that cannot be."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.time_range import parse_hour, split

START = datetime(2026, 9, 1, tzinfo=UTC)


@given(hours=st.integers(min_value=15 * 24, max_value=400 * 24), offset=st.integers(min_value=0, max_value=23))
def test_at_least_14_days_to_learn_from_and_at_most_60_percent_above_that(hours: int, offset: int) -> None:
    first = START + timedelta(hours=offset)
    times = split(first, first + timedelta(hours=hours - 1))
    assert times.end - times.start == timedelta(hours=hours)
    assert timedelta(days=14) <= times.until - times.start < times.end - times.start
    assert times.until - times.start <= max(timedelta(days=14), timedelta(hours=0.6 * hours))


def test_two_months_are_cut_at_a_midnight() -> None:
    assert split(START, START + timedelta(days=60, hours=-1)).until == datetime(2026, 10, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("days", "until", "message"),
    [
        (1, None, "the export covers 1.0 days (2026-09-01 to 2026-09-01); at least 15 are needed"),
        (14.9, None, "14.9 days"),
        (60, START + timedelta(days=13), "leaves 13.0 days to learn from; at least 14 are needed"),
        (60, START + timedelta(days=60), "leaves nothing to score: the data ends at 2026-10-31T00:00Z"),
    ],
)
def test_too_little_data_is_an_error(days: float, until: datetime | None, message: str) -> None:
    with pytest.raises(UserError) as refused:
        split(START, START + timedelta(days=days, hours=-1), until)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("text", "hour"),
    [
        ("2026-10-16", datetime(2026, 10, 16, tzinfo=UTC)),
        ("2026-10-16T08:00Z", datetime(2026, 10, 16, 8, tzinfo=UTC)),
        ("2026-10-16T08:00+02:00", datetime(2026, 10, 16, 6, tzinfo=UTC)),
    ],
)
def test_hours_are_read_as_utc(text: str, hour: datetime) -> None:
    assert parse_hour(text, "--start") == hour


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", "2026-10-16T08:30Z"])
def test_other_times_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--start"):
        parse_hour(text, "--start")
