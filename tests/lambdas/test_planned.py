"""A planned event quiets what keeps to the plan: not more, not elsewhere, not at another time."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly_detector.hours import iso_hour
from anomaly_detector.incidents import Hour, Incident, Series
from anomaly_detector.planned import CalendarError, answer_of, events_of
from anomaly_detector.settings import Policy
from local_aws import LocalAws
from tests.support.detector import FaultyEndpoint, World, hot_day

pytestmark = pytest.mark.integration

SERIES = Series("111122223333", "eu-west-1", "AmazonS3", "inter_region", "arn:aws:s3:::media-prod")
START = 494_196


def calendar(**changes: Any) -> str:
    event = {"note": "the move", "from": iso_hour(START), "to": iso_hour(START + 48), "max_gb": 500} | changes
    return json.dumps([{name: value for name, value in event.items() if value is not None}])


def incident(gb: float, *, start: int = START, hours: int = 10, series: Series = SERIES) -> Incident:
    """Return an incident of `gb` above what was expected, at 2 cents each."""
    found = Incident(f"{start}-{series.resource_id}", start)
    each = gb / hours
    found.add(
        Hour(start + i, series, each + 1, 1.0, each + 1, 1.0, 0.02 * (each + 1), 0.02, -0.1, "t", "o", False)
        for i in range(hours)
    )
    return found


def answer(found: Incident, text: str, *earlier: Incident) -> tuple[str, str]:
    return answer_of(found, earlier, events_of(text), Policy())


@given(st.floats(10, 5000))
def test_what_keeps_to_the_plan_is_quiet_and_what_exceeds_it_says_so(gb: float) -> None:
    quiet, beyond = answer(incident(gb), calendar(max_gb=500))
    if gb > 500.001:
        assert (quiet, beyond) == (
            "",
            f"{gb:,.1f} GB above what is usual, where at most 500.0 GB were planned: the move",
        )
    elif gb < 499.999:
        assert (quiet, beyond) == ("planned: the move", "")
    assert bool(answer(incident(gb), calendar(max_gb=None, max_usd=20))[0]) == (0.02 * gb <= 20)


@pytest.mark.parametrize(
    ("changes", "quiet"),
    [
        ({"account": "111122223333"}, True),
        ({"account": "444455556666"}, False),
        ({"region": "us-east-1"}, False),
        ({"egress_class": "internet"}, False),
        ({"resource": "*media-prod"}, True),
        ({"resource": "media-prod"}, False),
        ({"resource": "arn:aws:s3:::media-pr?d"}, True),
        ({"from": iso_hour(START + 9)}, False),
        ({"to": iso_hour(START + 1)}, False),
        ({"to": iso_hour(START + 10)}, True),
    ],
)
def test_it_is_about_what_it_names(changes: dict[str, Any], quiet: bool) -> None:
    assert bool(answer(incident(300), calendar(**changes))[0]) == quiet


def test_what_happens_beside_the_plan_is_told_if_it_reaches_the_floors_by_itself() -> None:
    both = incident(300)
    both.add(incident(100, series=SERIES._replace(resource_id="small")).hours)
    assert answer(both, calendar(resource="*media-prod"))[0]
    both.add(incident(300, series=SERIES._replace(resource_id="other")).hours)
    assert answer(both, calendar(resource="*media-prod")) == ("", "")


def test_incidents_share_what_was_planned() -> None:
    first, second = incident(300), incident(300, start=START + 20, series=SERIES._replace(region="eu-west-2"))
    assert answer(first, calendar())[0]
    assert answer(second, calendar(), first) == (
        "",
        "600.0 GB above what is usual, where at most 500.0 GB were planned: the move",
    )


def test_the_bytes_that_a_gateway_meters_again_are_planned_once() -> None:
    found = incident(300)
    found.add(incident(300, series=SERIES._replace(egress_class="nat_gateway")).hours)
    assert answer(found, calendar())[0]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "is no JSON"),
        ("{}", "is no list"),
        (calendar(max_gb=None), "planned event 1 needs max_gb or max_usd"),
        (calendar(**{"from": None}), "planned event 1 has no 'from'"),
        (calendar(to="soon"), "planned event 1: .*hours such as"),
        (calendar(to=iso_hour(START)), "planned event 1 ends at .*, not after its start"),
        (calendar(bucket="x"), "planned event 1 has 'bucket'; accepted are note, from"),
    ],
)
def test_a_calendar_that_makes_no_sense_is_refused(text: str, says: str) -> None:
    with pytest.raises(CalendarError, match=says):
        events_of(text)


@pytest.fixture
def make(tmp_path: Path) -> Any:
    with LocalAws() as aws, FaultyEndpoint() as endpoint:
        yield lambda: World(aws, endpoint, tmp_path, "planned", PLANNED_EVENTS_KEY="config/planned_events.json")


def test_the_function_reads_the_calendar_and_says_what_it_keeps_quiet(make: Callable[[], World]) -> None:
    """Nine hours of 75 GB are planned, and happen; on the second day as many again are more than was planned."""
    world = make()
    event = {"note": "the move", "from": "2026-10-02T00:00:00Z", "to": "2026-10-05T00:00:00Z", "max_gb": 700}
    s3, bucket = world.aws.client("s3"), world.resources.bucket
    s3.put_object(Bucket=bucket, Key="config/planned_events.json", Body=json.dumps([event]).encode())
    world.put([*hot_day(2), *hot_day(3)])

    def score(day: int) -> Any:
        (result,) = world.invoke({"start": f"2026-10-{day:02d}T00:00Z", "end": f"2026-10-{day + 1:02d}T00:00Z"})
        return result

    first = score(2)
    (alert_id,) = first["quiet"]
    assert (first["alerts"], first["quiet"], world.messages()) == ([], {alert_id: "planned: the move"}, [])
    second = score(3)
    assert (second["updated"], second["quiet"]) == ([alert_id], {})
    (message,) = world.messages()
    assert "1,350.0 GB above what is usual, where at most 700.0 GB were planned: the move" in message
    assert score(3)["updated"] == []
    assert world.messages() == []
