"""The benchmark of drift on a small bill: its results for ordinary days, for drift and for no drift."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks import drift
from egress_features import FEATURES

UNIT = "unit change: usage in MB, not GB"
MISSING = "missing feature: excess_3d_log is empty in 30 % of the rows"
NOTHING = "nothing changes"


@pytest.mark.parametrize("change", drift.TABLES)
def test_a_drift_of_the_rows_changes_features_that_there_are(change: str) -> None:
    table = pa.table({feature.name: pa.array([0.5] * 100, pa.float32()) for feature in FEATURES})
    changed = drift.TABLES[change](table)
    assert changed.column_names == table.column_names
    assert not changed.equals(table)


@pytest.mark.slow
def test_it_measures_quiet_days_and_the_days_until_a_drift_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, days in {"TRAINING_DAYS": 35, "QUIET_DAYS": 12, "DRIFT_DAY": 4, "WATCHED_DAYS": 6}.items():
        monkeypatch.setattr(drift, name, days)
    monkeypatch.setattr(drift, "BILLS", {UNIT: drift.BILLS[UNIT]})
    monkeypatch.setattr(drift, "TABLES", {MISSING: drift.TABLES[MISSING], NOTHING: lambda table: table})
    command = ["--bills", "1", "--first-seed", "3", "--cache", str(tmp_path / "cache"), "--json"]
    assert drift.main([*command, str(tmp_path / "one.json")]) == 0

    (result,) = json.loads((tmp_path / "one.json").read_text())
    assert set(result["quiet"]) == {drift.OURS, *drift.RIVALS}
    assert result["quiet"].pop(drift.OURS) == {"days": 0, "alarms": 0}
    assert all(0 <= found["alarms"] <= found["days"] <= 12 for found in result["quiet"].values())
    # A single day of another shape is no drift yet, a feature that is not there is one at once.
    assert {name: found[drift.OURS] for name, found in result["drifts"].items()} == {UNIT: 2, MISSING: 1, NOTHING: None}
    (row,) = [line for line in capsys.readouterr().out.splitlines() if NOTHING in line]
    assert [cell.strip() for cell in row.strip("│").split("│")][:2] == [NOTHING, "-"]

    built = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")}
    assert drift.main([*command, str(tmp_path / "two.json")]) == 0
    assert (tmp_path / "two.json").read_text() == (tmp_path / "one.json").read_text()
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").rglob("*")} == built
