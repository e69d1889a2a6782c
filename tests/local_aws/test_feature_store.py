"""Feature Store on the local AWS: what AWS refuses, orders and answers."""

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws import LocalAws

GROUP = "series"
TYPES = {"key": "String", "at": "String", "gb": "Fractional", "hours": "Integral"}


def create(aws: LocalAws, name: str, **changed: Any) -> None:
    given = {
        "FeatureGroupName": name,
        "RecordIdentifierFeatureName": "key",
        "EventTimeFeatureName": "at",
        "FeatureDefinitions": [{"FeatureName": feature, "FeatureType": kind} for feature, kind in TYPES.items()],
        "OnlineStoreConfig": {"EnableOnlineStore": True},
    }
    aws.client("sagemaker").create_feature_group(**given | changed)


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as running:
        create(running, GROUP)
        yield running


def put(aws: LocalAws, group: str = GROUP, **values: str) -> None:
    record: Any = [{"FeatureName": name, "ValueAsString": text} for name, text in values.items()]
    aws.client("sagemaker-featurestore-runtime").put_record(FeatureGroupName=group, Record=record)


def get(aws: LocalAws, key: str, group: str = GROUP, **options: Any) -> dict[str, str] | None:
    answer: dict[str, Any] = aws.client("sagemaker-featurestore-runtime").get_record(
        FeatureGroupName=group, RecordIdentifierValueAsString=key, **options
    )
    if "Record" not in answer:
        return None
    return {value["FeatureName"]: value["ValueAsString"] for value in answer["Record"]}


def test_a_record_is_read_as_it_was_written_whole_or_in_part(aws: LocalAws) -> None:
    put(aws, key="a b/#ü", at="2026-10-01T00:00:00Z", gb="1.5e-3", hours="-7")
    assert get(aws, "a b/#ü") == {"key": "a b/#ü", "at": "2026-10-01T00:00:00Z", "gb": "1.5e-3", "hours": "-7"}
    assert get(aws, "a b/#ü", FeatureNames=["hours", "gb"]) == {"hours": "-7", "gb": "1.5e-3"}


def test_only_a_greater_event_time_replaces_a_record(aws: LocalAws) -> None:
    seen = []
    for at, gb in (("10T00:00:00", "1"), ("09T00:00:00", "2"), ("10T00:00:00", "3"), ("10T00:00:00.001", "4")):
        put(aws, key="ordered", at=f"2026-10-{at}Z", gb=gb)
        seen.append((get(aws, "ordered") or {})["gb"])
    assert seen == ["1", "1", "1", "4"]


def test_a_record_that_is_not_there_is_an_empty_answer(aws: LocalAws) -> None:
    assert get(aws, "missing") is None
    with pytest.raises(ClientError, match=r"\(ResourceNotFound\).*FeatureGroup with name other does not exist"):
        get(aws, "missing", group="other")


def test_many_records_are_read_at_once_and_those_that_are_not_there_are_left_out(aws: LocalAws) -> None:
    put(aws, key="one", at="2026-10-01T00:00:00Z", gb="1")
    asked = {"FeatureGroupName": GROUP, "RecordIdentifiersValueAsString": ["one", "missing"], "FeatureNames": ["gb"]}
    elsewhere = {"FeatureGroupName": "other", "RecordIdentifiersValueAsString": ["one"]}
    answer: dict[str, Any] = aws.client("sagemaker-featurestore-runtime").batch_get_record(
        Identifiers=[asked, elsewhere]
    )
    found = [(record["RecordIdentifierValueAsString"], record["Record"]) for record in answer["Records"]]
    assert found == [("one", [{"FeatureName": "gb", "ValueAsString": "1"}])]
    assert [(error["FeatureGroupName"], error["ErrorCode"]) for error in answer["Errors"]] == [
        ("other", "ResourceNotFound")
    ]
    assert answer["UnprocessedIdentifiers"] == []


AT = "2026-10-01T00:00:00Z"


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"key": "k", "at": AT, "usd": "1"}, "usd is not a feature of series"),
        ({"key": "k", "at": AT, "gb": "NaN"}, "gb is of type Fractional"),
        ({"key": "k", "at": AT, "hours": "1.0"}, "hours is of type Integral"),
        ({"key": "k", "gb": "1"}, "no value for at"),
        ({"at": AT, "gb": "1"}, "no value for key"),
        ({"key": "k", "at": "2026-10-01", "gb": "1"}, "the event time is seconds since 1970 or ISO 8601"),
        ({"key": "two\nlines", "at": AT}, "regular expression pattern"),
    ],
)
def test_a_record_that_does_not_fit_the_definitions_is_refused(
    aws: LocalAws, values: dict[str, str], said: str
) -> None:
    with pytest.raises(ClientError, match=said):
        put(aws, **values)
    assert get(aws, "k") is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"EventTimeFeatureName": "hours"}, "of type String or Fractional"),
        ({"RecordIdentifierFeatureName": "name"}, "RecordIdentifierFeatureName name is not in FeatureDefinitions"),
        ({"OnlineStoreConfig": {"EnableOnlineStore": False}}, "at least one of OnlineStoreConfig"),
        ({"FeatureGroupName": GROUP}, "already exists"),
    ],
)
def test_a_group_that_aws_does_not_make_is_refused(aws: LocalAws, changed: dict[str, Any], said: str) -> None:
    with pytest.raises(ClientError, match=said):
        create(aws, "new", **changed)


def test_a_record_is_gone_when_it_has_expired_and_with_its_group(aws: LocalAws) -> None:
    create(aws, "brief", OnlineStoreConfig={"EnableOnlineStore": True, "TtlDuration": {"Unit": "Hours", "Value": 1}})
    put(aws, "brief", key="old", at="2020-01-01T00:00:00Z")
    put(aws, "brief", key="new", at="2999-01-01T00:00:00Z")
    assert get(aws, "old", "brief") is None
    assert get(aws, "new", "brief") is not None
    longer: Any = {"TtlDuration": {"Unit": "Weeks", "Value": 99_999}}
    aws.client("sagemaker").update_feature_group(FeatureGroupName="brief", OnlineStoreConfig=longer)
    assert get(aws, "old", "brief") is not None
    aws.client("sagemaker").delete_feature_group(FeatureGroupName="brief")
    with pytest.raises(ClientError, match="does not exist"):
        aws.client("sagemaker").describe_feature_group(FeatureGroupName="brief")
