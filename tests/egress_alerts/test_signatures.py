"""What an incident looks like, by its course, its expectation, its schedule and its company."""

import math

import pytest

from egress_alerts import signatures
from egress_alerts.hours import Background, Hour, Incident
from egress_alerts.series import Series
from egress_alerts.signatures import Cause, is_quiet_burst, likely_cause

START = 494_196
LOOP = [10.0 * 2 ** (hour / 2) for hour in range(12)]
PULSE = [80.0, 40.0, 8.0, 0.0, 0.0]
DAY_WAVE = [80.0 * (1 + 0.3 * math.sin(hour * math.tau / 24)) for hour in range(60)]


def series(
    egress_class: str = "internet", service: str = "AmazonEC2", resource: str = "r", region: str = "eu-west-1"
) -> Series:
    return Series("210012345678", region, service, egress_class, resource)


BUCKET = series(service="AmazonS3")
NAT = series("nat_gateway")


def hours(lead: Series, excess: list[float], expected: float = 5.0, **other: bool | str) -> list[Hour]:
    """Return the hours of a series that are above expected by `excess`; those with 0 are not anomalous."""
    fields: dict[str, bool | str] = {"usage_type": "t", "operation": "o", "is_provisional": False} | other
    return [
        Hour(START + at, lead, gb + expected, expected, gb + expected, expected, 0.0, 0.0, -0.1, **fields)  # type: ignore[arg-type]
        for at, gb in enumerate(excess)
        if gb
    ]


def cause(*members: list[Hour], before: list[float] | None = None, **background: bool) -> Cause:
    """Return the cause of an incident that its first member leads; `before` ends where it starts."""
    incident = Incident("id", START)
    for member in members:
        incident.add(member)
    if before is not None or background:
        incident.background = Background(START, tuple(before or [0.0] * 48), **background)
    return likely_cause(incident, members[0][0].series)


def kind(*members: list[Hour], before: list[float] | None = None, **background: bool) -> str:
    return cause(*members, before=before, **background).incident_class


@pytest.mark.parametrize(
    ("expected", "members", "before"),
    [
        ("hot_link", [hours(BUCKET, DAY_WAVE)], [5.0, 10.0, 20.0, 40.0]),
        ("hot_link", [hours(series(), DAY_WAVE)], [0.0, 15.0, 20.0, 30.0, 40.0]),
        ("cdn_miss", [hours(BUCKET, [80.0, 0, 0, 0, 60.0, 70.0, 0, 0, 0, 0, 0, 0, 90.0])], None),
        ("log_loop", [hours(series(), [80.0] * 30)], [0.0, *LOOP[:6]]),
        ("log_loop", [hours(series(), LOOP), hours(NAT, LOOP)], None),
        ("log_loop", [hours(NAT, [80.0] * 30), hours(series(), [80.0] * 30)], [0.0, *LOOP[:6]]),
        ("exfiltration", [hours(series(), [20.0, 90.0, 60.0, 10.0])], None),
        ("exfiltration", [hours(BUCKET, [40.0, 90.0, 60.0, 20.0], is_quiet=True)], None),
        ("slow_exfiltration", [hours(series(), [12.0] * 60)], [0.0]),
        ("slow_exfiltration", [hours(series(), ([40.0] * 8 + [0.0] * 16) * 3)], [0.0]),
        ("new_resource", [hours(series(), [80.0] * 5, expected=0.0)], None),
        ("s3_through_nat", [hours(NAT, [200.0] * 12)], None),
        ("s3_through_nat", [hours(NAT, ([200.0] * 5 + [0.0] * 19) * 3)], None),
        ("image_pulls", [hours(NAT, PULSE * 6)], None),
        ("zone_chatter", [hours(series("inter_az"), [80.0] * 5)], None),
        ("new_replica", [hours(series("inter_region", "AmazonS3"), [80.0] * 5, expected=0.0)], None),
        ("cdn_miss", [hours(series("cloudfront_origin", "AmazonS3"), [80.0] * 5)], None),
    ],
)
def test_the_kind_of_an_incident(expected: str, members: list[list[Hour]], before: list[float] | None) -> None:
    assert kind(*members, before=before) == expected


def test_a_cause_is_clear_if_no_other_comes_near() -> None:
    before = [5.0, 15.0, 20.0, 30.0]
    assert cause(hours(BUCKET, DAY_WAVE), before=before).is_clear
    near = cause(hours(series(), DAY_WAVE), before=before)
    assert (near.incident_class, near.is_clear) == ("hot_link", False)
    assert not cause(hours(series(), [90.0] * 5)).is_clear


@pytest.mark.parametrize(
    "members",
    [
        [hours(series("vpn"), [80.0] * 5)],
        [hours(series("something_new"), [80.0] * 5)],
        # A bucket that sends more from one hour to the next, for some hours: readers, a job or a thief.
        [hours(BUCKET, [80.0] * 9)],
        # The first hours of anything, also of a burst.
        [hours(series(), [20.0, 20.0])],
        [hours(NAT, [80.0, 80.0])],
        # A copy that always ran carries more.
        [hours(series("inter_region"), [80.0] * 30, expected=40.0)],
    ],
)
def test_weak_evidence_gives_no_cause_and_the_advice_of_the_class(members: list[list[Hour]]) -> None:
    found = cause(*members, before=[0.0] * 48)
    assert found[:2] == ("", "")
    assert found.evidence == ()
    assert found.next_step.startswith("check ")


def test_a_cause_says_on_what_it_rests() -> None:
    found = cause(hours(series(), [80.0] * 30), hours(NAT, [80.0] * 30), before=[0.0, *LOOP[:6]])
    assert found.evidence == ("it grew for 5 hours until it reached its level", "the same bytes pass a NAT gateway")


@pytest.mark.parametrize(
    ("background", "expected"),
    [
        ({"is_new_resource": True, "is_new_region": True}, "leaked_key"),
        ({"is_new_resource": True, "is_new_region": False}, "new_resource"),
        # The resource is old and sent nothing before: a job that people start by hand.
        ({"is_new_resource": False, "is_new_region": False}, "slow_exfiltration"),
    ],
)
def test_only_a_new_resource_in_a_new_region_points_to_a_leaked_key(background: dict[str, bool], expected: str) -> None:
    assert kind(hours(series(), [80.0] * 30, expected=0.0), **background) == expected
    assert kind(hours(series(), [80.0] * 30, expected=0.009), **background) == expected
    # With an expectation it is no new resource, whatever the rows before show.
    assert kind(hours(series(), [80.0] * 30, expected=0.011), **background) == "slow_exfiltration"


def test_a_bucket_in_a_new_region_is_no_leaked_key() -> None:
    new = {"is_new_resource": True, "is_new_region": True}
    assert kind(hours(BUCKET, DAY_WAVE, expected=0.0), before=[5.0, 10.0, 20.0, 40.0], **new) == "hot_link"


@pytest.mark.parametrize(
    ("before", "expected"),
    [
        ([0.0, 10.0, 15.0, 25.0, 40.0, 50.0], "log_loop"),  # five hours from a tenth of the level to most of it
        ([0.0, 10.0, 15.0, 40.0, 50.0], "slow_exfiltration"),  # three
        ([0.0], "slow_exfiltration"),
        ([], "slow_exfiltration"),
    ],
)
def test_a_loop_grows_for_hours(before: list[float], expected: str) -> None:
    # It stays for a day and a half, and its plateau is flat.
    assert kind(hours(series(), [80.0] * 36), before=before) == expected


def test_what_follows_the_day_is_demand_and_no_loop() -> None:
    before = [0.0, 10.0, 15.0, 25.0, 40.0, 50.0]
    assert kind(hours(series(), DAY_WAVE), before=before) == "hot_link"
    assert kind(hours(series(), [80.0] * 60), before=before) == "log_loop"


def test_a_gateway_behind_an_instance_that_sends_is_no_s3_traffic() -> None:
    sends = hours(series(), [200.0] * 12)
    assert kind(hours(NAT, [200.0] * 12)) == "s3_through_nat"
    assert kind(hours(NAT, [200.0] * 12), sends) == ""


@pytest.mark.parametrize(
    ("tooth", "gap", "expected"),
    [(1, 1, "image_pulls"), (3, 5, "image_pulls"), (4, 4, "s3_through_nat"), (3, 6, ""), (2, 12, "")],
)
def test_image_pulls_are_short_and_frequent(tooth: int, gap: int, expected: str) -> None:
    assert kind(hours(NAT, ([80.0] * tooth + [0.0] * gap) * 6)) == expected


def test_two_spikes_are_no_pattern() -> None:
    assert kind(hours(BUCKET, [80.0, 0, 0, 80.0]), before=[0.0]) == ""
    assert kind(hours(BUCKET, [80.0, 0, 0, 80.0, 0, 0, 80.0]), before=[0.0]) == "cdn_miss"


@pytest.mark.parametrize(
    ("length", "quiet", "expected"), [(12, 7, True), (12, 6, False), (13, 13, False), (1, 1, True), (4, 0, False)]
)
def test_a_quiet_burst_is_short_and_mostly_in_quiet_hours(length: int, quiet: int, expected: bool) -> None:
    burst = [hour._replace(is_quiet=at < quiet) for at, hour in enumerate(hours(series(), [80.0] * length))]
    assert is_quiet_burst(burst) == expected
    assert not is_quiet_burst([hour._replace(series=NAT) for hour in burst])
    assert not is_quiet_burst([hour._replace(is_daily=True) for hour in burst])


def test_quiet_hours_are_evidence_of_theft() -> None:
    sent = [10.0, 15.0, 5.0]  # three times the expected GB: without other evidence, that is a busy evening
    assert kind(hours(series(), sent), before=[0.0]) != "exfiltration"
    assert kind(hours(series(), sent, is_quiet=True), before=[0.0]) == "exfiltration"


def test_many_that_rise_together_are_a_fleet() -> None:
    others = [hours(series(resource=f"i-{number}"), [40.0] * 60) for number in range(4)]
    assert kind(hours(series(), [40.0] * 60), *others, before=[0.0]) == "fleet"
    assert kind(hours(series(), [40.0] * 60), *others[:3], before=[0.0]) == "slow_exfiltration"
    buckets = [hours(series(service="AmazonS3", resource=f"b-{number}"), DAY_WAVE) for number in range(4)]
    assert kind(hours(BUCKET, DAY_WAVE), *buckets, before=[0.0]) == "bucket_family"


@pytest.mark.parametrize(
    ("expected", "place", "lead"),
    [
        ("fleet", 0, series()),
        ("bucket_family", 0, BUCKET),
        ("zone_chatter", 0, series("inter_az")),
        ("s3_through_nat", 0, NAT),
        ("", 0, series("transit_gateway")),
        ("many_regions", 1, series()),
        ("many_accounts", 2, BUCKET),
    ],
)
def test_a_level_looks_like_something_that_many_share(expected: str, place: int, lead: Series) -> None:
    level = lead.levels[place]
    assert kind(hours(level, [80.0] * 30)) == expected


def test_a_daily_bill_shows_days_that_are_alike_and_no_hours() -> None:
    even = [gb for day in (4.0, 5.0, 4.5) for gb in [day] * 24]
    grows = [gb for day in (1.0, 3.0, 9.0) for gb in [day] * 24]
    assert kind(hours(series(), even, is_daily=True)) == "slow_exfiltration"
    assert kind(hours(series(), grows, is_daily=True)) == ""
    assert kind(hours(NAT, even, is_daily=True)) == ""


def test_nothing_is_disabled_deleted_or_stopped_before_somebody_has_checked() -> None:
    destructive = ("disable", "delete", "block", "isolate", "stop", "terminate", "pause", "revoke")
    steps = [step for _, step in signatures._KINDS.values()] + list(signatures._BY_CLASS.values())
    for step in steps:
        first = min((step.index(word) for word in destructive if word in step), default=len(step))
        assert step.startswith(("check ", "find ", "read ")), step
        assert first == len(step) or "if " in step[:first].lower(), step
