"""Some worlds of the simulation; `make simulate` runs 10,000."""

from unittest.mock import patch

import pytest

from anomaly_detector.alert_store import LEDGER, AlertStore
from anomaly_detector.scored_rows import ScoredRows
from tests.simulation.__main__ import main
from tests.simulation.world import run_world

WORLDS = 150
_put = AlertStore._put


def _put_without_condition(self, item, version):
    put = _put(self, item, version)
    put["Put"].pop("ConditionExpression")
    return put


def _put_without_ledger(self, item, version):
    return _put_without_condition(self, item, version) if item["alert_id"] == LEDGER else _put(self, item, version)


def _rows_of_the_window_alone(self, window, policy):
    return self.between(window.start, window.end)


def _name_without_writing(self, folder, records):
    return f"{folder}/{len(records)}.json"


def test_every_incident_is_notified_once_whatever_goes_wrong() -> None:
    assert main(["--worlds", str(WORLDS)]) == 0


def _first_violation():
    """Search rather than name seeds: which world shows a fault depends on every rule of the detector."""
    return next(result for seed in range(WORLDS) if (result := run_world(seed)).violation)


@pytest.mark.parametrize(
    ("owner", "name", "broken"),
    [
        (AlertStore, "_put", _put_without_condition),
        (AlertStore, "_put", _put_without_ledger),
        (ScoredRows, "since", _rows_of_the_window_alone),
        (AlertStore, "keep_list", _name_without_writing),
    ],
    ids=["writes without a condition", "no ledger", "later days are not decided again", "lists are not written"],
)
def test_the_simulation_finds_a_fault(owner, name, broken) -> None:
    with patch.object(owner, name, broken):
        assert _first_violation()


def test_a_seed_replays_call_by_call() -> None:
    with patch.object(AlertStore, "_put", _put_without_condition):
        one = _first_violation()
        other = run_world(one.seed)
    assert one.log
    assert (one.log, one.counts, one.violation) == (other.log, other.counts, other.violation)
