"""Hours and windows."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.series import Window, day_of, hour_number, iso_hour, parse_hour


@settings(deadline=None)
@given(st.integers(0, 1_000_000))
def test_an_hour_number_is_read_back_from_its_text(hour: int) -> None:
    assert parse_hour(iso_hour(hour)) == hour
    assert day_of(hour) == iso_hour(hour)[:10]


def test_hours_count_from_1970_in_utc() -> None:
    assert iso_hour(428_632) == "2018-11-24T16:00:00Z"
    moment = datetime(2018, 11, 24, 16, 59, 59)  # noqa: DTZ001
    assert hour_number(moment) == hour_number(moment.replace(tzinfo=UTC)) == 428_632
    assert hour_number(moment.replace(tzinfo=timezone(timedelta(hours=2)))) == 428_630
    assert parse_hour("2018-11-24T16:00") == 428_632


def test_half_an_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="2018-11-24T16:30 is not the start of an hour"):
        parse_hour("2018-11-24T16:30")


@pytest.mark.parametrize(
    ("start", "end", "days"),
    [
        (0, 24, ["1970-01-01"]),
        (23, 25, ["1970-01-01", "1970-01-02"]),
        (5, 6, ["1970-01-01"]),
        (24, 24, []),
        (30, 72, ["1970-01-02", "1970-01-03"]),
    ],
)
def test_a_window_touches_the_days_of_its_hours(start: int, end: int, days: list[str]) -> None:
    assert Window(start, end).days == days


def test_a_window_is_printed_half_open() -> None:
    assert str(Window(0, 24)) == "1970-01-01T00:00:00Z to 1970-01-02T00:00:00Z"
