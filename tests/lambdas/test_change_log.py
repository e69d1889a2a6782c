"""The function's look-up in CloudTrail: its pages, its pace, its limits, and events that it may not read."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, InvalidRegionError, ReadTimeoutError

from anomaly_detector import change_log
from anomaly_detector.change_log import ChangeLog
from egress_alerts.alert import Alert
from local_aws import LocalAws
from tests.support.alerts import alert_record
from tests.support.cloudtrail import CloudTrail, record
from tests.support.detector import FaultyEndpoint, hot_day
from tests.support.detector import World as Function

CAUSE = record("PutBucketPolicy", "2026-10-02T01:48:11Z", names="media-prod")
NOISE = [record("PutBucketTagging", f"2026-10-02T02:{n // 60:02d}:{n % 60:02d}Z", names=f"b-{n}") for n in range(120)]


class World:
    """A change log between clients by region and a clock that sleeping moves."""

    def __init__(self, account_id: str = "111122223333", until: float = 100.0, **clients: CloudTrail) -> None:
        self.clients = {"eu-west-1": CloudTrail(), "us-east-1": CloudTrail()} | {
            name.replace("_", "-"): client for name, client in clients.items()
        }
        self.now, self.pauses = 0.0, []
        self.log = ChangeLog(self.clients.__getitem__, account_id, until, lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.pauses.append(seconds)

    def find(self, **fields: Any) -> tuple[list[str], str]:
        changes, note = self.log.find(alert(**fields))
        return [change["event_name"] for change in changes], note


def alert(**fields: Any) -> Alert:
    return alert_record(**{"incident_class": "hot_link", **fields})


def test_all_pages_are_read_at_less_than_two_a_second() -> None:
    world = World(eu_west_1=CloudTrail(*NOISE, CAUSE))
    assert world.find() == (["PutBucketPolicy"], "")
    requests = world.clients["eu-west-1"].requests
    assert [request.get("NextToken") for request in requests] == [None, "50", "100"]
    assert f"{requests[0]['StartTime']:%d %H:%M} {requests[0]['EndTime']:%d %H:%M}" == "01 20:00 02 03:00"
    assert requests[0]["LookupAttributes"] == [{"AttributeKey": "ReadOnly", "AttributeValue": "false"}]
    assert all(pause > 0.5 for pause in world.pauses)
    assert len(world.pauses) == 4  # three pages, and two of the global services


def test_global_services_are_looked_up_where_they_are_recorded() -> None:
    distribution = record("UpdateDistribution", "2026-10-02T01:50:00Z", eventSource="cloudfront.amazonaws.com",
                          awsRegion="us-east-1")  # fmt: skip
    world = World(us_east_1=CloudTrail(distribution))
    assert world.find() == (["UpdateDistribution"], "")
    asked = [request["LookupAttributes"][0]["AttributeValue"] for request in world.clients["us-east-1"].requests]
    assert asked == ["iam.amazonaws.com", "cloudfront.amazonaws.com"]


def test_a_look_up_ends_in_time_and_the_alert_has_a_note() -> None:
    world = World(until=1.0, eu_west_1=CloudTrail(*NOISE, CAUSE))
    assert world.find() == (
        [], "no write event in CloudTrail fits; not all events were read: the time for it was used up",
    )  # fmt: skip
    assert world.now < 2.0
    assert world.find(alert_id="another") == ([], "CloudTrail was not read: the time for it was used up")


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        (ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "LookupEvents"),
         "AccessDeniedException"),
        (ReadTimeoutError(endpoint_url="https://cloudtrail"), "ReadTimeoutError"),
        # A bill may have a region that boto3 does not accept.
        (InvalidRegionError(region_name=""), "InvalidRegionError"),
    ],
)  # fmt: skip
def test_a_look_up_that_fails_is_noted_and_counted(fault: Exception, name: str) -> None:
    change_log.metrics.clear_metrics()
    world = World(eu_west_1=CloudTrail(fault=fault))
    assert world.find() == ([], f"CloudTrail was not read: the look-up failed ({name})")
    assert world.find()[1].endswith(f"({name})")
    assert len(world.clients["eu-west-1"].requests) == 1
    assert change_log.metrics.metric_set["ChangeLookupsFailed"]["Value"] == [1]
    change_log.metrics.clear_metrics()


def test_what_else_goes_wrong_is_an_error() -> None:
    with pytest.raises(KeyError):
        World().find(region="eu-north-1")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"account_id": "444455556666"}, "the incident is in another account"),
        ({"account_id": "*", "region": "*"}, "the incident is in another account"),
        ({"region": "*"}, "the incident spans several regions"),
    ],
)
def test_what_cannot_be_read_is_not_asked_for(fields: dict[str, str], reason: str) -> None:
    world = World()
    assert world.find(**fields) == ([], f"CloudTrail was not read: {reason}")
    assert not any(client.requests for client in world.clients.values())


@pytest.mark.integration
def test_the_function_notifies_where_cloudtrail_does_not_answer(tmp_path: Path) -> None:
    """The local AWS refuses LookupEvents, which it does not have. The function continues with a note."""
    with LocalAws() as aws, FaultyEndpoint() as endpoint:
        world = Function(aws, endpoint, tmp_path, "changes", READS_CLOUDTRAIL="true")
        account = world.resources.topic_arn.split(":")[4]
        world.put(hot_day(account_id=account))
        (result,) = world.invoke({"start": "2026-10-02T00:00Z", "end": "2026-10-03T00:00Z"})
        (message,) = world.messages()
        (stored,) = world.alerts()
    assert len(result["alerts"]) == 1
    assert stored["changes_note"].startswith("CloudTrail was not read: the look-up failed (")
    assert f"Changed       {stored['changes_note']}" in message
    log = (tmp_path / "log").read_text(encoding="utf-8")
    assert "ChangeLookupsFailed" in log
    assert "lookup failed" in log
