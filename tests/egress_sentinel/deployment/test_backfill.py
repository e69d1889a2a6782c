"""Backfilled scores of a history: the detector's own scores are kept, and the detector uses both."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest

from egress_sentinel.deployment.backfill import add_to_bucket, scored_history
from egress_sentinel.errors import UserError
from local_aws import LocalAws
from tests.support.detector import FaultyEndpoint, World, hot_day

pytestmark = pytest.mark.integration


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with LocalAws() as aws, FaultyEndpoint() as endpoint:
        yield World(aws, endpoint, tmp_path, "backfill")


def history(folder: Path, rows: list[dict[str, Any]], *, scores: int | None = None) -> pa.Table:
    """Write features, and what a batch would answer: the input's columns with two more."""
    table = pa.Table.from_pylist(rows)
    pq.write_table(table, folder / "features.parquet")
    answered = table.slice(0, scores)
    ratio = answered["ratio"].to_numpy()
    answered = answered.append_column("is_anomaly", pa.array((ratio > 1).astype(int)))
    answered = answered.append_column("anomaly_score", pa.array(0.25 - 0.25 * ratio))
    pa_csv.write_csv(answered, folder / "result.csv")
    return scored_history(folder / "features.parquet", folder / "result.csv", "0123456789abcdef")


def test_days_are_filled_in_and_what_the_detector_scored_stays(world: World, tmp_path: Path) -> None:
    rows = [row for day in (1, 2, 3) for row in hot_day(day)]
    world.put(rows)
    world.invoke({"start": "2026-10-02T00:00:00Z", "end": "2026-10-02T12:00:00Z"})
    detectors = world.scored("2026-10-02")
    alerts, messages = world.alerts(), world.messages()
    assert messages

    scored = history(tmp_path, list(reversed(rows)))
    done = add_to_bucket(world.aws.client("s3"), world.resources.bucket, scored)
    assert done == (24 + 12 + 24, 3, 12)
    day = world.scored("2026-10-02")
    assert day.num_rows == 24
    assert day.slice(0, 12).equals(detectors)
    assert set(world.scored("2026-10-03")["model_id"].to_pylist()) == {"0123456789abcdef"}
    assert world.scored("2026-10-03").schema.equals(detectors.schema)
    assert world.scored("2026-10-03")["anomaly_score"].to_pylist() == [0.25 - 0.25 * row["ratio"] for row in hot_day(3)]
    assert add_to_bucket(world.aws.client("s3"), world.resources.bucket, scored) == (0, 0, 72)
    assert world.alerts() == alerts
    assert not world.messages()

    # The detector reads them as the hours before its window.
    world.put(hot_day(4))
    (answer,) = world.invoke({"start": "2026-10-04T00:00:00Z", "end": "2026-10-05T00:00:00Z"})
    assert answer["rows_scored"] == 24


def test_what_has_no_hours_or_another_number_of_lines_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has 20 lines for 24 rows"):
        history(tmp_path, hot_day(1), scores=20)
    pq.write_table(pa.table({"a": [1.0]}), tmp_path / "other.parquet")
    with pytest.raises(UserError, match="no column hour_utc"):
        scored_history(tmp_path / "other.parquet", tmp_path / "result.csv", "")
    with pytest.raises(UserError, match="is not a parquet file"):
        scored_history(tmp_path / "result.csv", tmp_path / "result.csv", "")
