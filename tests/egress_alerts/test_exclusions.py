"""What training leaves out: incidents until a verdict calls them false, and planned events."""

import json
from typing import Any

import pytest

from egress_alerts.exclusions import as_text, build_exclusions
from egress_alerts.planned import PlannedEvent
from egress_alerts.series import parse_hour
from egress_alerts.verdicts import build_verdict
from tests.support.alerts import alert_record

LINE = {
    "account_id": "111122223333",
    "region": "eu-west-1",
    "service": "AmazonS3",
    "egress_class": "internet",
    "resource_id": "media-prod",
    "start_hour_utc": "2026-10-02T02:00:00Z",
    "end_hour_utc": "2026-10-02T11:00:00Z",
}


def verdict(word: str, alert_id: str = "first") -> dict[str, Any]:
    return build_verdict(alert_record(alert_id), word, "", "2026-10-03T00:00:00Z")


def test_an_alert_without_a_verdict_is_left_out_of_training() -> None:
    alerts = [alert_record("first"), alert_record("second")]
    assert build_exclusions(alerts, [], []) == [
        LINE | {"why": f"alert {name}, no verdict"} for name in ("first", "second")
    ]


@pytest.mark.parametrize(
    ("word", "whys"), [("true", ["alert first, true"]), ("planned", ["alert first, planned"]), ("false", [])]
)
def test_what_a_verdict_calls_false_stays_in(word: str, whys: list[str]) -> None:
    assert [line["why"] for line in build_exclusions([alert_record("first")], [verdict(word)], [])] == whys


@pytest.mark.parametrize("field", ["suppressed_by", "quieted_by"])
def test_a_suppressed_repeat_follows_the_verdict_that_suppresses_it(field: str) -> None:
    repeat = {**alert_record("second"), "suppressed_by": "", field: "first"}
    assert build_exclusions([repeat], [verdict("false")], []) == []
    planned = build_exclusions([repeat], [verdict("planned")], [])
    assert [line["why"] for line in planned] == ["alert second, planned", "alert first, planned"]
    own = build_exclusions([repeat], [verdict("false"), verdict("true", "second")], [])
    assert [line["why"] for line in own] == ["alert second, true"]


def test_a_verdict_on_an_alert_that_is_gone_counts_by_itself() -> None:
    gone = [verdict("true"), verdict("true", "second")]
    assert build_exclusions([], gone, []) == [LINE | {"why": f"alert {name}, true"} for name in ("first", "second")]
    assert build_exclusions([], [verdict("false")], []) == []


def test_every_contributor_of_an_alert_is_left_out() -> None:
    alert = alert_record("first")
    alert["contributors"] += [{**alert["contributors"][0], "resource_id": "thumbs"}]
    assert [line["resource_id"] for line in build_exclusions([alert], [], [])] == ["media-prod", "thumbs"]


def test_a_planned_event_is_left_out_by_what_it_names_and_without_its_last_hour() -> None:
    start, end = (parse_hour(f"2026-10-{day:02d}T00:00:00Z") for day in (5, 6))
    bare = {"start_hour_utc": "2026-10-05T00:00:00Z", "end_hour_utc": "2026-10-05T23:00:00Z", "why": "planned: move"}
    full = {
        "account_id": "111122223333",
        "region": "eu-west-1",
        "egress_class": "internet",
        "resource_id": "media-*",
    } | bare
    events = [
        PlannedEvent("move", start, end),
        PlannedEvent("move", start, end, "111122223333", "eu-west-1", "internet", "media-*"),
    ]
    lines = build_exclusions([alert_record("first")], [], events)
    assert lines[1:] == [bare, full]


def test_the_file_has_a_line_each_and_is_never_empty() -> None:
    assert as_text([]) == "\n"
    lines = as_text([LINE, {"why": "x"}])
    assert lines.endswith("\n")
    assert [json.loads(line) for line in lines.splitlines()] == [LINE, {"why": "x"}]
