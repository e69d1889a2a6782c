"""Which team owns an alert, and where the owner comes from."""

import json
from typing import Any

import pytest

from egress_alerts.routing import Owner, OwnerRule, OwnersError, check_owner_rules, find_owner, read_owners
from tests.support.alerts import alert_record
from tests.support.detection import DAY_HOURS, Detection, hot

RULES = [
    {"team": "team-web", "channel": "#web", "tags": {"Owner": "web*"}, "regions": ["eu-*"]},
    {"team": "team-data", "accounts": ["999988887777", "prod-data"]},
    {"team": "team-media", "resources": ["*media-*"], "egress_classes": ["internet", "cloudfront"]},
    {"team": "finops"},
]


def owner(rules: list[dict[str, Any]], **fields: Any) -> Owner:
    return find_owner(alert_record(**fields), check_owner_rules(rules, "owner rule"))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"tags": {"owner": "webshop"}}, ("team-web", "#web", "tag Owner, region eu-*")),
        ({"tags": {"owner": "webshop"}, "region": "us-east-1"}, ("team-media", "", "egress class internet, resource")),
        ({"account_id": "999988887777"}, ("team-data", "", "account 999988887777")),
        ({"account_name": "prod-data"}, ("team-data", "", "account prod-data")),
        ({}, ("team-media", "", "egress class internet, resource *media-*")),
        ({"egress_class": "inter_az"}, ("finops", "", "last rule")),
        ({"resource_id": "*", "region": "*"}, ("finops", "", "last rule")),
    ],
)
def test_the_first_rule_whose_conditions_all_match_decides(fields: dict[str, Any], expected: tuple[str, ...]) -> None:
    found = owner(RULES, **fields)
    assert found[:2] == expected[:2]
    assert found.source.startswith(expected[2])


def test_without_a_rule_that_matches_a_tag_is_the_owner() -> None:
    none = [{"team": "team-web", "tags": {"env": "*"}}]  # a tag that is not there matches nothing
    assert owner(none, tags={"Team": "media", "Owner": "ann"}) == ("ann", "", "tag owner")
    assert owner(none, tags={"team": "media"}) == ("media", "", "tag team")
    assert owner([], tags={"owner": ""}) == Owner()


def test_a_tag_that_sns_takes_as_no_attribute_is_no_team() -> None:
    assert owner([], tags={"owner": " ", "team": "media"}) == ("media", "", "tag team")
    assert owner([], tags={"owner": "me\x00dia\n"}).team == "me\ufffddia\ufffd"


def test_brackets_of_a_resource_id_are_no_wildcards() -> None:
    rules = [{"team": "a", "resources": ["job[1]"]}]
    assert owner(rules, resource_id="job[1]").team == "a"
    assert owner(rules, resource_id="job1").team == ""


def test_rules_survive_as_json() -> None:
    rules = check_owner_rules(RULES, "owner rule")
    records = [rule.record() for rule in rules]
    assert records == RULES
    assert read_owners(json.dumps(records)) == rules


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ([{"team": "a"}, {"team": "b"}], "rule 1 has no condition, so no later rule applies; move it to the end"),
        ([{"channel": "#a"}], 'rule 1 has no team; add one, such as team = "team-media"'),
        ([{"team": "a", "acount": ["1"]}], "rule 1 has 'acount'; accepted are team, channel, tags, accounts"),
        ([{"team": "a\nb"}], "rule 1: team is 'a\\nb'; accepted is a text of at most 100 characters on one line"),
        ([{"team": " "}], "rule 1: team is ' '; accepted is a text of at most 100 characters on one line, without"),
        ([{"team": "a", "channel": "#a "}], "rule 1: channel is '#a '; accepted is a text"),
        ([{"team": 7}], "rule 1: team is 7; accepted is a text"),
        ([{"team": "a", "regions": "eu-west-1"}], "rule 1: regions is 'eu-west-1'; accepted is a list of at least"),
        ([{"team": "a", "regions": []}], "rule 1: regions is []; accepted is a list of at least one text"),
        ([{"team": "a", "accounts": ["123"]}], "rule 1: account is '123'; accepted are 12 digits in quotes"),
        ([{"team": "a", "tags": ["owner"]}], "rule 1: tags is ['owner']; accepted are keys with patterns"),
        (
            [{"team": "a", "regions": ["*"]}, {"team": "b", "egress_classes": ["wan"]}],
            "rule 2: egress_class is 'wan'; accepted are internet, inter_az",
        ),
    ],
)
def test_a_bad_rule_is_named_with_its_fault_and_the_fix(rules: list[dict[str, Any]], sentence: str) -> None:
    with pytest.raises(OwnersError) as error:
        check_owner_rules(rules, "owner rule", ("internet", "inter_az"))
    assert sentence in str(error.value)


@pytest.mark.parametrize("text", ["{", "{}"])
def test_what_is_no_list_of_rules_is_refused(text: str) -> None:
    with pytest.raises(OwnersError, match="the owner rules are not"):
        read_owners(text)


def test_one_notification_is_of_one_route_and_a_route_that_fails_does_not_repeat_the_others() -> None:
    rules = (OwnerRule("a", "#a", resources=("a-*",)), OwnerRule("b", resources=("b-*",)))
    world = Detection(owners=rules)
    rows = [r for name in ("a-1", "b-1", "c-1") for r in hot(0, 12, resource_id=name, region=f"region-{name}")]
    world.outbox.broken_team = "b"
    with pytest.raises(ConnectionError, match="the topic does not answer"):
        world.run(rows, 0, DAY_HOURS)
    assert not world.store.claimed
    assert [teams(text) for text in world.outbox.messages] == [["a-1"], ["c-1"]]
    assert "Owner         a (resource a-*)" in world.outbox.messages[0]
    assert "Owner" not in world.outbox.messages[1]
    world.outbox.broken_team = None
    world.run(rows, 0, DAY_HOURS)
    assert [teams(text) for text in world.outbox.messages] == [["a-1"], ["c-1"], ["b-1"]]
    assert [alert["owner"] for alert in world.alerts if alert["resource_id"] == "b-1"] == ["b"]


def teams(text: str) -> list[str]:
    return [name for name in ("a-1", "b-1", "c-1") if f"{name} has sent" in text]


def test_a_team_has_one_notification_whatever_made_it_the_owner() -> None:
    rules = (OwnerRule("b", regions=("region-1",)), OwnerRule("b", regions=("region-2",)))
    world = Detection(owners=(*rules, OwnerRule("b", "#other", regions=("region-3",))))
    world.run([r for number in (1, 2, 3) for r in hot(0, 12, region=f"region-{number}")], 0, DAY_HOURS)
    regions = [[n for n in (1, 2, 3) if f"region-{n}, " in text] for text in world.outbox.messages]
    assert sorted(regions) == [[1, 2], [3]]
    assert {alert["owner_source"] for alert in world.alerts} == {f"region region-{number}" for number in (1, 2, 3)}
