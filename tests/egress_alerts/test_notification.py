"""Notifications about alerts of one route: the JSON body, the attributes, and the limit of one message."""

import json
from typing import Any

import jsonschema
import pytest

from anomaly_detector.topic import Topic
from egress_alerts.alert import Alert, json_schema
from egress_alerts.notification import Notification, NotificationBody, build_notification
from egress_alerts.routing import Owner
from tests.support.alerts import alert_record

MEDIA = Owner("team-media", "#media-alerts")


class Sns:
    """Keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[dict[str, Any]] = []

    def publish(self, **request: Any) -> None:
        self.requests.append(request)


def published(notification: Notification) -> dict[str, Any]:
    sns = Sns()
    Topic(sns, "arn:topic").publish(notification)
    (request,) = sns.requests
    return request


def test_the_body_has_a_summary_of_each_alert_and_the_records() -> None:
    alerts = [alert_record(owner="team-media", owner_source="tag owner"), alert_record("f" * 16, state="ended")]
    notification = build_notification(alerts, {"f" * 16: "ended"}, MEDIA)
    body = notification.body
    jsonschema.Draft202012Validator(json_schema(NotificationBody)).validate(json.loads(json.dumps(body)))
    assert list(body) == json_schema(NotificationBody)["required"]
    assert (body["team"], body["channel"], body["alerts"]) == ("team-media", "#media-alerts", alerts)
    first, second = body["summaries"]
    assert notification.text == f"{first['text']}\n\n{second['text']}"
    assert "Owner         team-media (tag owner)" in first["text"].splitlines()
    assert first["title"] == notification.subject.removesuffix(" and 1 more")
    assert (second["alert_id"], second["state"], second["change"]) == ("f" * 16, "ended", "ended")


def test_attributes_hold_what_the_alerts_have_for_filter_policies() -> None:
    alerts = [
        alert_record(severity="high", incident_class="hot_link"),
        alert_record(severity="low", incident_class="", account_id="222233334444", region="us-east-1"),
    ]
    attributes = published(build_notification(alerts, {}, MEDIA))["MessageAttributes"]
    assert {name: value["StringValue"] for name, value in attributes.items()} == {
        "severity": '["high", "low"]',
        "state": '["open"]',
        "account": '["111122223333", "222233334444"]',
        "region": '["eu-west-1", "us-east-1"]',
        "class": '["internet"]',
        "kind": '["hot_link", "unknown"]',
        "team": "team-media",
        "channel": "#media-alerts",
    }
    assert {value["DataType"] for value in attributes.values()} == {"String", "String.Array"}
    # An empty value is refused by SNS; a filter finds what has no owner by {"exists": false}.
    assert not {"team", "channel"} & published(build_notification(alerts, {}, Owner()))["MessageAttributes"].keys()


def test_people_get_the_text_and_programs_the_body() -> None:
    notification = build_notification([alert_record()], {}, MEDIA)
    request = published(notification)
    message = json.loads(request["Message"])
    assert (request["Subject"], request["MessageStructure"]) == (notification.subject, "json")
    assert json.loads(message.pop("default")) == notification.body
    assert message == {"email": notification.text, "sms": notification.subject}


def storm(number: int) -> list[Alert]:
    return [
        alert_record(
            alert_id=f"{place:016x}",
            resource_id="bucket-" + "ü" * 900,
            region="\\" * 80,
            account_id=f"{place:012d}",
            reasons=['é"\n' * 5_000] if place % 2 else ["why"],
        )
        for place in range(number)
    ]


@pytest.mark.parametrize("number", [1, 20, 21, 200])
def test_a_notification_fits_into_one_message_of_sns(number: int) -> None:
    notification = build_notification(storm(number), {}, MEDIA)
    request = published(notification)
    attributes = sum(
        len(f"{k}{v['DataType']}{v['StringValue']}".encode()) for k, v in request["MessageAttributes"].items()
    )
    assert len(request["Message"].encode()) + len(request["Subject"]) + attributes <= 256 * 1024
    body = notification.body
    assert len(body["summaries"]) == number
    described = [summary["alert_id"] for summary in body["summaries"] if summary["text"]]
    assert described == [alert["alert_id"] for alert in body["alerts"]]


def test_of_a_storm_the_worst_20_are_described() -> None:
    alerts = [alert_record(f"{place:016x}") for place in range(150)]
    body = build_notification(alerts, {}, Owner(), "data", "alerts/digests/ff.json").body
    assert body["full_list"] == "s3://data/alerts/digests/ff.json"
    assert body["alerts"] == alerts[:20]
    assert [bool(summary["text"]) for summary in body["summaries"]] == [True] * 20 + [False] * 130
