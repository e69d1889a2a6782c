"""What the fix of an incident saves: GB times the price of the bill, as a person would reckon it."""

import math
from typing import Any

import pytest

from egress_alerts.alert import Alert, build_alert, close_alert
from egress_alerts.hours import Background, Hour, Incident
from egress_alerts.lifecycle import State
from egress_alerts.message import render_alert
from egress_alerts.policy import Policy
from egress_alerts.series import Series

START = 497_474
WAVE = [40.0 * (1 + 0.3 * math.sin(hour * math.tau / 24)) for hour in range(60)]
PULSE = [80.0, 40.0, 8.0, 0.0, 0.0]


def alert_on(
    egress_class: str,
    course: list[float],
    price: float,
    *,
    service: str = "AmazonEC2",
    expected: float = 0.0,
    before: tuple[float, ...] = (),
    state: State = "open",
    also: tuple[Hour, ...] = (),
) -> Alert:
    """Return an alert on a series with `course` GB an hour above `expected`."""
    series = Series("210012345678", "eu-west-1", service, egress_class, "r-1")
    incident = Incident("0123456789abcdef", START, background=Background(START, before))
    incident.add(also)
    incident.add(
        Hour(START + at, series, gb + expected, expected, gb, 0.0, price * (gb + expected), price * expected, -0.1,
             "EU-Bytes", "", False)
        for at, gb in enumerate(course)
        if gb
    )  # fmt: skip
    return build_alert(incident, Policy(), "", state=state)


def test_s3_through_nat_saves_the_processing_of_thirty_days_at_the_current_rate() -> None:
    """38.3 GB an hour above expected, for two days: 720 hours of it are 27.6 TB."""
    alert = alert_on("nat_gateway", [38.3] * 48, 0.045, expected=5.0)
    assert alert["saving"] == (
        "About $1,240 a month: 27.6 TB x $0.045 per GB of NAT processing; a gateway endpoint is free."
    )
    assert alert["saving_usd_per_month"] == pytest.approx(38.3 * 720 * 0.045, abs=0.01)
    assert alert["remedy_page"] == "docs/remedies.md#s3-through-nat"
    text = f"Fix           {alert['saving']} See docs/remedies.md#s3-through-nat"
    assert text in render_alert(alert).splitlines()


def test_the_price_is_that_of_the_bill() -> None:
    assert "27.6 TB x $0.0504 per GB" in alert_on("nat_gateway", [38.3] * 48, 0.0504)["saving"]


def test_an_incident_that_has_ended_would_have_saved_what_it_cost() -> None:
    ended = alert_on("nat_gateway", [50.0] * 48, 0.045, state="ended")
    text = "Would have saved about $108: 2.4 TB x $0.045 per GB of NAT processing; a gateway endpoint is free."
    assert (ended["saving"], ended["saving_usd_per_month"]) == (text, 0.0)
    assert close_alert(alert_on("nat_gateway", [50.0] * 48, 0.045), "ended") == ended


def test_a_withdrawn_alert_has_no_remedy() -> None:
    closed = close_alert(alert_on("nat_gateway", [50.0] * 48, 0.045), "withdrawn")
    assert (closed["remedy_page"], closed["saving"], closed["saving_usd_per_month"]) == ("", "", 0.0)


def test_image_pulls_pay_for_two_interface_endpoints_in_two_zones() -> None:
    """128 GB every five hours are 614.4 GB a day; the endpoints cost 720 hours x 4 x $0.01."""
    alert = alert_on("nat_gateway", PULSE * 12, 0.045)
    usd = alert["current_usd_per_day"] * 30
    assert alert["saving_usd_per_month"] == pytest.approx(usd - 28.8, abs=0.01)
    assert " less $29 for 2 interface endpoints in 2 zones; " in alert["saving"]
    assert alert["remedy_page"].endswith("#image-pulls-through-nat")


def test_a_fix_that_costs_more_than_it_saves_states_no_saving() -> None:
    alert = alert_on("nat_gateway", [gb / 100 for gb in PULSE] * 12, 0.045)
    assert (alert["incident_class"], alert["saving"], alert["saving_usd_per_month"]) == ("image_pulls", "", 0.0)
    assert "Fix           See docs/remedies.md#image-pulls-through-nat" in render_alert(alert).splitlines()


@pytest.mark.parametrize(
    ("egress_class", "other", "anchor", "meter"),
    [
        ("inter_az", {"course": [80.0] * 30, "price": 0.01}, "traffic-between-zones", "transfer between zones"),
        ("inter_region", {"course": [80.0] * 30, "price": 0.02}, "new-replicas", "transfer between regions"),
        ("cloudfront_origin", {"course": [80.0] * 30, "price": 0.09}, "cdn-misses", "transfer from the origin"),
        ("internet", {"course": [80.0, 0, 0, 0, 60.0, 70.0, 0, 0, 0, 0, 90.0], "price": 0.09, "service": "AmazonS3"},
         "cdn-misses", "transfer from the origin"),
        ("internet", {"course": WAVE, "price": 0.09, "service": "AmazonS3", "before": (5.0, 10.0, 20.0, 30.0)},
         "hot-links", "transfer to the internet"),
    ],
)  # fmt: skip
def test_where_a_part_of_the_traffic_may_be_wanted_the_saving_is_a_limit(
    egress_class: str, other: dict[str, Any], anchor: str, meter: str
) -> None:
    alert = alert_on(egress_class, **other)
    assert alert["remedy_page"] == f"docs/remedies.md#{anchor}"
    assert alert["saving"].startswith("At most $")
    assert f" per GB of {meter}; " in alert["saving"]
    assert alert["saving_usd_per_month"] == pytest.approx(30 * alert["current_usd_per_day"], abs=0.01)


def test_other_classes_of_the_incident_are_no_part_of_the_saving() -> None:
    """The gateway's bytes pass a zone as well: the endpoint saves the gateway's part alone."""
    zone = Series("210012345678", "eu-west-1", "AmazonEC2", "inter_az", "r-2")
    more = tuple(
        Hour(START + at, zone, 38.3, 0.0, 0.0, 0.0, 0.383, 0.0, -0.1, "EU-Bytes", "", False) for at in range(48)
    )
    alone, both = (alert_on("nat_gateway", [38.3] * 48, 0.045, also=also) for also in ((), more))
    assert both["current_usd_per_day"] > alone["current_usd_per_day"]
    assert (both["saving"], both["saving_usd_per_month"]) == (
        alone["saving"], pytest.approx(alone["saving_usd_per_month"], abs=0.01),
    )  # fmt: skip


def test_a_free_bill_has_a_page_and_no_saving() -> None:
    alert = alert_on("inter_region", [80.0] * 30, 0.0)
    assert (alert["remedy_page"], alert["saving"]) == ("docs/remedies.md#new-replicas", "")


@pytest.mark.parametrize(
    ("egress_class", "course", "before", "cause"),
    [
        ("internet", [90.0] * 5, (), ""),  # unknown
        ("internet", [20.0, 90.0, 60.0, 10.0], (), "exfiltration"),  # known, without a snippet that would fix it
        ("internet", WAVE, (5.0, 15.0, 20.0, 30.0), "hot_link"),  # of an instance: a loop or a slow theft is near
    ],
)
def test_an_unknown_or_weak_cause_has_no_remedy(
    egress_class: str, course: list[float], before: tuple[float, ...], cause: str
) -> None:
    alert = alert_on(egress_class, course, 0.09, expected=5.0, before=before)
    assert alert["incident_class"] == cause
    assert (alert["remedy_page"], alert["saving"]) == ("", "")
    assert "\nFix " not in render_alert(alert)
