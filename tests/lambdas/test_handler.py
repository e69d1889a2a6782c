"""The handler with real events, between a local AWS and an endpoint with faults: nothing twice, nothing lost."""

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from anomaly_detector.alert_store import AlertStore
from anomaly_detector.errors import ConflictError
from egress_alerts.lifecycle import Notified
from local_aws import LocalAws
from local_aws.lambda_runner import LambdaError
from tests.support.detector import FaultyEndpoint, World, event, hot_day, row

pytestmark = pytest.mark.integration

Make = Callable[..., World]
_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as running:
        yield running


@pytest.fixture
def make(aws: LocalAws, tmp_path: Path) -> Iterator[Make]:
    with FaultyEndpoint() as endpoint:
        yield lambda **variables: World(aws, endpoint, tmp_path, f"test-{next(_NUMBERS)}", **variables)


@pytest.mark.parametrize("name", ["s3_object_created", "scheduled_event", "by_hand"])
def test_every_trigger_gives_one_priced_alert_and_one_message(make: Make, name: str) -> None:
    world = make()
    world.put(hot_day())
    (result,) = world.invoke(event(name))
    (alert,) = world.alerts()
    (message,) = world.messages()
    assert result["rows_scored"] == 24
    assert result["alerts"] == [alert["alert_id"]]
    assert (alert["start_hour_utc"], alert["end_hour_utc"]) == ("2026-10-02T02:00:00Z", "2026-10-02T10:00:00Z")
    assert alert["detected_hour_utc"] == "2026-10-02T02:00:00Z"
    assert float(alert["usage_gb"]) == 9 * 80
    assert float(alert["cost_usd"]) == pytest.approx(9 * 80 * 0.09)
    assert float(alert["expected_cost_usd"]) == pytest.approx(9 * 5 * 0.09)
    assert float(alert["excess_cost_usd_per_day"]) == pytest.approx(9 * 75 * 0.09 * 2)
    assert alert["severity"] == "medium"
    assert alert["alert_id"] in message
    scored = world.scored("2026-10-02").to_pandas()
    assert scored["is_anomaly"].sum() == 9
    assert scored["anomaly_score"].tolist() == (0.5 - 0.5 * scored["ratio"]).tolist()


def test_an_alert_has_the_labels_of_its_rows_beside_rows_of_earlier_versions(make: Make) -> None:
    world = make()
    world.put(hot_day(1, first=30))
    world.invoke({"start": "2026-10-01T00:00:00Z", "end": "2026-10-02T00:00:00Z"})
    world.put(hot_day(account_name="prod-media", tags='{"cost_category:Team":"tv","owner":"ann"}'))
    world.invoke(event("by_hand"))
    (alert,) = world.alerts()
    assert (alert["account_name"], alert["tags"]) == ("prod-media", {"cost_category:Team": "tv", "owner": "ann"})
    (message,) = world.messages()
    assert "prod-media (111122223333), eu-west-1" in message
    assert set(world.scored("2026-10-02")["account_name"].to_pylist()) == {"prod-media"}


def test_a_duplicate_event_changes_nothing(make: Make) -> None:
    world = make()
    world.put(hot_day())
    first, second, third = world.invoke(event("s3_object_created"), event("s3_object_created"), event("by_hand"))
    assert len(first["alerts"]) == 1
    assert second == third == first | {"alerts": []}
    assert (len(world.alerts()), len(world.messages())) == (1, 1)
    assert len(world.scored("2026-10-02")) == 24


@pytest.mark.parametrize("fault", [429, 503, 500, "model error 500", "cut"])
def test_passing_faults_are_retried(make: Make, fault: int | str) -> None:
    world = make()
    world.put(hot_day())
    world.endpoint.faults = [fault, fault]
    world.invoke(event("s3_object_created"))
    assert (len(world.alerts()), len(world.messages())) == (1, 1)


@pytest.mark.slow
def test_a_lasting_fault_is_raised_and_a_retry_takes_it_from_there(make: Make) -> None:
    world = make()
    world.put(hot_day())
    world.endpoint.faults = [500] * 5
    with pytest.raises(LambdaError, match="gave no answer in 5 attempts"):
        world.invoke(event("s3_object_created"))
    assert (world.alerts(), world.messages()) == ([], [])
    world.invoke(event("s3_object_created"))
    assert (len(world.alerts()), len(world.messages())) == (1, 1)


@pytest.mark.slow
def test_a_connection_that_dies_half_way_through_the_chunks(make: Make) -> None:
    world = make(MAX_BODY_BYTES="10000")
    rows = [row("02T00", h, gb=1.0 + i / 997, resource_id=f"bucket-{i}") for h in range(24) for i in range(100)]
    world.put([*rows, *hot_day()])
    world.endpoint.faults = ["", "", *["cut"] * 5]
    with pytest.raises(LambdaError, match="gave no answer"):
        world.invoke(event("s3_object_created"))
    assert (world.alerts(), world.messages()) == ([], [])
    (result,) = world.invoke(event("s3_object_created"))
    assert result["rows_scored"] == 24 * 101
    assert max(world.endpoint.requests) <= 10_000
    assert (len(world.alerts()), len(world.messages())) == (1, 1)


@pytest.mark.parametrize(
    ("fault", "sentence"), [("short", "answered 23 rows"), ("model error 400", "the feature x is missing")]
)
def test_a_wrong_answer_is_raised_at_once(make: Make, fault: str, sentence: str) -> None:
    world = make()
    world.put(hot_day())
    world.endpoint.faults = [fault]
    with pytest.raises(LambdaError, match=sentence):
        world.invoke(event("s3_object_created"))
    assert (len(world.endpoint.requests), world.messages()) == (1, [])


def test_the_alert_names_the_features_that_drove_the_score(make: Make) -> None:
    world = make()
    world.put(hot_day())
    world.invoke(event("s3_object_created"))
    assert "main factor for the model: ratio: 16" in world.alerts()[0]["reasons"][1]


def test_an_endpoint_that_offers_scores_alone_costs_the_reason_not_the_alert(make: Make) -> None:
    world = make()
    world.put(hot_day())
    world.endpoint.faults = ["", "", "scores alone"]  # of scores, manifest and attributions
    world.invoke(event("s3_object_created"))
    assert len(world.messages()) == 1
    assert [reason for reason in world.alerts()[0]["reasons"] if "model" in reason] == []


def test_a_crash_between_storing_and_publishing_still_publishes_once(make: Make) -> None:
    world = make()
    world.put(hot_day())
    nowhere = world.environment["TOPIC_ARN"] + "-gone"
    with pytest.raises(LambdaError):
        world.invoke(event("s3_object_created"), TOPIC_ARN=nowhere)
    assert (len(world.alerts()), world.messages()) == (1, [])
    world.invoke(event("s3_object_created"))
    assert (len(world.alerts()), len(world.messages())) == (1, 1)


@pytest.mark.parametrize(("seconds", "notifications"), [(60, 0), (-60, 1)])
def test_what_another_invocation_is_telling_is_left_to_it_while_it_may_live(
    make: Make, seconds: int, notifications: int
) -> None:
    world = make()
    world.put(hot_day())
    with pytest.raises(LambdaError):
        world.invoke(event("s3_object_created"), TOPIC_ARN=world.environment["TOPIC_ARN"] + "-gone")
    (alert,) = world.alerts()
    assert "claimed_until" not in alert
    world.aws.client("dynamodb").update_item(
        TableName=world.resources.alerts_table,
        Key={"alert_id": {"S": alert["alert_id"]}},
        UpdateExpression="SET claimed_until = :until, claimed_by = :other",
        ExpressionAttributeValues={":until": {"N": str(int(time.time()) + seconds)}, ":other": {"S": "other"}},
    )
    world.invoke(event("s3_object_created"))
    assert len(world.messages()) == notifications


def test_of_those_who_read_the_same_version_one_may_tell(make: Make) -> None:
    world = make()
    world.put(hot_day())
    with pytest.raises(LambdaError):
        world.invoke(event("s3_object_created"), TOPIC_ARN=world.environment["TOPIC_ARN"] + "-gone")
    credentials = {"aws_access_key_id": "local", "aws_secret_access_key": "local", "region_name": "us-east-1"}
    dynamodb = boto3.resource("dynamodb", endpoint_url=world.aws.url, **credentials)
    table = dynamodb.Table(world.resources.alerts_table)
    first, second = (AlertStore(table, owner, time.time() + 900) for owner in ("first", "second"))
    (alert,) = world.alerts()
    place = {(alert["account_id"], alert["region"])}
    first.reread()
    second.reread()
    (one,), (other,) = first.since(place, 0), second.since(place, 0)
    assert [first.claim(one), second.claim(other)] == [True, False]
    one.notified = Notified(alert["severity"], "open", 5, 12.5, ("hot_link", ""))
    first.mark_notified(one)
    (later,) = first.since(place, 0)
    assert (later.notified, later.claimed_until) == (one.notified, 0)
    second.put(other)
    with pytest.raises(ConflictError):
        second.commit()


def test_an_alert_of_an_earlier_version_is_known_as_it_was_stored(make: Make) -> None:
    world = make()
    world.put(hot_day())
    world.invoke(event("by_hand"))
    assert len(world.messages()) == 1
    (alert,) = world.alerts()
    world.aws.client("dynamodb").update_item(
        TableName=world.resources.alerts_table,
        Key={"alert_id": {"S": alert["alert_id"]}},
        UpdateExpression="REMOVE notified, #state, current_usd_per_day",
        ExpressionAttributeNames={"#state": "state"},
    )
    world.put(hot_day(3, 0, 3))
    world.invoke({"start": "2026-10-03T00:00Z", "end": "2026-10-04T00:00Z"})
    (later,) = world.alerts()
    assert world.messages() == []  # $20.25 more do not double what people know
    assert (later["state"], later["end_hour_utc"]) == ("open", "2026-10-03T02:00:00Z")


def test_hour_by_hour_day_by_day_and_all_at_once_are_the_same(make: Make) -> None:
    rows = [*hot_day(2, 20, 4), *hot_day(3, 0, 6), *hot_day(2, 22, 2, resource_id="media-thumbs")]
    windows = {
        "hours": [
            (f"2026-10-{2 + h // 24:02d}T{h % 24:02d}", f"2026-10-{2 + (h + 1) // 24:02d}T{(h + 1) % 24:02d}")
            for h in range(48)
        ],
        "days": [("2026-10-02T00", "2026-10-03T00"), ("2026-10-03T00", "2026-10-04T00")],
        "all": [("2026-10-02T00", "2026-10-04T00")],
    }
    found = []
    for parts in windows.values():
        world = make()
        world.put(rows)
        world.invoke(*({"start": f"{start}:00Z", "end": f"{end}:00Z"} for start, end in parts))
        internal = {"version", "hours", "notified_severity", "notified"}
        found.append([{k: v for k, v in alert.items() if k not in internal} for alert in world.alerts()])
    assert found[0] == found[1] == found[2]
    (alert,) = found[0]
    assert (alert["start_hour_utc"], alert["end_hour_utc"]) == ("2026-10-02T20:00:00Z", "2026-10-03T05:00:00Z")
    assert [c["resource_id"] for c in alert["contributors"]] == ["media-prod", "media-thumbs"]


def test_a_day_that_an_earlier_version_scored_is_no_obstacle(make: Make) -> None:
    world = make()
    world.put([*hot_day(2, 18, 6), *hot_day(3, 0, 6)])
    world.invoke({"start": "2026-10-02T00:00Z", "end": "2026-10-02T19:00Z"})
    old = world.scored("2026-10-02").drop_columns(["beyond_habit_log"])
    world.put_scored("2026-10-02", old)
    world.invoke({"start": "2026-10-02T19:00Z", "end": "2026-10-04T00:00Z"})
    (alert,) = world.alerts()
    assert (alert["start_hour_utc"], alert["end_hour_utc"]) == ("2026-10-02T18:00:00Z", "2026-10-03T05:00:00Z")


def test_a_restated_hour_replaces_what_was_counted(make: Make) -> None:
    world = make()
    world.put(hot_day())
    world.invoke(event("by_hand"))
    world.put([row("02T05", gb=180, expected=5)], name="restated")
    (result,) = world.invoke(event("by_hand"))
    (alert,) = world.alerts()
    assert result["updated"] == [alert["alert_id"]]
    assert float(alert["usage_gb"]) == 8 * 80 + 180


def test_a_raised_severity_is_notified_again(make: Make) -> None:
    world = make()
    world.put([*hot_day(2), *[row(f"03T{h:02d}", gb=900, expected=5) for h in range(6)]])
    world.invoke(
        {"start": "2026-10-02T00:00Z", "end": "2026-10-03T00:00Z"},
        {"start": "2026-10-03T00:00Z", "end": "2026-10-04T00:00Z"},
    )
    first, second = world.messages()
    assert first.splitlines()[1].startswith("MEDIUM ")
    assert second.splitlines()[1].startswith("HIGH (raised from MEDIUM, grown from $60.75, likely cause known)")
    assert len(world.alerts()) == 1


def test_the_gb_floor_applies_without_billed_cost(make: Make) -> None:
    world = make()
    free = [row("02T16", gb=6.46, expected=0.0, price=0.0), row("02T17", gb=0.3, expected=0.0, price=0.0)]
    cheap = [row("02T16", gb=6.46, expected=0.0, price=0.09, resource_id="priced", region="us-east-1")]
    world.put([*free, *cheap])
    world.invoke(event("by_hand"))
    (alert,) = world.alerts()
    assert (alert["resource_id"], float(alert["cost_usd"]), alert["severity"]) == ("media-prod", 0, "low")
    assert alert["state"] == "open"
    assert "billed at $0" in " ".join(alert["reasons"])


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        ({"hello": 1}, "names no hours"),
        ({"start": "yesterday", "end": "2026-10-03T00:00Z"}, "start and end are hours"),
        ({"start": "2026-10-03T00:00Z", "end": "2026-10-02T00:00Z"}, "is empty"),
        ({"start": "2026-10-02T00:00Z", "end": "2026-10-03T00:00Z"}, "there are no features"),
        ({"detail-type": "Object Created", "detail": {"object": {"key": "raw/x.csv"}}}, "is no feature file"),
    ],
)
def test_what_cannot_be_done_is_raised(make: Make, bad: dict[str, object], sentence: str) -> None:
    with pytest.raises(LambdaError, match=sentence):
        make().invoke(bad)


def test_a_schedule_before_there_are_features_is_quiet(make: Make) -> None:
    (result,) = make().invoke(event("scheduled_event"))
    assert result["rows_scored"] == 0


def test_a_setting_that_makes_no_sense_is_named(make: Make) -> None:
    with pytest.raises(LambdaError, match="MIN_EXCESS_USD is 'much'"):
        make(MIN_EXCESS_USD="much").invoke(event("by_hand"))
