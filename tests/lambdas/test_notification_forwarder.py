"""The forwarder's requests to PagerDuty, to a webhook and to a chat topic, and its errors."""

import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest

from egress_alerts.notification import build_notification
from notification_forwarder.body import BodyError
from notification_forwarder.forwarder import DeliveryError, Forwarder, SecretError
from notification_forwarder.pagerduty import build_events
from notification_forwarder.settings import Settings, SettingsError
from tests.support.alerts import alert_record
from tests.support.notifications import KEY, MESSAGE_ID, PAGE, ROUTE, example_alert, example_body, page_text
from tests.support.receiver import Receiver, receive


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receive() as found:
        yield found


class Secrets:
    """Secrets Manager with one secret."""

    def __init__(self, secret: Any) -> None:
        self.text = secret if isinstance(secret, str) else json.dumps(secret)

    def get_secret_value(self, SecretId: str) -> dict[str, str]:  # noqa: N803
        assert SecretId == "arn:secret"
        return {"SecretString": self.text}


class Sns:
    """Keeps the published messages."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []

    def publish(self, TopicArn: str, Message: str) -> None:  # noqa: N803
        assert TopicArn == "arn:chat"
        self.messages.append(json.loads(Message))


def forwarder(destination: str, secret: Any = None, sns: Any = None, sleep: Any = None) -> Forwarder:
    variables = {"DESTINATION": destination, "SECRET_ARN": "arn:secret", "TOPIC_ARN": "arn:chat"}
    return Forwarder(Settings.from_environment(variables), Secrets(secret), sns, lambda: 1_790_913_600.5, sleep)


def message_of(number: int, change: str = "", **fields: Any) -> str:
    alerts = [alert_record(f"{place:016x}", **fields) for place in range(number)]
    return json.dumps(build_notification(alerts, {alert["alert_id"]: change for alert in alerts}, ROUTE).body)


def test_the_examples_of_the_documentation_are_what_each_channel_gets() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert page.count("<!-- end -->") == 6
    assert page == page_text(page), "write them again with: python -m tests.support.notifications"


def test_an_open_incident_triggers_and_an_ended_one_resolves_with_the_alert_id_as_key(receiver: Receiver) -> None:
    alerts, changes = [example_alert(), alert_record("f" * 16, state="ended")], {"f" * 16: "grown from $4.00, ended"}
    body = json.dumps(build_notification(alerts, changes, ROUTE).body)
    secret = {"routing_key": "R0UTINGKEY", "url": receiver.url}
    assert forwarder("pagerduty", secret).forward(body, MESSAGE_ID) == 2
    trigger, resolve = (json.loads(sent) for _, _, sent in receiver.requests)
    assert trigger == build_events(example_body(), "R0UTINGKEY")[0]
    assert resolve == {"routing_key": "R0UTINGKEY", "dedup_key": "f" * 16, "event_action": "resolve"}


@pytest.mark.parametrize("change", ["", "raised from LOW"])
def test_an_incident_that_is_over_before_the_bill_shows_it_still_pages(receiver: Receiver, change: str) -> None:
    secret = {"routing_key": "R0UTINGKEY", "url": receiver.url}
    forwarder("pagerduty", secret).forward(message_of(1, change, state="ended"), MESSAGE_ID)
    (event,) = (json.loads(sent) for _, _, sent in receiver.requests)
    assert event["event_action"] == "trigger"
    assert ", ended: $" in event["payload"]["summary"]


@pytest.mark.parametrize(
    ("severity", "expected"), [("critical", "critical"), ("high", "error"), ("medium", "warning"), ("low", "info")]
)
def test_severities_of_pagerduty(severity: str, expected: str) -> None:
    (event,) = build_events(example_body(severity=severity), "key")
    assert event["payload"]["severity"] == expected


@pytest.mark.parametrize(
    ("fields", "source"),
    [
        ({"resource_id": ""}, "AmazonS3"),
        ({"resource_id": "*"}, "AmazonS3"),
        ({"resource_id": "*", "service": "*"}, "111122223333"),
        ({"resource_id": "*", "service": "*", "account_id": "*"}, "internet"),
    ],
)
def test_the_source_of_a_page_is_never_a_star(fields: dict[str, str], source: str) -> None:
    (event,) = build_events(example_body(**fields), "key")
    assert event["payload"]["source"] == source


@pytest.mark.parametrize("change", ["ended", "raised from LOW, ended", "withdrawn"])
def test_an_alert_resolves_when_its_end_is_among_the_changes(change: str) -> None:
    body = json.loads(message_of(1, change, state=change.rpartition(" ")[2]))
    assert [event["event_action"] for event in build_events(body, "key")] == ["resolve"]


def test_an_alert_that_is_open_again_triggers() -> None:
    (event,) = build_events(json.loads(message_of(1, "open again after 30 quiet hours")), "key")
    assert event["event_action"] == "trigger"


def test_a_storm_pages_for_its_20_worst_and_resolves_all_that_ended(receiver: Receiver) -> None:
    secret, pauses = {"routing_key": "R0UTINGKEY", "url": receiver.url}, list[float]()
    assert forwarder("pagerduty", secret, sleep=pauses.append).forward(message_of(50), MESSAGE_ID) == 20
    first = json.loads(receiver.requests[0][2])
    assert first["payload"]["custom_details"]["more_alerts_in_this_notification"] == 30
    assert pauses == []
    ended = message_of(150, "ended", state="ended")
    assert forwarder("pagerduty", secret, sleep=pauses.append).forward(ended, "id") == 150
    assert pauses == [60]


def test_a_webhook_gets_the_body_as_it_is_with_a_signature_over_time_and_body(receiver: Receiver) -> None:
    message = message_of(2)
    forwarder("webhook", {"url": receiver.url, "key": KEY}).forward(message, MESSAGE_ID)
    ((path, headers, body),) = receiver.requests
    assert (path, body, headers["Content-Type"]) == ("/hook/t0ken", message.encode(), "application/json")
    expected = hmac.new(KEY.encode(), b"1790913600." + body, hashlib.sha256).hexdigest()
    assert headers["X-Egress-Sentinel-Signature"] == f"v1={expected}"
    assert headers["X-Egress-Sentinel-Timestamp"] == "1790913600"
    assert headers["X-Egress-Sentinel-Delivery"] == MESSAGE_ID


@pytest.mark.parametrize("status", [302, 400, 401, 429, 500])
def test_an_answer_that_is_no_success_is_raised_without_the_secret_url(receiver: Receiver, status: int) -> None:
    receiver.status = status
    with pytest.raises(DeliveryError, match=f"127.0.0.1 answered {status}: .*so it is.*check the secret") as error:
        forwarder("webhook", {"url": receiver.url, "key": KEY}).forward(message_of(1), MESSAGE_ID)
    assert "t0ken" not in str(error.value)
    assert len(receiver.requests) == 1


def test_a_server_that_is_down_is_raised_without_the_secret_url() -> None:
    with pytest.raises(DeliveryError, match=r"127\.0\.0\.1 gave no answer: NewConnectionError") as error:
        forwarder("webhook", {"url": "http://127.0.0.1:9/t0ken", "key": KEY}).forward(message_of(1), MESSAGE_ID)
    assert error.value.__suppress_context__


@pytest.mark.parametrize(
    ("destination", "secret", "sentence"),
    [
        ("pagerduty", {"key": "x"}, "is not a JSON object with routing_key"),
        ("webhook", {"url": "https://example.com"}, "is not a JSON object with url and key"),
        ("webhook", "not JSON", "is not a JSON object with url and key"),
        ("webhook", {"url": "http://example.com", "key": KEY}, "does not start with https://"),
        ("pagerduty", {"routing_key": "x", "url": "ftp://example.com"}, "does not start with https://"),
    ],
)
def test_a_secret_that_is_not_usable_is_named(destination: str, secret: Any, sentence: str) -> None:
    with pytest.raises(SecretError, match=f"the (url in the )?secret arn:secret {sentence}"):
        forwarder(destination, secret).forward(message_of(1), MESSAGE_ID)


def test_an_incident_has_one_thread_in_a_chat_from_its_start_to_its_end() -> None:
    sns = Sns()
    chat = forwarder("chat", sns=sns)
    for state in ("open", "ended"):
        chat.forward(json.dumps(example_body(state=state)), f"{MESSAGE_ID}-{state}")
    opened, ended = sns.messages
    assert opened["metadata"]["threadId"] == ended["metadata"]["threadId"] == "8a57b86d534230bc"
    assert ended["metadata"]["eventType"] == "egress-incident-ended"
    assert opened["id"] != ended["id"]
    assert (opened["version"], opened["source"]) == ("1.0", "custom")


def test_a_resource_id_formats_nothing_in_a_chat() -> None:
    sns = Sns()
    forwarder("chat", sns=sns).forward(json.dumps(example_body(resource_id="a```*b*" + "x" * 4000)), MESSAGE_ID)
    description = sns.messages[0]["content"]["description"]
    assert description.count("```") == 2
    assert len(description) < 3000


def test_a_sum_over_resources_names_no_resource_in_a_chat() -> None:
    sns = Sns()
    body = example_body()
    body["alerts"][0]["contributors"][0]["resource_id"] = "*"
    forwarder("chat", sns=sns).forward(json.dumps(body), MESSAGE_ID)
    assert sns.messages[0]["metadata"]["relatedResources"] == []


def test_a_storm_is_one_message_in_a_chat() -> None:
    sns = Sns()
    assert forwarder("chat", sns=sns).forward(message_of(50), MESSAGE_ID) == 1
    (digest,) = sns.messages
    assert digest["content"]["title"] == "50 egress alerts"
    assert digest["content"]["description"].endswith("and 30 more\n```")
    assert "threadId" not in digest["metadata"]


@pytest.mark.parametrize("message", ["an alarm", '{"AlarmName": "errors"}', '{"schema_version": "2.0"}', "[]"])
def test_what_is_no_notification_is_raised(message: str) -> None:
    with pytest.raises(BodyError, match=r"1\.0 is accepted. Give the subscription a filter policy"):
        forwarder("chat", sns=Sns()).forward(message, MESSAGE_ID)


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({}, "DESTINATION is ''; accepted are pagerduty, webhook, chat"),
        ({"DESTINATION": "slack"}, "DESTINATION is 'slack'"),
        ({"DESTINATION": "chat"}, "TOPIC_ARN is not set; chat requires it"),
        ({"DESTINATION": "webhook", "TOPIC_ARN": "x"}, "SECRET_ARN is not set; webhook requires it"),
    ],
)
def test_a_setting_that_is_missing_is_named(variables: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError, match=sentence):
        Settings.from_environment(variables)
