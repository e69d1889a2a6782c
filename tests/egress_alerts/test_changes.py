"""Which write events of CloudTrail an alert names, and which it does not."""

from typing import Any

import pytest

from egress_alerts.alert import Alert
from egress_alerts.changes import Change, find_changes, rank_changes, read_event
from egress_alerts.message import render_alert
from egress_alerts.planned import PlannedEvent
from tests.support.alerts import alert_record
from tests.support.cloudtrail import PERSON, record
from tests.support.detection import FIRST, Detection, hot, row

HOT_LINK = {"incident_class": "hot_link", "likely_cause": "a hot-linked object"}
CAUSE = record("PutBucketPolicy", "2026-10-02T01:48:11Z", names="media-prod")
AUTOSCALING = {
    "type": "AssumedRole",
    "invokedBy": "autoscaling.amazonaws.com",
    "arn": "arn:aws:sts::111122223333:assumed-role/AWSServiceRoleForAutoScaling/AutoScaling",
}


def alert(**fields: Any) -> Alert:
    """Return an alert on the bucket media-prod of 111122223333 in eu-west-1 from 2026-10-02 02:00 on."""
    return alert_record(**{**HOT_LINK, **fields})


def ranked(*records: dict[str, Any], **fields: Any) -> list[Change]:
    return rank_changes(alert(**fields), [event for each in records if (event := read_event(each))])


def names(*records: dict[str, Any], **fields: Any) -> list[str]:
    return [change["event_name"] for change in ranked(*records, **fields)]


def test_the_change_of_the_bucket_is_named_with_its_reasons() -> None:
    (change,) = ranked(CAUSE)
    assert change == {
        "time_utc": "2026-10-02T01:48:11Z",
        "event_name": "PutBucketPolicy",
        "actor": "arn:aws:iam::111122223333:user/alice",
        "resource": "media-prod",
        "event_id": "PutBucketPolicy-2026-10-02T01:48:11Z",
        "reason": "it names the resource; the call fits the likely cause; 12 min before the start",
    }
    text = render_alert(alert(changes=[change])).splitlines()
    assert (
        "Changed       PutBucketPolicy on media-prod by user/alice at 2026-10-02 01:48 UTC (it names the resource; the "
        "call fits the likely cause; 12 min before the start)"
    ) in text


@pytest.mark.parametrize(
    "other",
    [
        {"readOnly": True},
        {"errorCode": "AccessDenied"},
        {"managementEvent": False},
        {"eventType": "AwsServiceEvent"},
        {"recipientAccountId": "444455556666"},
        {"awsRegion": "us-west-2"},
        {"eventTime": "2026-10-01T19:59:59Z"},  # more than six hours before
        {"eventTime": "2026-10-02T03:00:01Z"},  # more than one hour after the start
        {"userIdentity": AUTOSCALING, "requestParameters": None},
        {"requestParameters": {"bucketName": "another-bucket"}},
        {"eventName": "PutBucketTagging", "requestParameters": None},
    ],
    ids=lambda other: "-".join(other),
)
def test_what_cannot_be_the_cause_is_not_named(other: dict[str, Any]) -> None:
    assert ranked(CAUSE | other) == []


def test_an_event_of_a_global_service_counts_in_every_region() -> None:
    found = record("UpdateDistribution2020_05_31", "2026-10-02T01:50:00Z", eventSource="cloudfront.amazonaws.com",
                   awsRegion="us-east-1")  # fmt: skip
    assert names(found) == ["UpdateDistribution"]
    assert names(found | {"eventSource": "ec2.amazonaws.com"}) == []


def test_at_most_three_are_named_and_the_likeliest_comes_first() -> None:
    others = [
        record(name, f"2026-10-02T01:{minute}:00Z")
        for name, minute in [("ChangeResourceRecordSets", 30), ("UpdateDistribution", 50), ("CreateInvalidation", 40),
                             ("UpdateCachePolicy", 45)]
    ]  # fmt: skip
    assert names(*others, CAUSE) == ["PutBucketPolicy", "UpdateDistribution", "UpdateCachePolicy"]
    assert names(*others, CAUSE) == names(CAUSE, *reversed(others))


def test_calls_of_one_actor_count_as_one_and_many_of_them_are_routine() -> None:
    of_one = [record("ChangeResourceRecordSets", f"2026-10-02T01:{minute}:00Z") for minute in range(40, 43)]
    assert names(*of_one) == ["ChangeResourceRecordSets"]
    all_day = [record("ChangeResourceRecordSets", f"2026-10-02T01:{minute}:00Z") for minute in range(10, 30)]
    assert names(*all_day) == []


def test_the_resource_of_an_arn_is_found_by_its_last_part() -> None:
    gateway = "arn:aws:ec2:eu-west-1:111122223333:natgateway/nat-0123456789abcdef0"
    row = alert()["contributors"][0] | {"resource_id": gateway, "egress_class": "nat_gateway"}
    fields = {"contributors": [row], "egress_class": "nat_gateway", "incident_class": "s3_through_nat"}
    route = record("CreateRoute", "2026-10-01T21:00:00Z", requestParameters={"natGatewayId": "nat-0123456789abcdef0"})
    (change,) = ranked(route, **fields)
    assert (change["resource"], change["reason"]) == (
        "nat-0123456789abcdef0", "it names the resource; the call fits the likely cause; 5.0 h before the start",
    )  # fmt: skip
    other = record("CreateRoute", "2026-10-02T01:50:00Z", requestParameters={"natGatewayId": "nat-0aaaaaaaaaaaaaaaa"})
    assert ranked(other, **fields) == []


def test_a_stack_of_cloudformation_acts_for_the_person() -> None:
    who = PERSON | {"invokedBy": "cloudformation.amazonaws.com"}
    assert names(CAUSE | {"userIdentity": who}) == ["PutBucketPolicy"]


def test_a_daily_bill_counts_the_whole_first_day() -> None:
    late = record("PutBucketPolicy", "2026-10-02T17:00:00Z", names="media-prod")
    day = {"granularity": "day", "start_hour_utc": "2026-10-02T00:00:00Z"}
    (change,) = ranked(late, **day)
    assert change["reason"].endswith("on the first day")


def test_none_is_said_so_and_a_limit_is_kept() -> None:
    assert find_changes(alert(), []) == ([], "no write event in CloudTrail fits")
    changes, note = find_changes(alert(), [event for event in [read_event(CAUSE)] if event], "not all events were read")
    assert (len(changes), note) == (1, "not all events were read")
    text = render_alert(alert(changes_note="no write event in CloudTrail fits"))
    assert "\nChanged       no write event in CloudTrail fits\n" in text
    assert "Changed" not in render_alert(alert())


def test_changes_are_looked_up_once_and_kept_as_the_incident_grows() -> None:
    asked: list[str] = []

    def found(of: Alert) -> tuple[list[Change], str]:
        asked.append(of["end_hour_utc"])
        return find_changes(of, [event for event in [read_event(CAUSE)] if event])

    world = Detection(find_changes=found)
    day = [row(hour, gb=1.0) for hour in range(48)] + hot(2, 40, resource_id="media-prod")
    world.run(day, 0, 24)
    first = world.alert
    world.run(day, 0, 24)
    world.run(day, 24, 48)
    assert len(asked) == 1
    assert world.alert["end_hour_utc"] > first["end_hour_utc"]
    assert world.alert["changes"] == first["changes"] != []
    assert "PutBucketPolicy on media-prod by user/alice" in world.outbox.messages[0]


def test_an_alert_that_is_suppressed_is_not_looked_up_until_it_is_not() -> None:
    asked: list[str] = []

    def found(of: Alert) -> tuple[list[Change], str]:
        asked.append(of["alert_id"])
        return [], "no write event in CloudTrail fits"

    world = Detection(find_changes=found)
    day = [row(hour, gb=1.0) for hour in range(24)] + hot(2, 9)
    plan = PlannedEvent("the move", FIRST, FIRST + 24, max_gb=1000.0)
    world.run(day, 0, 24, [plan])
    assert (asked, world.alert["changes_note"]) == ([], "")
    world.run(day + hot(11, 6), 0, 24, [plan])
    assert asked == [world.alert["alert_id"]]
