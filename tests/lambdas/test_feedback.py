"""What people said of an alert keeps repeats quiet, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly_detector.feedback import Judgement, Size, judgement_of, quieted_by
from anomaly_detector.hours import iso_hour
from anomaly_detector.incidents import Series
from egress_sentinel.pipeline.feedback import alert_in_table, judge, put_in_table
from local_aws import LocalAws
from tests.support.detector import FaultyEndpoint, World, hot_day

pytestmark = pytest.mark.integration

SERIES = Series("111122223333", "eu-west-1", "AmazonS3", "internet", "media-prod")
START = 494_196


def alert(
    excess_gb: float = 40.0, day_excess_gb: float = 30.0, start: int = START + 24, *more: float, **other: str
) -> dict[str, Any]:
    """Return an alert; `more` are the shares of further buckets, each as large as the first."""
    about = dict(zip(Series._fields, SERIES, strict=True)) | other
    size = {"excess_gb": excess_gb, "day_excess_gb": day_excess_gb}
    rows = [about | size | {"share": 1 - sum(more)}]
    rows += [about | size | {"resource_id": f"bucket-{i}", "share": share} for i, share in enumerate(more)]
    return {**about, "contributors": rows, "start_hour_utc": iso_hour(start)}


def judgement(verdict: str = "false") -> Judgement:
    return Judgement("judged", verdict, {SERIES: Size(40.0, 30.0)}, START)


@pytest.mark.parametrize(("verdict", "quiet"), [("false", "judged"), ("planned", "judged"), ("true", "")])
def test_a_repeat_of_what_was_false_or_planned_is_quiet(verdict: str, quiet: str) -> None:
    assert quieted_by(alert(), [judgement(verdict)]) == quiet


@pytest.mark.parametrize("name", Series._fields)
def test_another_series_is_told(name: str) -> None:
    assert quieted_by(alert(**{name: "another"}), [judgement()]) == ""


def test_another_series_that_matters_is_told() -> None:
    assert quieted_by(alert(40.0, 30.0, START, 0.05), [judgement()]) == "judged"
    assert quieted_by(alert(40.0, 30.0, START, 0.3), [judgement()]) == ""


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(-2000, 12_000), st.sampled_from(["false", "planned"]))
def test_what_is_larger_or_longer_or_long_after_or_before_is_told(
    gb: float, day_gb: float, hours: int, verdict: str
) -> None:
    quiet = quieted_by(alert(gb, day_gb, START + hours), [judgement(verdict)])
    remembered = {"false": 400, "planned": 60}[verdict] * 24
    assert bool(quiet) == (gb <= 80 and day_gb <= 60 and 0 <= hours <= remembered)


def test_each_series_is_held_to_its_own_size() -> None:
    """A bucket that was a tenth of what was called false may not become all of it."""
    other = SERIES._replace(resource_id="bucket-0")
    judged = Judgement("judged", "false", {SERIES: Size(40.0, 30.0), other: Size(4.0, 4.0)}, START)
    assert quieted_by(alert(), [judged]) == "judged"
    assert quieted_by(alert(resource_id="bucket-0"), [judged]) == ""


def test_a_verdict_without_sizes_covers_nothing() -> None:
    cause = {name: value for name, value in zip(Series._fields, SERIES, strict=True) if name != "account_id"}
    record = {"judged_alert_id": "judged", "verdict": "false", "causes": [cause], "start_hour_utc": iso_hour(START)}
    assert quieted_by(alert(), [judgement_of(record | {"account_id": SERIES.account_id})]) == ""


@pytest.fixture
def make(tmp_path: Path) -> Any:
    with LocalAws() as aws, FaultyEndpoint() as endpoint:
        yield lambda: World(aws, endpoint, tmp_path, "feedback")


def test_a_verdict_on_the_table_quiets_the_repeat_and_not_what_is_new(make: Callable[[], World]) -> None:
    """The first day's alert is called planned; three days later it happens again, and another bucket joins in."""
    world = make()
    dynamodb, table = world.aws.client("dynamodb"), world.resources.alerts_table
    days = {day: [*hot_day(day), *(hot_day(day, resource_id="other") if day == 10 else [])] for day in (2, 10, 20)}
    for rows in days.values():
        world.put(rows)

    def score(day: int) -> Any:
        (result,) = world.invoke({"start": f"2026-10-{day:02d}T00:00Z", "end": f"2026-10-{day:02d}T23:00Z"})
        return result

    (first,) = score(2)["alerts"]
    put_in_table(dynamodb, table, [judge(alert_in_table(dynamodb, table, first), "planned", "the spring campaign")])
    assert len(world.messages()) == 1
    (told,) = score(10)["alerts"]
    (message,) = world.messages()
    assert (told in message, "on other" in message) == (True, True)
    assert score(20)["alerts"] == []
    assert world.messages() == []
    assert [a["start_hour_utc"][:10] for a in world.alerts() if a.get("quieted_by") == first] == ["2026-10-20"]


@pytest.mark.slow
def test_a_leak_as_large_by_the_hour_as_what_was_called_false_is_told_once_it_goes_on(
    make: Callable[[], World],
) -> None:
    """Ten hours are judged. Later the same bucket sends as much by the hour and does not stop."""
    world = make()
    dynamodb, table = world.aws.client("dynamodb"), world.resources.alerts_table
    for day in (2, 14, 15, 16, 17):
        world.put(hot_day(day))

    def score(day: int) -> Any:
        (result,) = world.invoke({"start": f"2026-10-{day:02d}T00:00Z", "end": f"2026-10-{day:02d}T23:00Z"})
        return result

    (first,) = score(2)["alerts"]
    put_in_table(dynamodb, table, [judge(alert_in_table(dynamodb, table, first), "false")])
    assert len(world.messages()) == 1
    told = []
    for day in (14, 15, 16, 17):
        score(day)
        told.append(len(world.messages()))
    assert told == [0, 0, 1, 0]
