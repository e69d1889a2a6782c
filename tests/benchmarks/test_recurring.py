"""Bills with recurring ordinary causes: their content, and that a verdict suppresses only the repetition."""

from pathlib import Path

import pytest

from benchmarks.incidents import feedback, recurring
from benchmarks.incidents.alert import Alert
from benchmarks.incidents.truth import Case

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return recurring.recurring_case(3, tmp_path_factory.mktemp("recurring"))


def test_a_seed_gives_the_same_bill(case: Case, tmp_path: Path) -> None:
    again = recurring.recurring_case(3, tmp_path)
    assert [file.read_bytes() for file in again.exports] == [file.read_bytes() for file in case.exports]


def test_each_cause_comes_in_both_halves(case: Case) -> None:
    half = (case.train_hours + case.hours) // 2
    times: dict[tuple[str, str], list[int]] = {}
    for event in case.ordinary:
        if event.kind in recurring.VERDICTS:
            times.setdefault((event.kind, event.resources[0]), []).append(event.start)
    assert {kind for kind, _ in times} == set(recurring.VERDICTS)
    for starts in times.values():
        assert min(starts) >= case.train_hours
        assert min(starts) < half <= max(starts)


def test_incidents_are_on_the_resources_of_causes_and_apart_from_them(case: Case) -> None:
    known = [incident for incident in case.incidents if incident.size == recurring.KNOWN]
    assert [incident.kind for incident in known] == [recurring.LARGER, recurring.LONGER]
    for incident in known:
        events = [e for e in case.ordinary if e.kind in recurring.VERDICTS and e.resources == incident.resources]
        assert events
        assert incident.catchable
        assert incident.start >= (case.train_hours + case.hours) // 2
        assert all(abs(event.start - incident.start) > recurring.APART_HOURS for event in events)


def test_an_alert_that_outgrows_a_verdict_counts_from_its_notification() -> None:
    alert = Alert(("1",), ("r",), ("b",), ("u",), 10, 90, ((12, 1.0), (40, 5.0), (80, 9.0)))
    assert feedback._from(alert, 0) == alert
    assert feedback._from(alert, 36).detected == 40
    assert feedback._from(alert, 90).detected == 90
    assert feedback._from(alert, 90).rank == 9.0
