"""The weekly digest as Lambda runs it: published once, stopped at each of its calls, overtaken at each of them."""

import contextlib
import itertools
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from anomaly_detector.digest import DigestError, DigestPublisher
from anomaly_detector.digest_handler import week_of_event
from anomaly_detector.topic import Topic
from anomaly_detector.window import EventError
from egress_alerts.series import day_of
from egress_sentinel.cli.app import app
from egress_sentinel.deployment import verify
from egress_sentinel.errors import UserError
from local_aws import LocalAws
from local_aws.lambda_runner import LambdaProcess
from tests.simulation.aws import S3, Sns, Table
from tests.simulation.stepping import FAULTS, Stepping
from tests.simulation.system import BUCKET
from tests.simulation.test_calls import Detection
from tests.support.detector import FaultyEndpoint, World, hot_day

WEEK = week_of_event({"week": "2026-10-02"})
KEY = "digests/week=2026-09-28/digest.json"


@cache
def scored() -> Detection:
    """Return the rows and alerts that the detector wrote for two days."""
    detection = Detection()
    for day in range(2):
        detection.score(day)()
    return detection


class Digests:
    """The function that publishes the week, and the week's rows and alerts."""

    def __init__(self) -> None:
        self.network = Stepping()
        self.s3 = S3(self.network)
        self.s3.objects.update(scored().s3.objects)
        table = Table(self.network, "alert_id", ("account_region", "end_hour_utc"))
        for item in scored().table.items.values():
            table.put_item(Item=item)
        self._sns = Sns(self.network)
        topic = Topic(self._sns, "arn:topic")
        self._publisher = DigestPublisher(self.s3, table, topic, BUCKET, "scored/", "digests/")
        self.results: list[bool] = []

    def run(self) -> None:
        self.results.append(self._publisher.run(WEEK))

    @property
    def messages(self) -> list[str]:
        return self._sns.messages

    def kept(self) -> dict[str, Any]:
        return json.loads(self.s3.objects[BUCKET, KEY].body)

    def next_error(self) -> str:
        """Return why the next invocation does not know if the digest was sent, or "" if it knows."""
        try:
            self.run()
        except DigestError as error:
            return str(error)
        return ""


def test_a_week_is_published_once() -> None:
    digests = Digests()
    for _ in range(3):
        digests.run()
    assert digests.results == [True, False, False]
    (message,) = digests.messages
    subject, _, text = message.partition("\n")
    assert subject == "Egress digest 2026-09-28: 1 new, $68 above expected"
    assert "media-prod" in text
    kept = digests.kept()
    assert (kept["status"], kept["text"]) == ("published", text)
    assert kept["digest"]["days"] == 2
    # 10 hours of 80 GB and 38 of 5 GB.
    assert kept["digest"]["cost_usd"] == pytest.approx(0.09 * (10 * 80 + 38 * 5))
    assert kept["digest"]["by_account"][0]["name"] == "111122223333"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stopped_invocation_is_completed_or_named_and_never_published_twice(fault: str) -> None:
    unknown = set()
    for number in itertools.count():
        digests = Digests()
        network = digests.network
        ended_well = network.attempt(digests.run, number, fault)
        name = network.names[number] if number < len(network.names) else ""
        if not name:
            assert ended_well
            break
        if fault == "lost reply" and name == "sns.publish":
            continue  # this client calls again; the function's own makes one attempt
        error = digests.next_error()
        assert digests.next_error() == error
        assert len(digests.messages) <= 1, name
        if error:
            unknown.add(name)
            assert f"delete s3://{BUCKET}/{KEY}" in error
            assert '{"week": "2026-09-28"}' in error
            assert digests.kept()["status"] == "publishing"
        else:
            assert len(digests.messages) == 1, name
            assert digests.kept()["status"] == "published"
    assert number > 14
    # A person decides only if SNS may or may not have accepted the message.
    assert unknown <= {"s3.put_object", "sns.publish"}
    assert unknown == set() if fault == "lost reply" else "sns.publish" in unknown or fault == "refused"


def test_two_invocations_side_by_side_publish_one_digest() -> None:
    runs = 0
    for one_calls in itertools.count():
        is_over = False
        for other_calls in itertools.count():
            digests = Digests()
            one, other = (digests.network.start(_quietly(digests)) for _ in range(2))
            digests.network.step(one, one_calls)
            is_over = one.is_over
            digests.network.step(other, other_calls)
            is_other_over = other.is_over
            digests.network.step(one)
            digests.network.step(other)
            assert len(digests.messages) == 1, (one_calls, other_calls)
            assert digests.next_error() == ""
            runs += 1
            if is_other_over:
                break
        if is_over:
            break
    assert runs > 200


def _quietly(digests: Digests) -> Callable[[], None]:
    """Return a run that may meet the other one while it publishes; Lambda tries again later."""

    def run() -> None:
        with contextlib.suppress(DigestError):
            digests.run()

    return run


@pytest.mark.parametrize(
    ("event", "monday"),
    [
        ({"detail-type": "Scheduled Event", "time": "2026-10-20T08:00:00Z"}, "2026-10-12"),
        ({"detail-type": "Scheduled Event", "time": "2026-10-19T00:30:00Z"}, "2026-10-12"),
        ({"detail-type": "Scheduled Event", "time": "2026-10-18T23:59:00Z"}, "2026-10-05"),
        ({"week": "2026-10-18"}, "2026-10-12"),
    ],
)
def test_an_event_names_a_week(event: dict[str, str], monday: str) -> None:
    assert day_of(week_of_event(event).start) == monday


@pytest.mark.parametrize("event", [{}, {"week": "last"}, {"week": "2026-10-12T04:00:00Z"}])
def test_an_event_without_a_week_is_refused(event: dict[str, str]) -> None:
    with pytest.raises(EventError, match="names no week"):
        week_of_event(event)


@pytest.mark.parametrize(
    ("outputs", "sentence"),
    [
        ({"alerts_table": None}, "this deployment has no endpoint"),
        ({"alerts_table": "egress-sentinel-alerts"}, "no AWS region is configured"),
        ({"alerts_table": "egress-sentinel-alerts", "region": "eu-west-1"}, "cannot read the alerts table"),
    ],
)
def test_a_deployment_that_cannot_be_read_is_a_sentence(
    outputs: dict[str, str | None], sentence: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = json.dumps(
        {name: {"value": value} for name, value in ({"endpoint_name": "x", "bucket": "b"} | outputs).items()}
    )
    monkeypatch.setattr(verify, "terraform_outputs", lambda _: text)
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    result = CliRunner().invoke(app, ["digest", "--terraform-dir", "."])
    assert isinstance(result.exception, UserError)
    assert sentence in str(result.exception)


@pytest.mark.slow
@pytest.mark.integration
def test_the_function_and_the_command_show_what_the_detector_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalAws() as aws, FaultyEndpoint() as endpoint:
        world = World(aws, endpoint, tmp_path, "digest")
        world.put([row for day in (1, 2, 3) for row in hot_day(day, hours=9 if day == 2 else 0)])
        world.invoke({"start": "2026-10-01T00:00:00Z", "end": "2026-10-04T00:00:00Z"})
        (alert,) = world.alerts()
        world.messages()
        variables = world.environment | {"SCORED_PREFIX": "scored/", "DIGEST_PREFIX": "digests/"}
        handler = "anomaly_detector.digest_handler.lambda_handler"
        with LambdaProcess(handler, environment=variables, log_file=tmp_path / "digest.log") as function:
            event = {"detail-type": "Scheduled Event", "time": "2026-10-06T08:00:00Z"}
            results = [function.invoke(each) for each in (event, {"week": "2026-10-04"})]
        assert results == [{"week": "2026-09-28", "published": True}, {"week": "2026-09-28", "published": False}]
        (message,) = world.messages()

        outputs = {"endpoint_name": "sentinel", "bucket": world.resources.bucket}
        outputs |= {"alerts_table": world.resources.alerts_table}
        text = json.dumps({name: {"value": value} for name, value in outputs.items()})
        monkeypatch.setattr(verify, "terraform_outputs", lambda _: text)
        for name, value in aws.environment().items():
            monkeypatch.setenv(name, value)
        command = ["digest", "--terraform-dir", str(tmp_path), "--week", "2026-10-01"]
        shown, as_json = (CliRunner().invoke(app, [*command, *more]).stdout for more in ([], ["--json"]))
        assert shown.strip() in message
        digest = json.loads(as_json)
        assert [incident["alert_id"] for incident in digest["new"]] == [alert["alert_id"]]
        assert digest["days"] == 3
