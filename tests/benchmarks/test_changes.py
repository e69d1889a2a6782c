"""The benchmark of changes: histories as CloudTrail writes them, and figures that add up."""

import random

from benchmarks.changes import EVENTS, History, Result, _figures, measured
from egress_alerts.changes import read_event


def test_a_history_has_its_events_and_the_one_that_caused_the_incident() -> None:
    history, again = (History(random.Random(3), 24.0, has_cause=True) for _ in range(2))
    assert history.records == again.records
    assert len(history.records) == EVENTS
    (causing,) = [record for record in history.records if record["eventID"] == history.cause]
    assert read_event(causing) is not None
    assert History(random.Random(3), 24.0, has_cause=False).cause == ""


def test_half_of_the_histories_have_a_cause() -> None:
    results = measured(2, histories=1)
    assert [result.has_cause for result in results] == [True, False]
    assert all(result.place <= result.named <= 3 for result in results)


def test_the_figures_count_places_and_names() -> None:
    found = [Result("hot_link", True, 1, 2), Result("hot_link", True, 0, 0), Result("fleet", True, 3, 3),
             Result("fleet", False, 0, 1), Result("fleet", False, 0, 0)]  # fmt: skip
    figures = dict(_figures([found, found]))
    assert figures["right change in the top three"]["mean"] == 0.667
    assert figures["right change first"]["mean"] == 0.333
    assert figures["names nothing although there was a cause"] == 0.333
    assert figures["names something although nothing caused it"]["mean"] == 0.5
    assert figures["top three by kind"] == {"hot_link": "2 of 4", "fleet": "2 of 2"}
