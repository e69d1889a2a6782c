"""A verdict on the alerts table suppresses repeats, and nothing else."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from egress_sentinel.pipeline.feedback import alert_in_table, judge, put_in_table
from local_aws import LocalAws
from tests.support.detector import FaultyEndpoint, World, hot_day

pytestmark = pytest.mark.integration


@pytest.fixture
def make(tmp_path: Path) -> Any:
    with LocalAws() as aws, FaultyEndpoint() as endpoint:
        yield lambda: World(aws, endpoint, tmp_path, "feedback")


def test_a_verdict_in_the_table_suppresses_the_repeat_and_not_a_new_alert(make: Callable[[], World]) -> None:
    """The first day's alert gets the verdict planned. Three days later it repeats, and another bucket joins in."""
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
    (alert_id,) = score(10)["alerts"]
    (message,) = world.messages()
    assert (alert_id in message, "on other" in message) == (True, True)
    assert score(20)["alerts"] == []
    assert world.messages() == []
    assert [a["start_hour_utc"][:10] for a in world.alerts() if a.get("suppressed_by") == first] == ["2026-10-20"]


@pytest.mark.slow
def test_a_leak_with_the_hourly_size_of_a_false_alert_is_notified_when_it_lasts_longer(
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
    notified = []
    for day in (14, 15, 16, 17):
        score(day)
        notified.append(len(world.messages()))
    assert notified == [0, 0, 1, 0]
