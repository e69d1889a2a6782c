"""What an incident looks like, told by its shape."""

import pytest

from egress_alerts.hours import Hour, Incident
from egress_alerts.series import Series
from egress_alerts.signatures import Cause, likely_cause

MONDAY_NOON = 494_196  # 2026-05-18T12:00Z
SATURDAY = MONDAY_NOON + 5 * 24


def hours(
    series: Series, gb: list[float], expected: float = 5.0, first: int = MONDAY_NOON, gaps: int = 0
) -> list[Hour]:
    """Return anomalous hours of a series; after each three of them come `gaps` quiet ones."""
    return [
        Hour(
            first + i + i // 3 * gaps,
            series,
            x,
            expected,
            x,
            expected,
            x * 0.09,
            expected * 0.09,
            -0.1,
            "t",
            "o",
            False,
        )
        for i, x in enumerate(gb)
    ]


def series(egress_class: str = "internet", service: str = "AmazonEC2", resource: str = "r") -> Series:
    return Series("210012345678", "eu-west-1", service, egress_class, resource)


def kind(lead: Series, *members: list[Hour]) -> str:
    incident = Incident("id", MONDAY_NOON)
    for member in members:
        incident.add(member)
    return likely_cause(incident, lead).incident_class


GROWTH = [10.0 * 1.5**i for i in range(12)]
BUCKET = series(service="AmazonS3")
NAT = series("nat_gateway")


@pytest.mark.parametrize(
    ("expected", "lead", "members"),
    [
        ("hot_link", BUCKET, [hours(BUCKET, [20, 60, 80, 80, 80, 80])]),
        ("cdn_miss", BUCKET, [hours(BUCKET, [80.0] * 12, gaps=5)]),
        ("exfiltration", BUCKET, [hours(BUCKET, [80.0] * 5, first=SATURDAY)]),
        ("log_loop", series(), [hours(series(), GROWTH)]),
        ("exfiltration", series(), [hours(series(), [80.0] * 5, first=SATURDAY)]),
        ("slow_exfiltration", series(), [hours(series(), [12.0] * 60)]),
        ("leaked_key", series(), [hours(series(), [80.0] * 5, expected=0.0)]),
        ("s3_through_nat", NAT, [hours(NAT, [200.0] * 12)]),
        ("image_pulls", NAT, [hours(NAT, [200.0] * 12, gaps=4)]),
        ("log_loop", NAT, [hours(NAT, GROWTH), hours(series(), GROWTH)]),
        ("zone_chatter", series("inter_az"), [hours(series("inter_az"), [80.0] * 5)]),
        ("new_replica", series("inter_region"), [hours(series("inter_region"), [80.0] * 5, expected=0.0)]),
        ("", series("vpn"), [hours(series("vpn"), [80.0] * 5)]),
    ],
)
def test_the_kind_of_an_incident(expected: str, lead: Series, members: list[list[Hour]]) -> None:
    assert kind(lead, *members) == expected


def test_every_incident_gets_something_to_look_at_first() -> None:
    for egress_class in ("internet", "vpn", "something_new"):
        lead = series(egress_class)
        incident = Incident("id", MONDAY_NOON)
        incident.add(hours(lead, [80.0]))
        assert len(likely_cause(incident, lead).next_step) > 20


OTHER = series(resource="other")


def at(lead: Series, *offsets: int, gb: float = 80.0) -> list[Hour]:
    """Return anomalous hours of a series, counted from Monday noon."""
    return [hour for offset in offsets for hour in hours(lead, [gb], first=MONDAY_NOON + offset)]


@pytest.mark.parametrize(
    ("expected", "lead", "members"),
    [
        ("cdn_miss", series("cloudfront_origin"), [hours(series("cloudfront_origin"), [80.0])]),
        ("hot_link", BUCKET, [hours(BUCKET, GROWTH, first=SATURDAY)]),
        ("", series(service="AmazonEKS"), [hours(series(service="AmazonEKS"), [80.0] * 5)]),
        # A log loop leaves for the internet as well, and grows.
        ("s3_through_nat", NAT, [hours(NAT, GROWTH)]),
        ("s3_through_nat", NAT, [hours(NAT, [200.0] * 12), hours(series(), [200.0] * 12)]),
        # A new resource beside an old one that leads is no leaked key.
        ("exfiltration", series(), [hours(series(), [80.0] * 5), hours(OTHER, [80.0] * 5, expected=0.0)]),
        ("leaked_key", series(), [hours(series(), [80.0] * 5, expected=0.009)]),
        ("exfiltration", series(), [hours(series(), [80.0] * 5, expected=0.011)]),
        ("exfiltration", series(), [hours(series(), [80.0], expected=0.01)]),
    ],
)
def test_the_kind_at_the_borders(expected: str, lead: Series, members: list[list[Hour]]) -> None:
    assert kind(lead, *members) == expected


@pytest.mark.parametrize(
    ("gb", "grows"),
    [
        ([15.0, 15.0, 25.0, 25.0, 35.0, 35.0], True),  # 10, 20 and 30 above expected
        ([15.0, 15.0, 25.0, 25.0, 34.0, 34.0], False),  # less than three times the first third
        ([15.0, 15.0, 22.0, 22.0, 45.0, 45.0], False),  # the middle is less than the root of three times
        ([15.0, 15.0, 23.0, 23.0, 45.0, 45.0], True),
        ([15.0, 15.0, 45.0, 45.0, 40.0, 40.0], False),  # falls at the end
        ([15.0, 15.0, 45.0, 45.0, 45.0, 45.0], True),
        ([15.0, 25.0, 35.0, 45.0, 65.0], False),  # too short
        ([15.0, 15.0, 25.0, 25.0, 25.0, 25.0, 35.0, 35.0], True),  # the thirds differ in length
        ([15.0, 15.0, 15.0, 15.0, 15.0, 35.0, 45.0, 45.0], False),
        ([5.1, 5.1, 6.0, 6.0, 7.0, 7.0], True),
    ],
)
def test_a_loop_grows_from_third_to_third(gb: list[float], grows: bool) -> None:
    assert kind(series(), hours(series(), gb)) == ("log_loop" if grows else "exfiltration")


@pytest.mark.parametrize(
    ("offsets", "bursts"),
    [
        ((0, 2, 4), True),
        ((0, 2, 3), False),  # two runs are no sawtooth
        ((*range(3), *range(10, 13), *range(20, 24), *range(30, 34)), False),
        ((*range(3), *range(10, 14), *range(20, 22)), True),
        ((*range(3), *range(10, 13), *range(20, 23)), True),
        ((*range(4), *range(10, 14), *range(20, 24)), False),
        ((0, *range(10, 14), *range(20, 24)), False),  # most of them are long
        ((0, *range(10, 13), *range(20, 40)), True),
        ((0, 5, *range(10, 14), *range(20, 24)), False),
        ((*range(9), 20, 30), True),
    ],
)
def test_a_sawtooth_has_three_runs_that_are_mostly_short(offsets: tuple[int, ...], bursts: bool) -> None:
    assert kind(NAT, at(NAT, *offsets)) == ("image_pulls" if bursts else "s3_through_nat")


@pytest.mark.parametrize(
    ("offsets", "gb", "is_slow"),
    [
        ((0, 47), 12.0, True),
        ((0, 46), 12.0, False),
        ((0, 47), 19.9, True),
        ((0, 47), 20.0, False),  # four times what is expected is not low
        ((0, 1), 12.0, False),
    ],
)
def test_low_and_slow_takes_two_days_and_less_than_four_times_the_expected(
    offsets: tuple[int, ...], gb: float, is_slow: bool
) -> None:
    assert kind(series(), at(series(), *offsets, gb=gb)) == ("slow_exfiltration" if is_slow else "exfiltration")


@pytest.mark.parametrize(
    ("first", "number", "is_off"),
    [
        (10, 8, True),  # Monday 22:00 to 06:00
        (9, 8, False),
        (10, 9, False),
        (4 * 24 + 12, 12, True),  # Saturday
        (4 * 24 + 12, 13, False),  # more than half a day is no burst
        (4 * 24 + 9, 12, False),  # begins on Friday before 22:00
        (6 * 24, 12, True),  # Sunday noon to midnight
        (6 * 24 + 18, 1, False),  # Monday at six
        (6 * 24 + 17, 1, True),
        (3 * 24, 1, False),  # Thursday noon
        (4 * 24, 1, False),  # Friday noon
        (13 * 24, 1, True),  # Sunday noon
    ],
)
def test_off_hours_are_the_night_in_utc_and_the_weekend(first: int, number: int, is_off: bool) -> None:
    burst = at(BUCKET, *range(first, first + number))
    assert kind(BUCKET, burst) == ("exfiltration" if is_off else "hot_link")


def test_an_incident_that_fits_no_signature_gets_the_advice_of_its_class() -> None:
    def cause(egress_class: str) -> Cause:
        incident = Incident("id", MONDAY_NOON)
        incident.add(hours(series(egress_class), [80.0]))
        return likely_cause(incident, series(egress_class))

    assert cause("vpn")[:2] == cause("something_new")[:2] == ("", "")
    assert len({cause(name).next_step for name in ("vpn", "cloudfront", "something_new")}) == 3
    assert cause("inter_az").likely_cause == "clients that call another availability zone"


@pytest.mark.parametrize(
    ("expected", "place", "lead"),
    [
        ("fleet", 0, series()),
        ("bucket_family", 0, BUCKET),
        ("zone_chatter", 0, series("inter_az")),
        ("", 0, series("transit_gateway")),
        ("many_regions", 1, series()),
        ("many_accounts", 2, BUCKET),
    ],
)
def test_a_level_looks_like_something_that_many_share(expected: str, place: int, lead: Series) -> None:
    level = lead.levels[place]
    assert kind(level, hours(level, [80.0] * 30)) == expected
