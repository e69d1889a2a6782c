"""The function reads the calendar of planned events from S3."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local_aws import LocalAws
from tests.support.detector import FaultyEndpoint, World, hot_day

pytestmark = pytest.mark.integration


@pytest.fixture
def make(tmp_path: Path) -> Any:
    with LocalAws() as aws, FaultyEndpoint() as endpoint:
        yield lambda: World(aws, endpoint, tmp_path, "planned", PLANNED_EVENTS_KEY="config/planned_events.json")


def test_the_function_reads_the_calendar_and_reports_suppressed_alerts(make: Callable[[], World]) -> None:
    """Nine planned hours of 75 GB happen. On the second day as many again exceed the plan."""
    world = make()
    event = {"note": "the move", "from": "2026-10-02T00:00:00Z", "to": "2026-10-05T00:00:00Z", "max_gb": 700}
    s3, bucket = world.aws.client("s3"), world.resources.bucket
    s3.put_object(Bucket=bucket, Key="config/planned_events.json", Body=json.dumps([event]).encode())
    world.put([*hot_day(2), *hot_day(3)])

    def score(day: int) -> Any:
        (result,) = world.invoke({"start": f"2026-10-{day:02d}T00:00Z", "end": f"2026-10-{day + 1:02d}T00:00Z"})
        return result

    first = score(2)
    (alert_id,) = first["suppressed"]
    assert (first["alerts"], first["suppressed"], world.messages()) == ([], {alert_id: "planned: the move"}, [])
    second = score(3)
    assert (second["updated"], second["suppressed"]) == ([alert_id], {})
    (message,) = world.messages()
    assert "1,350.0 GB above expected exceed the 700.0 GB that were planned: the move" in message
    assert score(3)["updated"] == []
    assert world.messages() == []
