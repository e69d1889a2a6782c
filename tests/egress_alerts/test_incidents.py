"""Incidents do not depend on how the hours arrive."""

import gc
import hashlib
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.alert import build_alert
from egress_alerts.hours import Hour, Incident
from egress_alerts.incidents import find_incidents
from egress_alerts.policy import Policy
from egress_alerts.series import Series

POLICY = Policy(lasting_hours=1)
KEYS = ("account_id", "region", "service", "egress_class", "resource_id")
LEVELS = Series("1", "a", "AmazonEC2", "internet", "r").levels
SERIES = [Series("1", region, "AmazonEC2", name, "r") for region in ("a", "b") for name in ("internet", "nat_gateway")]
HOUR = Hour(10, SERIES[0], 100.0, 1.0, 100.0, 1.0, 9.0, 0.0, -0.1, "type", "op", False, times_habit=9.0)
UNSEEN = Series("1", "a", "AmazonEC2", "internet", "i-new")
# A crowd of another account: two resources and their level.
OTHERS = [Series("2", "a", "AmazonEC2", "internet", name) for name in ("r", "s", "*")]

hours = st.builds(
    lambda at, series, gb, usd, times: Hour(
        at, series, gb, float(series != UNSEEN), gb, 1.0, usd, min(usd, 0.1), -0.1, "type", "op", False, False, times
    ),
    st.integers(0, 200),
    st.sampled_from([*SERIES, UNSEEN, *LEVELS, *OTHERS]),
    st.sampled_from([1.2, 3.0, 40.0, 900.0]),
    st.sampled_from([0.0, 0.5, 3.0, 70.0]),
    st.sampled_from([1.0, 2.5, 30.0]),
)
bills = st.lists(hours, max_size=60, unique_by=lambda h: (h.hour, h.series))


def replay(rows: list[Hour], cuts: list[int]) -> dict[str, Incident]:
    """Decide window by window, with the state that the detector keeps between them."""
    known: dict[str, Incident] = {}
    edges = [0, *sorted(set(cuts)), 201]
    for start, end in itertools.pairwise(edges):
        near = [i for i in known.values() if i.end >= start - POLICY.incident_gap_hours]
        near.sort(key=lambda incident: (incident.detected, incident.alert_id))
        past = [row for row in rows if start - 24 <= row.hour < start]
        new = [row for row in rows if start <= row.hour < end]
        known |= {i.alert_id: i for i in find_incidents(POLICY, near, past, new)}
    return known


@settings(max_examples=300, deadline=None)
@given(bills, st.lists(st.integers(1, 200), max_size=30))
def test_windows_do_not_matter(rows: list[Hour], cuts: list[int]) -> None:
    at_once, in_parts, hourly = (replay(rows, c) for c in ([], cuts, list(range(1, 201))))
    for other in (in_parts, hourly):
        assert {k: (v.detected, v.hours) for k, v in other.items()} == {
            k: (v.detected, v.hours) for k, v in at_once.items()
        }


@settings(max_examples=200, deadline=None)
@given(bills)
def test_no_hour_is_in_two_alerts_and_each_alert_reached_a_floor(rows: list[Hour]) -> None:
    found = replay(rows, [])
    members = [(h.hour, h.series) for incident in found.values() for h in incident.hours]
    assert len(members) == len(set(members))
    for incident in found.values():
        assert incident.start <= incident.detected <= incident.end
        usd, gb = (sum(getattr(h, name) for h in incident.hours) for name in ("excess_usd", "excess_gb"))
        assert usd >= POLICY.min_excess_usd or gb >= POLICY.min_excess_gb


def test_siblings_are_one_alert_led_by_the_largest() -> None:
    rows = [
        HOUR._replace(series=SERIES[1], egress_gb=0.0, expected_egress_gb=0.0, cost_usd=6.0),
        HOUR,
        HOUR._replace(series=SERIES[2], hour=12),
    ]
    found = find_incidents(POLICY, [], [], rows)
    assert [sorted(s.region for s in incident.members) for incident in found] == [["a", "a"], ["b"]]
    assert next(iter(found[0].members)) == SERIES[0]


@pytest.mark.parametrize(("times", "is_found"), [(0.0, False), (2.49, False), (2.5, True)])
def test_what_a_series_has_done_before_is_no_incident(times: float, is_found: bool) -> None:
    assert bool(find_incidents(POLICY, [], [], [HOUR._replace(times_habit=times)])) == is_found


def test_an_incident_begins_where_its_series_rose_not_where_that_was_more_than_habit() -> None:
    rises = [HOUR._replace(hour=10 + h, times_habit=1.0 + h) for h in range(4)]
    (incident,) = find_incidents(POLICY, [], [], rises)
    assert (incident.detected, incident.start) == (12, 10)


def lasting(hours: int, usd: float = 1.0) -> list[Hour]:
    """Return consecutive hours, each of them `usd` above expected."""
    return [HOUR._replace(hour=10 + h, cost_usd=usd) for h in range(hours)]


def crowd(size: int, usd: float, hours: int, account: str = "1", region: str = "a", first: int = 10) -> list[Hour]:
    """Return the hours of a fleet, whose instances are each `usd` above expected, and the hours of its levels."""
    resources = [Series(account, region, "AmazonEC2", "internet", f"i-{number}") for number in range(size)]
    return [
        HOUR._replace(hour=first + h, series=series, cost_usd=usd * times, usage_gb=1 + 10 * usd * times)
        for h in range(hours)
        for series, times in [(each, 1) for each in resources] + [(each, size) for each in resources[0].levels]
    ]


def test_a_level_is_part_of_the_larger_ones_alone() -> None:
    resource = Series("1", "a", "AmazonEC2", "internet", "r")
    assert resource.levels == (
        Series("1", "a", "AmazonEC2", "internet", "*"),
        Series("1", "*", "*", "internet", "*"),
        Series("*", "*", "*", "internet", "*"),
    )
    assert [level.levels for level in resource.levels] == [resource.levels[1:], resource.levels[2:], ()]


def test_what_begins_in_many_regions_is_one_incident_of_the_account() -> None:
    rows = [row for region in "abcd" for row in crowd(1, 3.0, 20, region=region) if not row.series.is_level]
    account = [
        row._replace(cost_usd=4 * row.cost_usd, usage_gb=4 * row.usage_gb)
        for row in crowd(1, 3.0, 20)
        if row.series == LEVELS[1]
    ]
    (incident,) = find_incidents(Policy(), [], [], [*rows, *account])
    assert set(incident.members) == {LEVELS[1]}


def test_a_fleet_that_rises_together_is_one_incident_of_the_smallest_level_that_holds_it() -> None:
    (incident,) = find_incidents(Policy(), [], [], crowd(20, 0.6, 30))
    # Each instance alone would reach $5 after 9 hours.
    assert (set(incident.members), incident.detected) == ({LEVELS[0]}, 10 + 2)
    assert sum(hour.excess_usd for hour in incident.hours) == pytest.approx(20 * 0.6 * 30)


def test_a_resource_that_holds_most_of_its_levels_is_an_incident_of_its_own() -> None:
    one = [row for row in crowd(1, 9.0, 20) if not row.series.is_level]
    noise = [row._replace(cost_usd=row.cost_usd + 1.0) for row in crowd(1, 9.0, 20) if row.series.is_level]
    (incident,) = find_incidents(Policy(), [], [], [*one, *noise])
    assert set(incident.members) == {one[0].series}


@pytest.mark.parametrize(("size", "is_level"), [(2, False), (3, False), (4, True)])
def test_few_resources_are_named_and_many_are_their_level(size: int, is_level: bool) -> None:
    (incident,) = find_incidents(Policy(), [], [], crowd(size, 2.0, 30))
    assert {series.is_level for series in incident.members} == {is_level}
    assert sum(h.excess_usd for h in incident.hours) == pytest.approx(size * 2.0 * 30)


def test_a_large_resource_under_an_open_level_takes_its_dollars_along() -> None:
    fleet = crowd(20, 0.6, 30)
    leak = Series("1", "a", "AmazonEC2", "internet", "leak")
    joined = [
        row._replace(cost_usd=row.cost_usd + 90.0, usage_gb=row.usage_gb + 900, times_habit=9.0 * 1020 / 120)
        if row.series in LEVELS
        else row
        for row in fleet
        if row.hour >= 25
    ]
    leaks = [HOUR._replace(hour=h, series=leak, cost_usd=90.0, usage_gb=901.0) for h in range(25, 40)]
    found = find_incidents(Policy(), [], [], [*(row for row in fleet if row.hour < 25), *joined, *leaks])
    assert [set(incident.members) for incident in found] == [{LEVELS[0]}, {leak}]
    assert [sum(h.excess_usd for h in incident.hours) for incident in found] == pytest.approx(
        [20 * 0.6 * 30, 90.0 * 15]
    )


@pytest.mark.parametrize(("times", "is_member"), [(9.9, False), (10.0, True)])
def test_what_is_left_of_a_level_has_to_be_beyond_its_habit(times: float, is_member: bool) -> None:
    """Three quarters of the level's excess are a resource's, which takes as much of how far it is beyond habit."""
    leak = lasting(30, 6.0)
    level = [row._replace(series=LEVELS[0], usage_gb=133.0, cost_usd=8.0, times_habit=times) for row in leak]
    (incident,) = find_incidents(Policy(), [], [], [*leak, *level])
    assert (LEVELS[0] in incident.members) == is_member


@pytest.mark.parametrize(("usd", "alerts"), [(2.9, 1), (3.1, 2)])
def test_little_left_of_a_level_after_an_incident_is_still_that_incident(usd: float, alerts: int) -> None:
    leak = lasting(20, 10.0)
    after = [row._replace(hour=row.hour + 40, series=LEVELS[0], cost_usd=usd) for row in leak]
    assert len(find_incidents(Policy(), [], [], [*leak, *after])) == alerts
    much_later = [row._replace(hour=row.hour + 100) for row in after]
    assert len(find_incidents(Policy(), [], [], [*leak, *much_later])) == 2


@pytest.mark.parametrize(("usd", "alerts"), [(2.4, 0), (2.6, 1)])
def test_chance_deviations_of_regions_that_add_up_are_no_incident(usd: float, alerts: int) -> None:
    """Half of the account's excess has to be in regions that count, none of which reaches the floor."""
    policy = Policy(min_excess_usd=30.0)
    regions = [LEVELS[0]._replace(region=name) for name in "abcdefghij"]
    rows = [
        HOUR._replace(hour=hour, series=series, cost_usd=cost_usd)
        for hour in range(10, 20)
        for series, cost_usd in [(LEVELS[1], 5.0), *((each, usd / 10) for each in regions)]
    ]
    assert len(find_incidents(policy, [], [], rows)) == alerts


@pytest.mark.parametrize(("usage_gb", "alerts"), [(199.0, 1), (201.0, 2), (50.6, 1), (50.4, 2)])
def test_lines_of_another_class_join_where_they_carry_about_the_same_bytes(usage_gb: float, alerts: int) -> None:
    other = SERIES[1]._replace(resource_id="nat-1")
    rows = [HOUR, HOUR._replace(series=other, usage_gb=usage_gb, cost_usd=8.0)]
    assert len(find_incidents(POLICY, [], [], rows)) == alerts


def test_a_resource_that_opens_twice_in_an_hour_takes_its_dollars_from_a_level_once() -> None:
    """The two instances explain their region's level, and the account's level is open."""
    account = [row._replace(series=LEVELS[1], cost_usd=9.0, usage_gb=100.0) for row in lasting(12)]
    later = [row for row in crowd(2, 8.0, 1, first=22) if row.series != LEVELS[2]]
    rows = [row._replace(cost_usd=25.0, usage_gb=260.0) if row.series == LEVELS[1] else row for row in later]
    branches = [
        HOUR._replace(hour=hour, series=LEVELS[0]._replace(region=region), cost_usd=4.0)
        for hour in range(10, 22)
        for region in ("x", "y")
    ]
    found = find_incidents(Policy(), [], [], [*account, *branches, *rows])
    whole = sum(row.excess_usd for row in [*account, *rows] if row.series == LEVELS[1])
    assert sum(hour.excess_usd for incident in found for hour in incident.hours) == pytest.approx(whole, abs=1e-3)


def test_an_hour_that_joined_later_is_no_part_of_the_incident_before() -> None:
    small = [HOUR._replace(hour=11 + h, cost_usd=0.5) for h in range(3)]
    (incident,) = find_incidents(POLICY, [], [], [HOUR, *small, HOUR._replace(hour=14)])
    assert [hour.hour for hour in incident.hours] == [10, 11, 12, 13, 14]
    assert [hour.hour for hour in incident.before(14).hours] == [10]


def test_fleets_of_several_accounts_that_rise_together_are_one_incident() -> None:
    rows = [row for account in ("1", "2", "3") for row in crowd(9, 0.6, 30, account) if row.series != LEVELS[2]]
    payer = [row._replace(cost_usd=3 * row.cost_usd) for row in crowd(9, 0.6, 30, "1") if row.series == LEVELS[2]]
    for some in ([*rows, *payer], rows):
        (incident,) = find_incidents(Policy(), [], [], some)
        assert sum(h.excess_usd for h in incident.hours) == pytest.approx(3 * 9 * 0.6 * 30)


@pytest.mark.parametrize(
    ("later", "service", "alerts"), [(24, "AmazonEC2", 1), (25, "AmazonEC2", 2), (24, "AmazonS3", 2)]
)
def test_fleets_of_one_service_are_one_incident_if_they_begin_within_a_day(
    later: int, service: str, alerts: int
) -> None:
    second = [
        row._replace(series=row.series._replace(service=service))
        for row in crowd(9, 0.6, 30, "2", first=10 + later)
        if row.series[:2] == ("2", "a")
    ]
    first = [row for row in crowd(9, 0.6, 60) if row.series[:2] == ("1", "a")]
    assert len(find_incidents(Policy(), [], [], [*first, *second])) == alerts


@pytest.mark.parametrize(("size", "alerts"), [(1, 2), (2, 1)])
def test_resources_that_open_together_join_a_fleet_of_another_account_and_one_alone_does_not(
    size: int, alerts: int
) -> None:
    fleet = [row for row in crowd(9, 0.6, 40) if row.series[:2] == ("1", "a")]
    others = [row for row in crowd(size, 2.0, 30, "2", first=20) if not row.series.is_level]
    assert len(find_incidents(Policy(), [], [], [*fleet, *others])) == alerts


@pytest.mark.parametrize(("sibling_hours", "alerts"), [(59, 2), (60, 1)])
def test_sibling_hours_may_be_longer_than_those_of_crowds(sibling_hours: int, alerts: int) -> None:
    first = [row for row in crowd(1, 8.0, 70) if not row.series.is_level]
    late = [row._replace(hour=row.hour + 60, series=row.series._replace(resource_id="i-late")) for row in first]
    assert len(find_incidents(Policy(sibling_hours=sibling_hours), [], [], [*first, *late])) == alerts


@pytest.mark.parametrize(("size", "alerts"), [(1, 2), (3, 1)])
def test_a_resource_joins_its_siblings_for_longer_where_they_are_several(size: int, alerts: int) -> None:
    siblings = [row for row in crowd(size, 2.0, 40) if not row.series.is_level]
    late = [row._replace(hour=row.hour + 20, series=row.series._replace(resource_id="i-late")) for row in siblings]
    assert len(find_incidents(Policy(), [], [], [*siblings, *late[::size]])) == alerts


@pytest.mark.parametrize(("later", "alerts"), [(6, 1), (7, 2)])
def test_new_resources_that_begin_together_in_several_regions_are_one_incident(later: int, alerts: int) -> None:
    rows = [
        HOUR._replace(hour=start + h, series=Series("1", region, "AmazonEC2", "internet", f"i-{region}"),
                      usage_gb=100.0, expected_usage_gb=0.0)
        for region, start in (("a", 10), ("b", 10 + later))
        for h in range(20)
    ]  # fmt: skip
    assert len(find_incidents(Policy(), [], [], rows)) == alerts


def test_what_lasts_needs_the_floor_and_one_hour_alone_twelve_times_as_much() -> None:
    (incident,) = find_incidents(Policy(), [], [], lasting(20))
    assert incident.detected == 10 + 8 - 1  # 8 hours, $8: two thirds of the hours that count in full
    assert not find_incidents(Policy(), [], [], lasting(1, 59.9))
    assert find_incidents(Policy(), [], [], lasting(1, 60.0))
    assert not find_incidents(Policy(), [], [], lasting(24, 4.99 / 24))  # more than 12 hours count no more than 12


def test_an_incident_goes_on_after_a_gap_of_a_week_and_not_of_an_hour_more() -> None:
    def incidents(gap: int) -> int:
        first = Hour(10, SERIES[0], 100.0, 1.0, 100.0, 1.0, 9.0, 0.09, -0.2, "type", "op", False, times_habit=9.0)
        return len(find_incidents(POLICY, [], [], [first, first._replace(hour=10 + gap)]))

    assert incidents(POLICY.incident_gap_hours) == 1
    assert incidents(POLICY.incident_gap_hours + 1) == 2


@settings(max_examples=200, deadline=None)
@given(bills)
def test_an_alert_says_what_each_series_carried_in_its_largest_day(rows: list[Hour]) -> None:
    for incident in replay(rows, []).values():
        for row in build_alert(incident, POLICY, "")["contributors"]:
            (member,) = [
                hours
                for s, hours in incident.members.items()
                if [row[k] for k in KEYS] == [getattr(s, k) for k in KEYS]
            ]
            days = [sum(h.excess_gb for at, h in member.items() if end - 24 < at <= end) for end in member]
            assert row["day_excess_gb"] == pytest.approx(max(days), abs=1e-5)


def test_an_incident_before_an_hour_lacks_that_hour() -> None:
    incident = Incident("id", 10)
    incident.add(HOUR._replace(hour=h) for h in (10, 11, 12))
    assert [h.hour for h in incident.before(11).hours] == [10]
    assert [h.hour for h in incident.since(11)] == [11, 12]
    assert incident.before(10).members == {}


def test_the_given_incidents_are_not_changed() -> None:
    incident = Incident("id", 10)
    incident.add([HOUR])
    (grown,) = find_incidents(POLICY, [incident], [], [HOUR._replace(hour=11)])
    assert (len(incident.hours), len(grown.hours)) == (1, 2)


@pytest.mark.parametrize(
    ("larger", "smaller"),
    [({"cost_usd": 9.0}, {"cost_usd": 8.0, "usage_gb": 500.0}), ({"usage_gb": 101.0}, {})],
)
def test_of_one_hour_the_larger_in_dollars_then_in_gb_names_the_alert(
    larger: dict[str, float], smaller: dict[str, float]
) -> None:
    for first, second in (SERIES[:2], SERIES[1::-1]):
        rows = [HOUR._replace(series=first, **larger), HOUR._replace(series=second, **smaller)]
        (incident,) = find_incidents(POLICY, [], [], rows)
        (alone,) = find_incidents(POLICY, [], [], rows[:1])
        assert next(iter(incident.members)) == first
        assert incident.alert_id == alone.alert_id


@pytest.mark.parametrize(("hours_before", "starts"), [(23, True), (24, False)])
def test_an_incident_begins_within_the_24_hours_in_which_it_gathers(hours_before: int, starts: bool) -> None:
    before = HOUR._replace(cost_usd=1.0)
    (incident,) = find_incidents(POLICY, [], [before], [HOUR._replace(hour=10 + hours_before)])
    assert incident.start == (10 if starts else 10 + hours_before)


@pytest.mark.parametrize(
    ("usage_gb", "expected_gb", "percent", "counts"),
    [(130.0, 100.0, 30.0, True), (129.9, 100.0, 30.0, False), (100.0, 100.0, 0.0, False), (100.1, 100.0, 0.0, True)],
)
def test_an_hour_counts_from_the_floor_in_percent_on(
    usage_gb: float, expected_gb: float, percent: float, counts: bool
) -> None:
    row = HOUR._replace(usage_gb=usage_gb, expected_usage_gb=expected_gb)
    assert bool(find_incidents(Policy(lasting_hours=1, min_excess_percent=percent), [], [], [row])) == counts


@pytest.mark.parametrize(("usage_gb", "counts"), [(3.0, True), (2.9, False)])
def test_free_hours_count_from_the_floor_in_gb_on(usage_gb: float, counts: bool) -> None:
    assert bool(find_incidents(POLICY, [], [], [HOUR._replace(usage_gb=usage_gb, cost_usd=0.0)])) == counts


def test_an_incident_has_a_bound_and_what_goes_on_is_another() -> None:
    rows = [HOUR._replace(hour=10 + h) for h in range(4400)]
    first, second, *others = find_incidents(POLICY, [], [], rows)
    assert len(first.hours) > 2000
    assert first.hours + second.hours + [hour for other in others for hour in other.hours] == rows


def test_the_first_of_a_windows_hours_may_be_held_already() -> None:
    (incident,) = find_incidents(POLICY, [], [], [HOUR])
    (grown,) = find_incidents(POLICY, [incident], [HOUR], [HOUR._replace(hour=11)])
    assert [hour.hour for hour in grown.hours] == [10, 11]


@pytest.mark.parametrize(
    ("usage_gb", "cost_usd", "joins"),
    [(11.0, 0.9, True), (10.9, 0.89, False), (0.0001, 0.0, False)],
)
def test_an_hour_that_matters_carries_a_tenth_of_the_usual_hour(usage_gb: float, cost_usd: float, joins: bool) -> None:
    last = HOUR._replace(hour=16, usage_gb=usage_gb, cost_usd=cost_usd, expected_usage_gb=0)
    rows = [*(HOUR._replace(hour=10 + h) for h in range(6)), last]
    (incident,) = find_incidents(Policy(), [], [], rows)
    assert incident.end == (16 if joins else 15)


@pytest.mark.parametrize(("usage_gb", "joins"), [(10.0, True), (9.9, False)])
def test_where_all_is_free_an_hour_matters_by_its_gb(usage_gb: float, joins: bool) -> None:
    free = HOUR._replace(cost_usd=0.0, expected_usage_gb=0.0)
    rows = [*(free._replace(hour=10 + h) for h in range(6)), free._replace(hour=16, usage_gb=usage_gb)]
    (incident,) = find_incidents(Policy(), [], [], rows)
    assert incident.end == (16 if joins else 15)


def test_an_incident_starts_at_the_first_hour_that_matters() -> None:
    small = [HOUR._replace(hour=10 + h, usage_gb=1.4, cost_usd=0.001) for h in range(12)]
    (incident,) = find_incidents(Policy(), [], [], [*small, *(HOUR._replace(hour=22 + h) for h in range(6))])
    assert incident.start == 22


def test_small_hours_belong_to_an_incident_once_they_reach_the_floor() -> None:
    rows = [
        *(HOUR._replace(hour=10 + h) for h in range(6)),
        *(HOUR._replace(hour=16 + h, cost_usd=0.6) for h in range(24)),
    ]
    (incident,) = find_incidents(Policy(), [], [], rows)
    assert incident.end > 24
    assert len(incident.hours) > 20


def test_an_ended_incident_is_open_again_only_by_reaching_the_floor() -> None:
    def hours(gap: int, later: int) -> int:
        rows = [HOUR._replace(hour=10 + h) for h in range(6)]
        again = [HOUR._replace(hour=15 + gap + h, cost_usd=2.0) for h in range(later)]
        (incident,) = find_incidents(Policy(), [], [], [*rows, *again])
        return len(incident.hours)

    assert hours(24, 1) == 7
    assert hours(25, 1) == 6
    assert hours(25, 5) == 6
    assert hours(25, 6) == 12


NEW = HOUR._replace(expected_usage_gb=0.0, series=SERIES[0]._replace(resource_id="i-new"))


@pytest.mark.parametrize(
    ("first", "second", "alerts"),
    [
        (HOUR, NEW, 2),  # a new resource has its own cause
        (NEW, NEW._replace(series=SERIES[0]._replace(resource_id="i-new-2")), 1),
        (NEW, HOUR, 2),
        (NEW, NEW._replace(series=SERIES[1]._replace(resource_id="i-new")), 1),  # another class of the same resource
        (NEW, HOUR._replace(series=SERIES[1], egress_gb=0.0), 1),  # a gateway that meters the same bytes
        (NEW, HOUR._replace(series=SERIES[1], egress_gb=0.0, usage_gb=400.0), 2),
        (HOUR, HOUR._replace(series=SERIES[1]), 1),
    ],
)
def test_what_has_another_cause_is_an_incident_of_its_own(first: Hour, second: Hour, alerts: int) -> None:
    rows = [first._replace(hour=10), second._replace(hour=10, cost_usd=8.0)]
    assert len(find_incidents(POLICY, [], [], rows)) == alerts


@pytest.mark.parametrize(("later", "is_quiet", "alerts"), [(3, True, 1), (4, True, 2), (4, False, 1)])
def test_a_burst_in_quiet_hours_never_joins_what_began_hours_before(later: int, is_quiet: bool, alerts: int) -> None:
    first = HOUR._replace(series=SERIES[0]._replace(resource_id="other"))
    burst = HOUR._replace(hour=HOUR.hour + later, is_quiet=is_quiet)
    assert len(find_incidents(POLICY, [], [], [first, burst])) == alerts


@pytest.mark.parametrize(("later", "alerts"), [(12, 1), (13, 2)])
def test_a_sibling_joins_within_its_hours(later: int, alerts: int) -> None:
    rows = [HOUR, HOUR._replace(hour=10 + later, series=SERIES[1])]
    assert len(find_incidents(POLICY, [], [], rows)) == alerts


def test_the_id_is_that_of_the_series_and_its_first_hour() -> None:
    (incident,) = find_incidents(POLICY, [], [], [HOUR])
    text = "\x1f".join(["1", "a", "AmazonEC2", "internet", "r", "10"])
    assert incident.alert_id == hashlib.sha256(text.encode()).hexdigest()[:16]


@pytest.mark.parametrize("is_on", [True, False])
def test_garbage_collection_is_as_before_also_after_an_error(is_on: bool) -> None:
    was_on = gc.isenabled()
    seen = []

    def fail(_: Hour) -> Hour:
        seen.append(gc.isenabled())
        raise OSError("the rows end here")

    try:
        (gc.enable if is_on else gc.disable)()
        with pytest.raises(OSError, match="the rows end here"):
            find_incidents(Policy(), [], [], map(fail, [HOUR]))
        assert (seen, gc.isenabled()) == ([False], is_on)
    finally:
        (gc.enable if was_on else gc.disable)()
