"""The detector stopped at each of its calls, and overtaken at each of them: every alert once, and people know it."""

import itertools
import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from anomaly_detector.alert_store import AlertStore
from egress_alerts.detector import StoredAlert
from egress_alerts.series import Series, iso_hour
from tests.simulation.aws import S3, Sns, Table
from tests.simulation.bill import EXPECTED_GB, FIRST, feature_file
from tests.simulation.stepping import FAULTS, Stepping
from tests.simulation.system import BUCKET, System, settings_of
from tests.support.cloudtrail import CloudTrail, record

_SERIES = Series("111122223333", "eu-west-1", "AmazonS3", "internet", "media-prod")
_FLEET = tuple(_SERIES._replace(service="AmazonEC2", resource_id=f"i-{number}") for number in range(7))
# More than a notification describes in full; 21 accounts are 21 causes.
_STORM = tuple(_SERIES._replace(account_id=f"{number:012d}") for number in range(21))
_DAYS = [iso_hour(FIRST + 24 * day)[:10] for day in range(2)]
# Over midnight; neither day's part is the whole incident.
_HOT = range(FIRST + 20, FIRST + 30)


_MAY_HAVE_PUBLISHED = {"kill after", "lost reply", "reset"}


class Detection:
    """A bucket with two days of features, a table, a topic, and the function."""

    def __init__(
        self,
        hot: range = _HOT,
        series: tuple[Series, ...] = (_SERIES,),
        owners: list[dict[str, Any]] | None = None,
    ) -> None:
        self._series = series
        self.network = Stepping()
        self.s3 = S3(self.network)
        self.table = Table(self.network, "alert_id", ("account_region", "end_hour_utc"))
        self.sns = Sns(self.network)
        variables = {"LASTING_HOURS": "1"}
        if owners is not None:
            variables["OWNERS_KEY"] = "config/owners.json"
            self.s3.store(BUCKET, variables["OWNERS_KEY"], json.dumps(owners).encode())
        self._system = System(self.network, settings_of(variables), self.s3, self.table, self.sns)
        for day in range(2):
            self.put(day, hot)

    def put(self, day: int, hot: range, gb: float = 80.0) -> None:
        """Write a day's features."""
        hours = range(FIRST + 24 * day, FIRST + 24 * day + 24)
        rows = tuple((h, series, gb if h in hot else EXPECTED_GB) for h in hours for series in self._series)
        self.s3.store(BUCKET, f"features/day={_DAYS[day]}/features.parquet", feature_file(rows))

    def score(self, day: int, request_id: str = "") -> Callable[[], None]:
        """Return the handler for the event of a day's file."""
        key = f"features/day={_DAYS[day]}/features.parquet"
        event = {"detail-type": "Object Created", "detail": {"object": {"key": key}}}
        return lambda: self._system.invoke(event, request_id or f"day {day}")

    def stored(self) -> list[StoredAlert]:
        """Return all alerts."""
        store = AlertStore(self.table)
        store.reread()
        return store.since({series[:2] for series in self._series}, 0)

    def lists(self) -> dict[str, Any]:
        """Return the lists in the bucket by their key."""
        return {key: json.loads(one.body) for (_, key), one in self.s3.objects.items() if key.startswith("alerts/")}

    def alerts(self) -> list[tuple[str, str, float, bool]]:
        """Return start, end, dollars of each alert, and whether people know it."""
        found = [one for one in self.stored() if one.alert["state"] != "withdrawn"]
        messages = "\n".join(self.sns.messages)
        names = ("start_hour_utc", "end_hour_utc", "cost_usd")
        return [(*(one.alert[name] for name in names), one.incident.alert_id in messages) for one in found]  # type: ignore[misc]


def _two_routes() -> Detection:
    """Return a day with two incidents in two regions, of which a team owns one."""
    detection = Detection(owners=[{"team": "team-media", "regions": ["eu-west-1"]}])
    series = (_SERIES, _SERIES._replace(region="us-east-1"))
    hours = range(FIRST, FIRST + 24)
    rows = tuple((hour, one, 80.0 if hour in _HOT else EXPECTED_GB) for one in series for hour in hours)
    detection.s3.store(BUCKET, f"features/day={_DAYS[0]}/features.parquet", feature_file(rows))
    return detection


def _in_order(detection: Detection) -> Any:
    for day in range(2):
        detection.score(day)()
    return detection.alerts()


@pytest.fixture(scope="module")
def expected() -> Any:
    alerts = _in_order(Detection())
    assert [(start, end, known) for start, end, _, known in alerts] == [(iso_hour(_HOT[0]), iso_hour(_HOT[-1]), True)]
    return alerts


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("day", [0, 1])
def test_lambdas_first_retry_does_what_a_stopped_invocation_did_not(expected: Any, day: int, fault: str) -> None:
    doubled = set()
    for number in itertools.count():
        detection = Detection()
        if day == 1:
            detection.score(0)()
        before = len(detection.sns.messages)
        ended_well = detection.network.attempt(detection.score(day), number, fault)
        names = detection.network.names
        if len(names) <= number:
            assert ended_well
            break
        # The client itself calls again after a lost reply, and the endpoint's caller after any.
        if fault == "lost reply":
            assert ended_well, names[number]
        if not ended_well:
            detection.score(day)()
        if len(detection.sns.messages) - before > 1:
            doubled.add(names[number])
        if day == 0:
            detection.score(1)()
        assert detection.alerts() == expected, names[number]
    assert number > 12
    # At least once: a notification is sent again only if it is unknown whether it was sent.
    assert doubled <= {"sns.publish", "dynamodb.update_item"}
    assert fault in {"kill before", "refused"} or "sns.publish" in doubled or day == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_each_route_is_notified_and_one_that_fails_does_not_repeat_the_other(fault: str) -> None:
    doubled = set()
    for number in itertools.count():
        detection = _two_routes()
        ended_well = detection.network.attempt(detection.score(0), number, fault)
        names = detection.network.names
        if not ended_well:
            detection.score(0)()
        texts = detection.sns.messages
        by_route = [sum(f"{region}, AmazonS3" in text for text in texts) for region in ("eu-west-1", "us-east-1")]
        assert sum(by_route) == len(texts), "a notification has one route"
        assert min(by_route) == 1, (number, by_route)
        assert len(texts) <= 3, (number, by_route)
        if len(names) <= number:
            assert ended_well
            break
        if len(texts) > 2:
            doubled.add(names[number])
    assert names.count("sns.publish") == 2
    assert doubled <= {"sns.publish", "dynamodb.update_item"}
    assert fault != "refused" or "sns.publish" not in doubled


@pytest.mark.parametrize(("first", "second"), [(0, 1), (1, 0), (0, 0)])
def test_two_invocations_side_by_side_are_like_one_after_the_other(expected: Any, first: int, second: int) -> None:
    """Each one is stopped before each of its calls, while the other one makes its remaining calls."""
    runs = 0
    for one_calls in itertools.count():
        is_over = False
        for other_calls in itertools.count():
            detection = Detection()
            one = detection.network.start(detection.score(first, "one"))
            other = detection.network.start(detection.score(second, "other"))
            detection.network.step(one, one_calls)
            is_over = one.is_over
            detection.network.step(other, other_calls)
            is_other_over = other.is_over
            detection.network.step(one)
            detection.network.step(other)
            detection.score(1)()
            assert detection.alerts() == expected, (one_calls, other_calls)
            assert len(detection.sns.messages) == 1, (one_calls, other_calls)
            runs += 1
            if is_other_over:
                break
        if is_over:
            break
    assert runs > 250


def test_features_that_were_read_before_a_restatement_never_replace_it() -> None:
    for calls in itertools.count():
        detection = Detection()
        detection.score(0, "first")()
        slow = detection.network.start(detection.score(0, "slow"))
        detection.network.step(slow, calls)
        is_over = slow.is_over
        detection.put(0, _HOT, gb=200.0)
        detection.score(0, "restated")()
        detection.network.step(slow)
        detection.score(1)()
        ((_, _, usd, _),) = detection.alerts()
        assert usd == pytest.approx(0.09 * (4 * 200 + 6 * 80)), calls
        if is_over:
            break
    assert calls > 12


def test_a_later_day_that_was_scored_first_joins_the_incident_under_the_id_that_people_know(expected: Any) -> None:
    detection = Detection()
    detection.score(1)()
    (known,) = detection.table.items.keys() - {"ledger"}
    detection.score(0)()
    assert [one[:3] for one in detection.alerts()] == [one[:3] for one in expected]
    assert detection.table.items.keys() - {"ledger"} == {known}


def test_a_claim_whose_reply_is_lost_is_the_invocations_own(expected: Any) -> None:
    detection = Detection()
    detection.network.attempt(detection.score(0))
    claim = detection.network.names.index("dynamodb.transact_write_items") + 1
    assert detection.network.names[claim] == "dynamodb.update_item"
    detection = Detection()
    assert detection.network.attempt(detection.score(0), claim, "lost reply")
    assert len(detection.sns.messages) == 1


def test_what_a_killed_invocation_claimed_waits_for_its_retry_or_until_it_cannot_be_alive() -> None:
    detection = Detection()
    detection.network.attempt(detection.score(0))
    publish = detection.network.names.index("sns.publish")
    detection = Detection()
    detection.network.attempt(detection.score(0, "killed"), publish, "kill before")
    detection.score(0, "other")()
    assert detection.sns.messages == []
    detection.network.now += 1000
    detection.score(0, "later")()
    assert len(detection.sns.messages) == 1


@pytest.mark.parametrize("body", [b"", b"PAR1", b"not parquet"])
def test_a_file_that_cannot_be_read_is_named_after_the_rest_was_scored(body: bytes) -> None:
    detection = Detection()
    key = f"features/day={_DAYS[0]}/broken.parquet"
    detection.s3.store(BUCKET, key, body)
    with pytest.raises(ValueError, match=f"1 feature file could not be used.*s3://{BUCKET}/{key}"):
        detection.score(0)()
    assert len(detection.sns.messages) == 1
    assert (BUCKET, f"scored/day={_DAYS[0]}/scores.parquet") in detection.s3.objects
    detection.score(1)()


def test_a_file_that_becomes_unreadable_takes_nothing_back(expected: Any) -> None:
    detection = Detection()
    _in_order(detection)
    detection.s3.store(BUCKET, f"features/day={_DAYS[0]}/features.parquet", b"half a fi")
    detection.s3.store(BUCKET, f"features/day={_DAYS[0]}/other.parquet", feature_file(((FIRST, _SERIES, 6.0),)))
    with pytest.raises(ValueError, match=r"features\.parquet: "):
        detection.score(0)()
    assert detection.alerts() == expected


def test_a_file_that_the_model_refuses_does_not_stop_the_others() -> None:
    detection = Detection()
    other = _SERIES._replace(resource_id="other")
    detection.s3.store(BUCKET, f"features/day={_DAYS[0]}/other.parquet", feature_file(((FIRST, other, float("nan")),)))
    with pytest.raises(ValueError, match="usage_gb has an empty or infinite value"):
        detection.score(0)()
    without_ratio = feature_file(((FIRST, other, 5.0),), ratio=float("nan"))
    detection.s3.store(BUCKET, f"features/day={_DAYS[0]}/other.parquet", without_ratio)
    with pytest.raises(ValueError, match=r"other\.parquet: endpoint sentinel refused the request"):
        detection.score(0)()
    assert len(detection.sns.messages) == 1


def test_the_whole_list_of_contributors_is_in_s3_before_an_alert_names_it() -> None:
    detection = Detection(series=_FLEET)
    detection.score(0)()
    (stored,) = detection.stored()
    alert = stored.alert
    ((key, rows),) = detection.lists().items()
    assert re.fullmatch(rf"alerts/{alert['alert_id']}/[0-9a-f]{{64}}\.json", key)
    assert (alert["details_key"], alert["contributor_count"], len(rows)) == (key, 7, 7)
    assert rows[:5] == alert["contributors"]
    assert {row["resource_id"] for row in rows} == {series.resource_id for series in _FLEET}
    assert f"and 2 more: s3://{BUCKET}/{key}\n" in detection.sns.messages[0]


@pytest.mark.parametrize("fault", FAULTS)
def test_an_invocation_stopped_around_its_list_leaves_the_same_list(fault: str) -> None:
    whole = Detection(series=_FLEET)
    whole.network.attempt(whole.score(0))
    # Rows are written first, then the list.
    put = [number for number, name in enumerate(whole.network.names) if name == "s3.put_object"][-1]
    commit = whole.network.names.index("dynamodb.transact_write_items")
    assert put < commit
    for number in range(put, commit + 1):
        detection = Detection(series=_FLEET)
        if not detection.network.attempt(detection.score(0), number, fault):
            assert detection.network.names[-1] == whole.network.names[number]
            # Stopped before the commit, the object is the only trace.
            assert number == commit or detection.stored() == []
            detection.score(0)()
        assert detection.lists() == whole.lists()
        assert [one.alert for one in detection.stored()] == [one.alert for one in whole.stored()]
        assert len(detection.sns.messages) == 1


def test_a_restated_list_has_another_key_and_a_withdrawn_alert_has_none() -> None:
    detection = Detection(series=_FLEET)
    detection.score(0)()
    first = detection.stored()[0].alert["details_key"]
    detection.put(0, _HOT, gb=200.0)
    detection.score(0)()
    second = detection.stored()[0].alert["details_key"]
    assert detection.lists().keys() == {first, second}
    assert first != second
    detection.put(0, range(0))
    detection.score(0)()
    (withdrawn,) = detection.stored()
    assert (withdrawn.alert["state"], withdrawn.alert["details_key"]) == ("withdrawn", "")


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_a_storm_names_the_list_of_all_its_alerts_which_is_written_before(fault: str) -> None:
    whole = Detection(series=_STORM)
    whole.network.attempt(whole.score(0))
    publish = whole.network.names.index("sns.publish")
    assert whole.network.names[publish - 1] == "s3.put_object"
    for number in (publish - 1, publish):
        detection = Detection(series=_STORM)
        if not detection.network.attempt(detection.score(0), number if fault else -1, fault):
            detection.score(0)()
        ((key, records),) = detection.lists().items()
        assert re.fullmatch(r"alerts/digests/[0-9a-f]{64}\.json", key)
        for message in detection.sns.messages:
            assert f"\nAll records  s3://{BUCKET}/{key}\n" in message
            assert all(record["alert_id"] in message for record in records)
        assert sorted(map(str, records)) == sorted(str(one.alert) for one in detection.stored())
        assert len(records) == 21
        assert len(detection.sns.messages) == (2 if number == publish and fault in _MAY_HAVE_PUBLISHED else 1)


class Lookups(Detection):
    """The function with CloudTrail, which has one change and takes the faults of the network."""

    def __init__(self) -> None:
        super().__init__()
        policy = {"LASTING_HOURS": "1", "TOPIC_ARN": "arn:aws:sns:eu-west-1:111122223333:topic"}
        self._system = System(self.network, settings_of(policy), self.s3, self.table, self.sns, lambda _region: self)
        at = f"{iso_hour(_HOT[0] - 1)[:13]}:40:00Z"
        self._trail = CloudTrail(record("PutBucketPolicy", at, names="media-prod"))

    def lookup_events(self, **request: Any) -> dict[str, Any]:
        return self.network.call("cloudtrail.lookup_events", lambda: self._trail.lookup_events(**request))

    def changes(self) -> list[tuple[list[str], str]]:
        store = AlertStore(self.table)
        store.reread()
        found = store.since({_SERIES[:2]}, 0)
        return [([c["event_name"] for c in one.alert["changes"]], one.alert["changes_note"]) for one in found]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_stopped_invocation_and_its_retry_name_the_same_change(fault: str) -> None:
    """A look-up that fails leaves a note. People are notified at once, and the look-up is not repeated."""
    for number in itertools.count():
        detection = Lookups()
        ended_well = detection.network.attempt(detection.score(0), number, fault)
        names = detection.network.names
        if len(names) <= number:
            assert ended_well
            assert names.count("cloudtrail.lookup_events") == 3
            break
        is_lookup = names[number] == "cloudtrail.lookup_events"
        if fault in {"refused", "reset", "lost reply"} and is_lookup:
            assert ended_well, names[number]
        if not ended_well:
            detection.score(0)()
        asked = len([name for name in names if name == "cloudtrail.lookup_events"])
        detection.score(1)()
        (found,) = detection.changes()
        if is_lookup and fault in {"refused", "reset"}:
            code = "ThrottlingException" if fault == "refused" else "ConnectionClosedError"
            assert found == ([], f"CloudTrail was not read: the look-up failed ({code})")
        else:
            assert found == (["PutBucketPolicy"], "")
            assert "PutBucketPolicy on media-prod" in detection.sns.messages[0]
        assert len([name for name in names if name == "cloudtrail.lookup_events"]) == asked
        assert detection.alerts()[0][3]
