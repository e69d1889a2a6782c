"""Hours estimated from flow logs are alerted within the hour; when the bill comes, it is the same alert."""

import itertools
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from egress_features import KEYS, MEASURES, FlowLogs, build_features, find_flow_logs
from local_aws import LocalAws
from tests.support.bill import START, line, write_parquet
from tests.support.detector import FaultyEndpoint, World, hot_day
from tests.support.flow_logs import write_flow_logs

pytestmark = pytest.mark.integration

Make = Callable[..., World]
_NUMBERS = itertools.count()
DAY = {"start": "2026-10-02T00:00Z", "end": "2026-10-03T00:00Z"}
ESTIMATED = "estimated from flow logs at list prices, not billed yet"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as running:
        yield running


@pytest.fixture
def make(aws: LocalAws, tmp_path: Path) -> Iterator[Make]:
    with FaultyEndpoint() as endpoint:
        yield lambda **variables: World(aws, endpoint, tmp_path, f"estimate-{next(_NUMBERS)}", **variables)


def bill(folder: Path, hours: int) -> Path:
    """Write an instance's 2 GB an hour, and 30 GB in the hours 228 to 231, as far as the bill has come."""
    instance = {"product_code": "AmazonEC2", "operation": "RunInstances", "resource_id": "i-0a"}
    amounts = [30.0 if 228 <= hour < 232 else 2.0 for hour in range(hours)]
    lines = [line(h, gb, **instance) for h, gb in enumerate(amounts)]
    return write_parquet(folder / f"bill-{hours}.parquet", lines)


def rows_of(folder: Path, exports: list[Path], flow_logs: FlowLogs | None = None) -> list[dict[str, Any]]:
    """Return the last day's keys and measures, and the one feature that the endpoint's rule reads."""
    build_features(exports, folder / "features.parquet", flow_logs=flow_logs)
    rows = pq.read_table(folder / "features.parquet", columns=[*KEYS, *MEASURES, "beyond_habit_log"]).to_pylist()
    last = [row for row in rows if row["hour_utc"] >= START + timedelta(hours=216)]
    return [row | {"ratio": row["usage_gb"] / max(row["expected_usage_gb"], 0.1) / 1.01} for row in last]


def test_the_bill_comes_after_the_flow_logs(make: Make, tmp_path: Path) -> None:
    whole = bill(tmp_path, 240)
    window = {"start": START + timedelta(hours=200), "end": START + timedelta(hours=240)}
    folder = write_flow_logs([whole], tmp_path / "logs", **window)
    flow_logs = FlowLogs(find_flow_logs([folder]))
    day = {"start": "2026-09-10T00:00Z", "end": "2026-09-11T00:00Z"}
    world = make()

    world.put(rows_of(tmp_path, [bill(tmp_path, 216)], flow_logs), name="a")
    world.invoke(day)
    (first,), (message,) = world.alerts(), world.messages()
    assert first["is_estimated"]
    assert ESTIMATED in first["reasons"]
    assert ESTIMATED in message
    assert first["resource_id"] == "i-0a"
    assert float(first["cost_usd"]) == pytest.approx(4 * 30 * 0.09)
    assert world.scored("2026-09-10")["is_estimated"].to_pylist() == [True] * 24

    world.put(rows_of(tmp_path, [whole]), name="b")
    world.invoke(day)
    (second,) = world.alerts()
    assert world.messages() == []
    assert not second["is_estimated"]
    assert ESTIMATED not in second["reasons"]
    scored = world.scored("2026-09-10")
    assert scored["is_estimated"].to_pylist() == [False] * 24
    changed = {"is_estimated", "reasons", "version", "hours"}
    assert {k: v for k, v in first.items() if k not in changed} == {k: v for k, v in second.items() if k not in changed}


@pytest.mark.parametrize("first_hour", [1, 2, 3])
def test_a_bill_that_begins_at_another_hour_is_the_same_alert(make: Make, first_hour: int) -> None:
    world = make()
    world.put(hot_day(first=2, is_estimated=True), name="a")
    world.invoke(DAY)
    (first,) = world.alerts()
    world.put(hot_day(first=first_hour, hours=11 - first_hour), name="b")
    world.invoke(DAY, DAY)
    (second,) = world.alerts()
    assert second["alert_id"] == first["alert_id"]
    assert second["start_hour_utc"] == f"2026-10-02T0{first_hour}:00:00Z"
    assert not second["is_estimated"]
    assert len(world.messages()) == 1


def test_people_are_notified_again_when_the_bill_is_worse(make: Make) -> None:
    world = make()
    world.put(hot_day(is_estimated=True), name="a")
    world.invoke(DAY)
    (alert,) = world.alerts()
    world.put(hot_day(price=0.9), name="b")
    world.invoke(DAY)
    (worse,) = world.alerts()
    assert worse["alert_id"] == alert["alert_id"]
    assert (alert["severity"], worse["severity"]) == ("medium", "high")
    first, second = world.messages()
    assert "raised from MEDIUM" not in first
    assert "raised from MEDIUM" in second


def test_partly_billed_incidents_show_their_estimated_part(make: Make) -> None:
    world = make()
    rows = hot_day()
    for row in rows[6:]:
        row["is_estimated"] = True
    world.put(rows)
    world.invoke(DAY)
    (alert,) = world.alerts()
    assert alert["is_estimated"]
    assert f"5 of 9 hours are {ESTIMATED}" in alert["reasons"]


def test_another_incident_of_the_window_keeps_its_own_id(make: Make) -> None:
    world = make()
    world.put(hot_day(first=2, hours=3, is_estimated=True), name="a")
    world.invoke(DAY)
    (first,) = world.alerts()
    world.put([*hot_day(first=2, hours=3), *hot_day(first=16, hours=3, resource_id="other")], name="b")
    world.invoke(DAY)
    assert {alert["alert_id"] for alert in world.alerts()} > {first["alert_id"]}
    assert len(world.alerts()) == 2
