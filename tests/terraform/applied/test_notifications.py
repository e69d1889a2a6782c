"""An alert reaches PagerDuty and the chat through the topic and their functions. A refused event is kept."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from anomaly_detector.topic import Topic
from egress_alerts.notification import build_notification
from egress_alerts.routing import Owner
from tests.support.alerts import alert_record
from tests.support.applied import read_messages, wait_for
from tests.support.notifications import ROUTE
from tests.support.receiver import receive

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.stack import Stack


def publish(stack: Stack, alert_id: str, change: str = "", route: Owner = ROUTE, **fields: Any) -> None:
    changes = {alert_id: change} if change else {}
    notification = build_notification([alert_record(alert_id, **fields)], changes, route)
    Topic(stack.aws.client("sns"), stack.outputs()["topic_arn"]).publish(notification)


def set_routing_key(stack: Stack, url: str) -> None:
    secret = json.dumps({"routing_key": "R0UTINGKEY", "url": url})
    stack.aws.client("secretsmanager").put_secret_value(SecretId="pagerduty", SecretString=secret)


def test_an_incident_triggers_and_resolves_and_has_one_thread(stacks: dict[str, Stack]) -> None:
    stack = stacks["complete"]
    chat, media_chat = (read_messages(stack, f"chat_topic_arns.{name}") for name in ("chat", "media"))
    with receive() as receiver:
        set_routing_key(stack, receiver.url)
        # An alarm has no attributes: no function gets it.
        stack.aws.client("sns").publish(TopicArn=stack.outputs()["topic_arn"], Message="an alarm")
        # PagerDuty leaves it out for its severity, the chat of another team for its route.
        publish(stack, "a" * 16, route=Owner("finops"), severity="low")
        publish(stack, "b" * 16, severity="critical")
        wait_for(lambda: receiver.requests)
        publish(stack, "b" * 16, "ended", severity="critical", state="ended")
        wait_for(lambda: len(receiver.requests) > 1)
    events = [json.loads(body) for _, _, body in receiver.requests]
    assert [event["event_action"] for event in events] == ["trigger", "resolve"]
    assert {event["dedup_key"] for event in events} == {"b" * 16}
    assert threads(chat, 3) == ["a" * 16, "b" * 16, "b" * 16]
    assert threads(media_chat, 2) == ["b" * 16, "b" * 16]


def threads(chat: Callable[[], list[dict[str, Any]]], count: int) -> list[str]:
    """Return the threads of a chat's messages, once there are so many."""
    found: list[dict[str, Any]] = []
    wait_for(lambda: found.extend(json.loads(each["Message"]) for each in chat()) or len(found) == count)
    return sorted(each["metadata"]["threadId"] for each in found)


def test_what_a_destination_refuses_is_kept(stacks: dict[str, Stack]) -> None:
    stack, sqs = stacks["complete"], stacks["complete"].aws.client("sqs")
    queue = sqs.get_queue_url(QueueName="egress-sentinel-to-oncall-dead-letters")["QueueUrl"]
    with receive() as receiver:
        receiver.status = 500
        set_routing_key(stack, receiver.url)
        publish(stack, "c" * 16, severity="critical")
        (message,) = wait_for(
            lambda: sqs.receive_message(QueueUrl=queue, MessageAttributeNames=["All"]).get("Messages")
        )
    assert len(receiver.requests) == 3
    assert json.loads(json.loads(message["Body"])["Records"][0]["Sns"]["Message"])["alerts"][0]["alert_id"] == "c" * 16
    assert "127.0.0.1 answered 500" in message["MessageAttributes"]["ErrorMessage"]["StringValue"]
