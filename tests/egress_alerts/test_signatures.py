"""What an incident looks like, told by its shape."""

import pytest

from egress_alerts.incidents import Hour, Incident
from egress_alerts.series import Series
from egress_alerts.signatures import likely_cause

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
