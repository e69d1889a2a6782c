"""Floors of an account, of an egress class, of both: the most specific one wins, floor by floor."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomaly_detector.settings import Settings, SettingsError
from egress_alerts.hours import Hour
from egress_alerts.incidents import find_incidents
from egress_alerts.policy import Floors, Policy, PolicyError
from egress_alerts.series import Series

ACCOUNTS, CLASSES = ("111122223333", "444455556666"), ("internet", "inter_az")
NEEDED = dict.fromkeys(("BUCKET", "ENDPOINT_NAME", "ALERTS_TABLE", "TOPIC_ARN"), "x")  # fmt: skip

scopes = st.tuples(st.sampled_from([None, *ACCOUNTS]), st.sampled_from([None, *CLASSES])).filter(any)
floors = st.dictionaries(st.sampled_from(Floors._fields), st.floats(0, 1e6), min_size=1)


def policy(overrides: object) -> Policy:
    text = overrides if isinstance(overrides, str) else json.dumps(overrides)
    return Settings.from_environment(NEEDED | {"POLICY_OVERRIDES": text}).policy


@settings(deadline=None)
@given(st.dictionaries(scopes, floors), st.sampled_from(ACCOUNTS), st.sampled_from(CLASSES))
def test_the_most_specific_one_wins(given: dict, account: str, egress_class: str) -> None:  # type: ignore[type-arg]
    entries = [{"account": a, "egress_class": c, **values} for (a, c), values in given.items()]
    found = policy(entries).floors(account, egress_class)
    everywhere = dict(zip(Floors._fields, (5.0, 2.0, 30.0), strict=True))
    for name in Floors._fields:
        ladder = [given.get(scope, {}).get(name) for scope in [(account, egress_class), (account, None)]]
        ladder += [given.get((None, egress_class), {}).get(name), everywhere[name]]
        assert getattr(found, name) == next(value for value in ladder if value is not None)


def test_a_floor_of_a_class_decides_on_that_class_alone() -> None:
    def found(series: Series, *overrides: dict[str, object]) -> int:
        hour = Hour(10, series, 100.0, 60.0, 100.0, 60.0, 109.0, 1.0, -0.1, "type", "op", False, times_habit=9.0)
        return len(find_incidents(policy(list(overrides)), [], [], [hour]))

    internet, inter_az = (Series(ACCOUNTS[0], "eu-west-1", "AmazonS3", name, "r") for name in CLASSES)
    dollars, percent = ({"egress_class": "inter_az", name: 1000} for name in ("min_excess_usd", "min_excess_percent"))
    for override in (dollars, percent):
        assert (found(internet, override), found(inter_az, override)) == (1, 0)
    assert found(inter_az, dollars, {"account": ACCOUNTS[0], "egress_class": "inter_az", "min_excess_usd": 1}) == 1


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is not JSON"),
        ("{}", "overrides must be a list"),
        ('[{"min_excess_usd": 1}]', "override 1: .* needs account or egress_class"),
        ('[{"account": %s}]', "one of min_excess_usd"),
        (
            '[{"account": %s, "min_excess_eur": 1}]',
            "override 1: has 'min_excess_eur'; accepted are account",
        ),
        (
            '[{"account": %s, "min_excess_usd": -1}]',
            "override 1: min_excess_usd is -1; a number of at least 0",
        ),
        (
            '[{"account": %s, "min_excess_gb": 1}, {"account": %s, "min_excess_gb": 2}]',
            "override 2 has the same account",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        policy(text.replace("%s", '"111122223333"'))


CLASS_NAMES = ", ".join(CLASSES)
NAMES = (
    "min_excess_usd, min_excess_gb, min_excess_percent, min_times_usual_excess, max_p_value, lasting_hours, "
    "incident_gap_hours, sibling_hours, ended_after_hours, notify_again_hours, notify_ended, "
    "medium_share_of_expected, severity_usd_per_day, "
    "overrides"
)


def test_values_that_are_given_replace_the_defaults() -> None:
    numbers = {"min_excess_usd": 7, "max_p_value": 0.01, "lasting_hours": 1.0, "incident_gap_hours": 24}
    found = Policy.from_values(numbers | {"severity_usd_per_day": [1, 2, 3]}, egress_classes=CLASSES)
    assert found == Policy(
        7.0, max_p_value=0.01, lasting_hours=1, incident_gap_hours=24, severity_usd_per_day=(1, 2, 3)
    )
    assert [type(getattr(found, name)) for name in numbers] == [float, float, int, int]
    assert Policy.from_values({}) == Policy()


def test_the_most_specific_thresholds_hold() -> None:
    policy = Policy.from_values(
        {
            "notify_ended": True,
            "overrides": [
                {"account": "111122223333", "severity_usd_per_day": [1, 2, 3]},
                {"egress_class": "internet", "severity_usd_per_day": [10, 20, 30], "min_excess_usd": 7},
                {"account": "111122223333", "egress_class": "internet", "min_excess_usd": 9},
            ],
        }
    )
    assert policy.notify_ended
    assert policy.thresholds("111122223333", "internet") == (1, 2, 3)
    assert policy.thresholds("444455556666", "internet") == (10, 20, 30)
    assert policy.thresholds("444455556666", "vpn") == (50, 500, 5000)
    assert policy.floors("111122223333", "internet").min_excess_usd == 9


def test_the_classes_that_an_override_may_name() -> None:
    entry = {"egress_class": "internet", "min_excess_gb": 1, "account": None}
    expected = Policy(overrides={("", "internet"): {"min_excess_gb": 1.0}})
    assert Policy.from_values({"overrides": [entry]}, egress_classes=iter(CLASSES)) == expected
    assert Policy.from_values({"overrides": [entry]}) == expected


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"min_excess_eur": 1}, f"has 'min_excess_eur'; accepted are {NAMES}"),
        ({"min_excess_usd": -0.5}, "min_excess_usd is -0.5; a number of at least 0 is accepted"),
        ({"min_excess_usd": True}, "min_excess_usd is True; a number of at least 0 is accepted"),
        ({"min_excess_usd": "5"}, "min_excess_usd is '5'; a number of at least 0 is accepted"),
        ({"min_excess_usd": float("inf")}, "min_excess_usd is inf; a number of at least 0 is accepted"),
        ({"min_excess_usd": float("nan")}, "min_excess_usd is nan; a number of at least 0 is accepted"),
        ({"incident_gap_hours": 23}, "incident_gap_hours is 23; a number of at least 24 is accepted"),
        ({"lasting_hours": 0}, "lasting_hours is 0; a number of at least 1 is accepted"),
        ({"ended_after_hours": 0}, "ended_after_hours is 0; a number of at least 1 is accepted"),
        ({"notify_ended": "yes"}, "notify_ended is 'yes'; true and false are accepted"),
        (
            {"overrides": [{"egress_class": "internet", "severity_usd_per_day": [1, 2]}]},
            "override 1: severity_usd_per_day is [1, 2]; accepted are three rising dollars a day for medium, high and "
            "critical, such as [50, 500, 5000]",
        ),
        ({"overrides": {}}, "overrides must be a list; in a policy.toml, write each one as [[overrides]]"),
        ({"overrides": ["x"]}, "overrides must be a list; in a policy.toml, write each one as [[overrides]]"),
        (
            {"overrides": [{"account": 111122223333, "min_excess_gb": 1}]},
            'override 1: account is 111122223333; accepted are 12 digits in quotes, such as "111122223333"',
        ),
        (
            {"overrides": [{"account": "1", "min_excess_gb": 1}]},
            "override 1: account is '1'; accepted are 12 digits in quotes, such as \"111122223333\"",
        ),
        (
            {"overrides": [{"egress_class": "vpn", "min_excess_gb": 1}]},
            f"override 1: egress_class is 'vpn'; accepted are {CLASS_NAMES}",
        ),
        (
            {"overrides": [{"min_excess_gb": 1}]},
            'override 1: {"min_excess_gb": 1} needs account or egress_class, and one of min_excess_usd, min_excess_gb, '
            "min_excess_percent, medium_share_of_expected, severity_usd_per_day",
        ),
        (
            {"overrides": [{"egress_class": "internet", "b": 1, "a": 1}]},
            "override 1: has 'a'; accepted are account, egress_class, min_excess_usd, min_excess_gb, "
            "min_excess_percent, medium_share_of_expected, severity_usd_per_day",
        ),
    ],
)
def test_a_value_that_is_not_accepted_is_named_with_what_is(values: dict[str, object], says: str) -> None:
    with pytest.raises(PolicyError) as error:
        Policy.from_values(values, egress_classes=CLASSES)
    assert str(error.value) == says


@pytest.mark.parametrize("value", [[1, 2], [1, 2, 3, 4], [0, 1, 2], [1, 1, 2], [1, 3, 3], [1, "2", 3], 5, "123"])
def test_thresholds_are_three_rising_numbers(value: object) -> None:
    with pytest.raises(PolicyError) as error:
        Policy.from_values({"severity_usd_per_day": value})
    assert str(error.value) == (
        f"severity_usd_per_day is {value!r}; accepted are three rising dollars a day for medium, high and critical, "
        "such as [50, 500, 5000]"
    )
