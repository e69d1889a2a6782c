"""The rows of a daily bill are 24 equal hours a day: incidents, alerts and messages are of whole days."""

import re
from itertools import pairwise

import pytest

from egress_alerts.alert import read_alert
from egress_alerts.message import render_message
from egress_alerts.policy import Policy
from egress_alerts.rows import feature_descriptions
from egress_alerts.series import iso_hour
from tests.support.detection import FIRST, Detection, Row, row, table

DAYS = 12
# GB an hour where 5 are expected: $0.81 more an hour, $19.44 a day.
HOT = 14.0


def days(hot: set[int], gb: float = HOT, price: float = 0.09, **other: str) -> list[Row]:
    """Return twelve days of a daily bill, some of which are hot."""
    return [
        row(hour, gb if hour // 24 in hot else 1.0, price=price, is_daily=True, **other) for hour in range(DAYS * 24)
    ]


def day(number: int) -> str:
    return f"2026-10-{number + 2:02d}"


def test_an_incident_is_of_whole_days() -> None:
    world = Detection()
    world.run(days({3, 4, 6}), 0, DAYS * 24)
    alert = world.alert
    assert alert["granularity"] == "day"
    assert (alert["start_hour_utc"], alert["end_hour_utc"]) == (f"{day(3)}T00:00:00Z", f"{day(6)}T23:00:00Z")
    assert alert["detected_hour_utc"] == f"{day(3)}T23:00:00Z"
    assert alert["anomalous_hours"] == 72
    assert alert["cost_usd"] == pytest.approx(3 * 24 * HOT * 0.09)
    assert alert["excess_cost_usd_per_day"] == pytest.approx(24 * 9 * 0.09)
    assert alert["reasons"][0].endswith("times the same weekdays of earlier weeks; elevated on 3 of 4 days")


@pytest.mark.parametrize("edges", [range(0, DAYS * 24 + 1, 24), [0, 72, 120, DAYS * 24], [0, 95, 103, DAYS * 24]])
def test_windows_do_not_matter(edges: list[int]) -> None:
    rows = [*days({3, 4}), *days({4, 5}, resource_id="other", service="AmazonEC2")]
    at_once, in_parts = Detection(), Detection()
    at_once.run(rows, 0, DAYS * 24)
    for start, end in pairwise(edges):
        in_parts.run(rows, start, end)
    assert in_parts.alerts == at_once.alerts
    assert len(at_once.alerts) == 2


def test_more_days_keep_the_id() -> None:
    short, long = Detection(), Detection()
    short.run(days({3}), 0, 4 * 24)
    long.run(days({3, 4}), 0, DAYS * 24)
    assert short.alert["alert_id"] == long.alert["alert_id"]
    assert short.alert["end_hour_utc"] == f"{day(3)}T23:00:00Z"


def test_the_floor_is_that_of_a_day() -> None:
    def count(usd_a_day: float) -> int:
        world = Detection(policy=Policy(min_excess_usd=5.0))
        world.run(days({3}, price=usd_a_day / 24 / 9), 0, DAYS * 24)
        return len(world.alerts)

    assert (count(4.9), count(5.1)) == (0, 1)


def test_series_of_one_day_are_one_alert_and_the_largest_leads() -> None:
    world = Detection()
    world.run([*days({3}), *days({3}, gb=20.0, resource_id="large")], 0, DAYS * 24)
    assert [part["resource_id"] for part in world.alert["contributors"]] == ["large", "media-prod"]


@pytest.mark.parametrize(
    ("hot", "when"),
    [({3}, f" on {day(3)}."), ({3, 4}, f" from {day(3)} to {day(4)} (2 days).")],
)
def test_a_message_says_days_and_no_hour(hot: set[int], when: str) -> None:
    world = Detection()
    world.run(days(hot, service="AmazonEC2"), 0, DAYS * 24)
    text = render_message([world.alert], {})
    assert when in text
    assert text.endswith(f", detected on {day(3)}")
    assert not re.search(r"\d\d:\d\d|consecutive hours|one hour|UTC", text)


def test_what_hours_alone_can_show_is_no_cause() -> None:
    # Saturday and Sunday, each day three times the one before: by the hour this is off-hours, and grows.
    grows = [row(hour, 5.0 + 9.0 * 3 ** (hour // 24), is_daily=True, service="AmazonEC2") for hour in range(3 * 24)]
    world = Detection()
    world.run(grows, 24, 3 * 24)
    assert (world.alert["incident_class"], world.alert["likely_cause"]) == ("", "")


def test_an_hourly_incident_says_hours() -> None:
    world = Detection()
    world.run([row(hour) for hour in range(9)], 0, 24)
    assert world.alert["granularity"] == "hour"
    assert world.alert["end_hour_utc"] == iso_hour(FIRST + 8)
    before = {name: value for name, value in world.alert.items() if name != "granularity"}
    assert read_alert(before) == world.alert


def test_features_of_a_daily_bill_are_described_by_days() -> None:
    schema = b'{"features": [{"name": "ratio", "description": "the hour", "daily_description": "the day"}]}'

    def described(is_daily: bool) -> dict[str, str] | None:
        rows = table([row(0, is_daily=is_daily)])
        return feature_descriptions(rows.replace_schema_metadata({"egress_sentinel.schema": schema}))

    assert (described(False), described(True)) == ({"ratio": "the hour"}, {"ratio": "the day"})
