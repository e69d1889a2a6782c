"""A verdict on an alert suppresses repeats, and nothing else."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from egress_alerts.series import Series, iso_hour, parse_hour
from egress_alerts.verdicts import Size, Verdict, build_verdict, read_verdict, suppressed_by
from tests.support.alerts import alert_record

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


def judgement(verdict: str = "false") -> Verdict:
    return Verdict("judged", verdict, {SERIES: Size(40.0, 30.0)}, START)


@pytest.mark.parametrize(("verdict", "quiet"), [("false", "judged"), ("planned", "judged"), ("true", "")])
def test_a_repeat_of_what_was_false_or_planned_is_quiet(verdict: str, quiet: str) -> None:
    assert suppressed_by(alert(), [judgement(verdict)]) == quiet


@pytest.mark.parametrize("name", Series._fields)
def test_another_series_is_told(name: str) -> None:
    assert suppressed_by(alert(**{name: "another"}), [judgement()]) == ""


def test_another_series_that_matters_is_told() -> None:
    assert suppressed_by(alert(40.0, 30.0, START, 0.05), [judgement()]) == "judged"
    assert suppressed_by(alert(40.0, 30.0, START, 0.3), [judgement()]) == ""


@settings(deadline=None)
@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(-2000, 12_000), st.sampled_from(["false", "planned"]))
def test_what_is_larger_or_longer_or_long_after_or_before_is_told(
    gb: float, day_gb: float, hours: int, verdict: str
) -> None:
    quiet = suppressed_by(alert(gb, day_gb, START + hours), [judgement(verdict)])
    remembered = {"false": 400, "planned": 60}[verdict] * 24
    assert bool(quiet) == (gb <= 80 and day_gb <= 60 and 0 <= hours <= remembered)


def test_each_series_is_held_to_its_own_size() -> None:
    """A verdict does not cover a small bucket of its alert that now carries as much as the whole alert."""
    other = SERIES._replace(resource_id="bucket-0")
    judged = Verdict("judged", "false", {SERIES: Size(40.0, 30.0), other: Size(4.0, 4.0)}, START)
    assert suppressed_by(alert(), [judged]) == "judged"
    assert suppressed_by(alert(resource_id="bucket-0"), [judged]) == ""


def test_a_verdict_without_sizes_covers_nothing() -> None:
    cause = {name: value for name, value in zip(Series._fields, SERIES, strict=True) if name != "account_id"}
    record = {"judged_alert_id": "judged", "verdict": "false", "causes": [cause], "start_hour_utc": iso_hour(START)}
    assert suppressed_by(alert(), [read_verdict(record | {"account_id": SERIES.account_id})]) == ""


@pytest.mark.parametrize(
    ("gb", "day_gb", "hours", "suppressed"),
    [
        (80.0, 60.0, 0, True),
        (80.1, 60.0, 0, False),
        (80.0, 60.1, 0, False),
        (80.0, 60.0, 400 * 24, True),
        (80.0, 60.0, 400 * 24 + 1, False),
        (80.0, 60.0, -1, False),
    ],
)
def test_the_bounds_of_a_verdict(gb: float, day_gb: float, hours: int, suppressed: bool) -> None:
    assert bool(suppressed_by(alert(gb, day_gb, START + hours), [judgement()])) == suppressed


def test_a_true_verdict_suppresses_not_even_its_own_start() -> None:
    assert suppressed_by(alert(start=START), [judgement("true")]) == ""


def test_a_series_with_a_tenth_of_the_excess_matters() -> None:
    assert suppressed_by(alert(40.0, 30.0, START, 0.1), [judgement()]) == ""
    assert suppressed_by(alert(40.0, 30.0, START, 0.0999), [judgement()]) == "judged"


def test_the_first_verdict_that_covers_an_alert_is_named() -> None:
    verdicts = [judgement("true"), replace(judgement(), alert_id="second"), judgement()]
    assert suppressed_by(alert(), verdicts) == "second"


def test_a_verdict_is_read_back_as_it_was_built() -> None:
    about = alert_record()
    record = build_verdict(about, "planned", "the move", "2026-10-03T00:00:00Z")
    lead = about["contributors"][0]
    sizes = {"excess_gb": lead["excess_gb"], "day_excess_gb": lead["day_excess_gb"]}
    assert record == {
        "judged_alert_id": about["alert_id"],
        "verdict": "planned",
        "note": "the move",
        "judged_at": "2026-10-03T00:00:00Z",
        "account_id": "111122223333",
        "region": "eu-west-1",
        "start_hour_utc": about["start_hour_utc"],
        "end_hour_utc": about["end_hour_utc"],
        "causes": [
            {"region": "eu-west-1", "service": "AmazonS3", "egress_class": "internet", "resource_id": "media-prod"}
            | sizes
        ],
    }
    start = parse_hour(about["start_hour_utc"])
    assert read_verdict(record) == Verdict(about["alert_id"], "planned", {SERIES: Size(*sizes.values())}, start)
    assert suppressed_by(about, [read_verdict(record)]) == about["alert_id"]


def test_a_verdict_on_an_alert_from_before_sizes_were_kept_covers_nothing() -> None:
    about = alert_record()
    for row in about["contributors"]:
        del row["excess_gb"], row["day_excess_gb"]  # type: ignore[misc]
    record = build_verdict(about, "false", "", "2026-10-03T00:00:00Z")
    assert read_verdict(record).causes == {SERIES: Size(0.0, 0.0)}


def test_sizes_that_a_record_lacks_are_zero() -> None:
    cause = {name: value for name, value in zip(Series._fields, SERIES, strict=True) if name != "account_id"}
    record = {"judged_alert_id": "judged", "verdict": "false", "causes": [cause], "start_hour_utc": iso_hour(START)}
    assert suppressed_by(alert(0.5, 0.5), [read_verdict(record | {"account_id": SERIES.account_id})]) == ""


def test_another_word_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^the verdict is 'maybe'; accepted are true, false, planned$"):
        build_verdict(alert_record(), "maybe", "", "")
