"""A policy file and the options over it become the policy of a run."""

from pathlib import Path

import pytest

from egress_alerts.policy import Policy
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.policy import read_policy

FILE = """
min_excess_usd = 10
incident_gap_hours = 48
severity_usd_per_day = [100, 1000, 10_000]

[[overrides]]
egress_class = "inter_az"
min_excess_usd = 100

[[overrides]]
account = "111122223333"
egress_class = "inter_az"
min_excess_usd = 20.5
"""


def test_the_policy_is_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(FILE)
    policy = read_policy(path, {"min_excess_usd": None, "min_excess_gb": 3, "min_excess_percent": None})
    assert (policy.min_excess_usd, policy.min_excess_gb, policy.min_excess_percent) == (10, 3, 30)
    assert (policy.incident_gap_hours, policy.severity_usd_per_day) == (48, (100, 1000, 10_000))
    usd = [
        policy.floors(account, egress_class).min_excess_usd
        for account in ("111122223333", "444455556666")
        for egress_class in ("inter_az", "internet")
    ]
    assert usd == [20.5, 10, 100, 10]


def test_an_option_comes_before_the_file_and_an_override_before_both(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(FILE)
    policy = read_policy(path, {"min_excess_usd": 7})
    assert policy.min_excess_usd == 7
    assert policy.floors("444455556666", "inter_az").min_excess_usd == 100
    assert read_policy(None, {"min_excess_usd": None}) == Policy()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("min_excess_usd = ", "policy.toml is not TOML: "),
        ("min_usd = 5", "policy.toml: has 'min_usd'; accepted are min_excess_usd, "),
        ("min_excess_usd = '5'", "policy.toml: min_excess_usd is '5'; a number of at least 0 is accepted"),
        ("incident_gap_hours = 12", "policy.toml: incident_gap_hours is 12; a number of at least 24 is accepted"),
        ("severity_usd_per_day = [5, 4, 6]", "severity_usd_per_day is [5, 4, 6]; accepted are three rising"),
        ("overrides = 1", "policy.toml: overrides must be a list; in a policy.toml, write each one as [[overrides]]"),
        (
            "[[overrides]]\naccount = 1\nmin_excess_usd = 1",
            "override 1: account is 1; accepted are 12 digits in quotes",
        ),
        ("[[overrides]]\negress_class = 'nat'\nmin_excess_usd = 1", "override 1: egress_class is 'nat'; accepted are"),
        ("[[overrides]]\nmin_excess_usd = 1", 'override 1: {"min_excess_usd": 1} needs account or egress_class'),
        ("[[overrides]]\negress_class = 'vpn'\nmin_usd = 1", "override 1: has 'min_usd'; accepted are account"),
        ("[[overrides]]\negress_class = 'vpn'\nmin_excess_gb = -1", "override 1: min_excess_gb is -1; a number"),
    ],
)
def test_a_bad_file_is_one_sentence_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        read_policy(path, {})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"cannot read the policy from .*policy.toml: No such file"):
        read_policy(tmp_path / "policy.toml", {})
