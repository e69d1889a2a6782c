"""A verdict on an alert suppresses repeats, and nothing else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress_alerts.series import Series, iso_hour
from egress_alerts.verdicts import Size, Verdict, read_verdict, suppressed_by

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


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.integers(-2000, 12_000), st.sampled_from(["false", "planned"]))
def test_what_is_larger_or_longer_or_long_after_or_before_is_told(
    gb: float, day_gb: float, hours: int, verdict: str
) -> None:
    quiet = suppressed_by(alert(gb, day_gb, START + hours), [judgement(verdict)])
    remembered = {"false": 400, "planned": 60}[verdict] * 24
    assert bool(quiet) == (gb <= 80 and day_gb <= 60 and 0 <= hours <= remembered)


def test_each_series_is_held_to_its_own_size() -> None:
    """A bucket that was a tenth of what was called false may not become all of it."""
    other = SERIES._replace(resource_id="bucket-0")
    judged = Verdict("judged", "false", {SERIES: Size(40.0, 30.0), other: Size(4.0, 4.0)}, START)
    assert suppressed_by(alert(), [judged]) == "judged"
    assert suppressed_by(alert(resource_id="bucket-0"), [judged]) == ""


def test_a_verdict_without_sizes_covers_nothing() -> None:
    cause = {name: value for name, value in zip(Series._fields, SERIES, strict=True) if name != "account_id"}
    record = {"judged_alert_id": "judged", "verdict": "false", "causes": [cause], "start_hour_utc": iso_hour(START)}
    assert suppressed_by(alert(), [read_verdict(record | {"account_id": SERIES.account_id})]) == ""
