"""Floors of an account, of an egress class, of both: the most specific one wins, floor by floor."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly_detector.settings import Settings, SettingsError
from egress_alerts.incidents import Hour, find_incidents
from egress_alerts.policy import Floors, Policy
from egress_alerts.series import Series

ACCOUNTS, CLASSES = ("111122223333", "444455556666"), ("internet", "inter_az")
NEEDED = dict.fromkeys(("BUCKET", "ENDPOINT_NAME", "ALERTS_TABLE", "IDEMPOTENCY_TABLE", "TOPIC_ARN"), "x")  # fmt: skip

scopes = st.tuples(st.sampled_from([None, *ACCOUNTS]), st.sampled_from([None, *CLASSES])).filter(any)
floors = st.dictionaries(st.sampled_from(Floors._fields), st.floats(0, 1e6), min_size=1)


def policy(overrides: object) -> Policy:
    text = overrides if isinstance(overrides, str) else json.dumps(overrides)
    return Settings.from_environment(NEEDED | {"POLICY_OVERRIDES": text}).policy


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
        hour = Hour(10, series, 100.0, 60.0, 100.0, 60.0, 109.0, 1.0, -0.1, "type", "op", False)
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
