"""The drift monitor's pure parts."""

import base64
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomaly_detection.training.baseline import describe_days
from drift_monitor.capture import CaptureError, day_of_records
from drift_monitor.day import Day
from drift_monitor.distance import kolmogorov_smirnov, stability_index
from drift_monitor.events import EventError, windows_of
from drift_monitor.judge import drifted, measures_of
from drift_monitor.limits import LimitsError, LimitTable
from drift_monitor.reference import NoReferenceError, Reference, reference_of

NAMES = ["a", "b"]
COUNTS = st.lists(st.integers(0, 500), min_size=4, max_size=4).map(np.array)


@given(COUNTS, COUNTS)
def test_distances_are_0_for_the_same_shares_and_never_negative(one: np.ndarray, other: np.ndarray) -> None:
    assert stability_index(one, one) == 0
    assert stability_index(one, other) == pytest.approx(stability_index(other, one))
    assert stability_index(one, other) >= 0
    if one.sum() and other.sum():
        assert kolmogorov_smirnov(one * 3, one) == pytest.approx(0)
        assert 0 <= kolmogorov_smirnov(one, other) <= 1 + 1e-12


def test_the_distances_of_a_textbook_example() -> None:
    # Smoothing by half a row is nothing beside so many.
    one, other = np.array([2, 3, 5]) * 10**6, np.array([4, 4, 2]) * 10**6
    by_hand = (0.2 - 0.4) * np.log(0.2 / 0.4) + (0.3 - 0.4) * np.log(0.3 / 0.4) + (0.5 - 0.2) * np.log(0.5 / 0.2)
    assert stability_index(one, other) == pytest.approx(by_hand, rel=1e-5)
    assert kolmogorov_smirnov(one, other) == pytest.approx(0.3)


def values(day: int, rows: int = 400) -> np.ndarray:
    rng = np.random.default_rng(day)
    matrix = rng.gamma(2.0, 1.0, (rows, 2)).astype(np.float32)
    matrix[: rows // 4] = 0
    # Mondays have twice as much of it.
    matrix[:, 1] *= 2 if day % 7 == 0 else 1
    return matrix


def scores_of(matrix: np.ndarray) -> np.ndarray:
    return 0.3 - 0.05 * matrix.max(axis=1).astype(np.float64)


def trained(days: int = 42) -> tuple[dict, dict]:
    """Return manifest and baseline of a training that began on a Monday."""
    first = np.datetime64("2026-09-07T00", "us")
    matrix = np.concatenate([values(day) for day in range(days)])
    hours = np.concatenate(
        [first + np.timedelta64(24 * day, "h") + np.arange(400) % 24 * np.timedelta64(1, "h") for day in range(days)]
    )
    keys = {"region": ((np.arange(len(matrix)) % 2).astype(np.int32), ["us-east-1", "eu-west-1"])}
    scores = scores_of(matrix)
    found = describe_days(matrix, NAMES, scores, hours, (matrix != 0).any(axis=1), keys)
    described = {"min": 0.0, "max": float(matrix.max()), "count": len(matrix), "missing_count": 0}
    described |= {"mean": float(matrix.mean()), "std": float(matrix.std())}
    baseline = {"features": dict.fromkeys(NAMES, described), "anomaly_score": described | {"min": -9.0, "max": 9.0}}
    manifest = {"feature_names": NAMES, "files": {"model.joblib": "0123456789abcdef" * 4}}
    return manifest, baseline | {"reference": json.loads(json.dumps(found))}


@pytest.fixture(scope="module")
def reference() -> Reference:
    return reference_of(*trained())


def judged(
    reference: Reference, matrix: np.ndarray, day: str = "2026-10-21", limits: str = "{}", **more: object
) -> set:
    rows = Day(day, dict(zip(NAMES, matrix.T.astype(float), strict=True)), scores_of(matrix), **more)
    return {
        (m.feature, m.statistic or m.check)
        for m in measures_of(rows, reference, LimitTable.parse(limits))
        if m.is_violated
    }


def test_training_counts_the_last_whole_days(reference: Reference) -> None:
    assert (reference.days[0], reference.days[-1], len(reference.days)) == ("2026-09-21", "2026-10-18", 28)
    assert reference.rows.tolist() == [400] * 28
    assert reference.nonzero_rows.tolist() == [300] * 28
    assert reference.model_id == "0123456789abcdef"
    sums = {name: column.counts.counts.sum() for name, column in reference.columns.items()}
    assert sums == dict.fromkeys((*NAMES, "anomaly_score"), 300 * 28)
    assert reference.categories["region"].values == ["us-east-1", "eu-west-1"]
    assert describe_days(np.zeros((2, 2), np.float32), NAMES, np.zeros(2), None, np.ones(2, bool), {}) is None


def test_a_quiet_day_has_no_violation_and_a_monday_is_held_against_mondays(reference: Reference) -> None:
    wednesday, monday = values(44), values(49)
    assert judged(reference, wednesday, "2026-10-21") == set()
    assert judged(reference, monday, "2026-10-26") == set()
    assert ("b", "psi") in judged(reference, monday, "2026-10-27")


def test_each_kind_of_drift_is_measured(reference: Reference) -> None:
    matrix = values(44)
    shifted, missing, percent = matrix + np.float32([1.5, 0]), matrix.copy(), matrix * np.float32([100, 1])
    missing[:20, 0] = np.nan
    regions = np.array(["eu-west-1", "us-east-1", "ap-south-1", "ap-south-1"] * 100, object)
    assert {("a", "psi"), ("a", "ks")} <= judged(reference, shifted)
    assert judged(reference, missing) == {("a", "missing_share")}
    assert {("a", "out_of_range_share"), ("a", "psi"), ("anomaly_score", "flagged_share")} <= judged(reference, percent)
    assert judged(reference, matrix, categories={"region": regions}) == {("region", "psi")}


def test_days_of_zeros_have_a_limit_of_the_mean_only_where_one_is_given(reference: Reference) -> None:
    """Where nearly all rows of training are zeros, an ordinary day is hundreds of deviations away."""
    matrix = values(44) + np.float32([10, 0])
    assert ("a", "mean_deviations") not in judged(reference, matrix)
    assert ("a", "mean_deviations") in judged(reference, matrix, limits='{"a": {"mean_deviations": 3}}')


def test_what_a_tenth_of_the_series_explains_is_an_incident(reference: Reference) -> None:
    matrix = values(44)
    series = np.arange(len(matrix)) % 40
    few, many = matrix.copy(), matrix.copy()
    few[series < 4] += np.float32(30)
    many[series < 20] += np.float32(30)
    assert ("a", "out_of_range_share") in judged(reference, few)
    assert judged(reference, few, series=series) == set()
    assert {("a", "out_of_range_share"), ("a", "psi"), ("anomaly_score", "psi")} <= judged(
        reference, many, series=series
    )


def test_a_mix_of_keys_is_notified_by_the_value_that_rose(reference: Reference) -> None:
    matrix = values(44)
    regions = np.array(["eu-west-1", "us-east-1", "ap-south-1", "ap-south-1"] * 100, object)
    columns = dict(zip(NAMES, matrix.T.astype(float), strict=True))
    day = Day("2026-10-21", columns, scores_of(matrix), categories={"region": regions})
    (region,) = [m for m in measures_of(day, reference, LimitTable({})) if m.feature == "region"]
    assert "a value unknown in training is 50% of the rows instead of 0%" in region.described()


def test_limits_are_each_feature_s_own(reference: Reference) -> None:
    shifted = values(44) + np.float32([1.5, 0])
    assert not judged(reference, shifted, limits='{"*": {"psi": 9, "ks": null, "flagged_share": 1}}')
    assert judged(reference, shifted, limits='{"*": {"psi": 9, "ks": 9}, "a": {"psi": 0}}') == {("a", "psi")}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[1]", "not an object of limits by feature"),
        ('{"a": {"psy": 1}}', "psy of a"),
        ('{"a": {"ks": -1}}', "-1"),
    ],
)
def test_limits_that_make_no_sense_are_refused(text: str, words: str) -> None:
    with pytest.raises(LimitsError, match=words):
        LimitTable.parse(text)


def test_a_missing_column_and_a_text_count_at_once_and_chance_on_the_second_day(reference: Reference) -> None:
    broken = Day("2026-10-21", {}, scores_of(values(44)), wrong_types={"b": "string"})
    found = drifted(measures_of(broken, reference, LimitTable({})), [])
    assert {m.feature: m.described() for m in found} == {
        "a": "the rows of the day have no such column",
        "b": "its type is string; numbers are expected",
    }
    matrix = values(44) + np.float32([1.5, 0])
    day = Day("2026-10-21", dict(zip(NAMES, matrix.T.astype(float), strict=True)), scores_of(values(44)))
    measures = measures_of(day, reference, LimitTable({}))
    assert drifted(measures, []) == []
    assert {m.feature for m in drifted(measures, measures)} == {"a"}
    assert "against the reference's Wednesdays" in drifted(measures, measures)[0].described()


def test_too_few_rows_have_no_measures_and_an_older_artifact_is_an_error(reference: Reference) -> None:
    assert judged(reference, values(44, rows=60) + np.float32(5)) == set()
    manifest, baseline = trained(14)
    with pytest.raises(NoReferenceError, match="trained on 14 whole days"):
        reference_of(manifest, baseline)
    del baseline["reference"]
    manifest["training"] = {"start_hour_utc": "2026-09-07T00:00:00Z"}
    with pytest.raises(NoReferenceError, match="has no reference days"):
        reference_of(manifest, baseline)


def record(sent: str, got: str, encoding: str = "CSV") -> str:
    sides = {
        "endpointInput": {"data": sent, "encoding": encoding},
        "endpointOutput": {"data": got, "encoding": encoding},
    }
    return json.dumps({"captureData": sides, "eventMetadata": {"eventId": "1"}, "eventVersion": "0"})


def test_a_baseline_of_days_is_enough_without_its_manifest(reference: Reference) -> None:
    alone = reference_of({}, trained()[1])
    assert (alone.features, alone.days, alone.model_id) == (reference.features, reference.days, "")


def test_captured_records_are_read_as_they_were_sent(reference: Reference) -> None:
    def b64(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    lines = [
        record("b,a,extra\n1,2,x\n3,,y\n", "is_anomaly,anomaly_score\n0,0.1\n1,-0.2\n"),
        record(b64("5,6\n"), b64("is_anomaly,anomaly_score\n0,0.3\n"), "BASE64"),
        record('{"instances": [{"a": 7, "b": 8}]}', '{"predictions": [{"anomaly_score": 0.4}]}', "JSON"),
        record('{"a": 9, "b": null}\n{"a": 1, "b": 1}', '{"anomaly_score": 0.5}\n{"anomaly_score": 0.6}', "JSON"),
        record("1,2\n", '{"files": {}}', "JSON"),
        "no json",
    ]
    day = day_of_records("2026-10-21", iter(lines), reference)
    assert day is not None
    assert day.scores.tolist() == [0.1, -0.2, 0.3, 0.4, 0.5, 0.6]
    np.testing.assert_equal(day.columns["a"], [2, np.nan, 5, 7, 9, 1])
    np.testing.assert_equal(day.columns["b"], [1, 3, 6, 8, np.nan, 1])
    assert day.unread == 2
    assert day_of_records("2026-10-21", iter([]), reference) is None
    with pytest.raises(CaptureError, match="none of the 1 records captured on 2026-10-21"):
        day_of_records("2026-10-21", iter(["{}"]), reference)


def test_an_event_names_its_day_or_its_hour() -> None:
    days = ["2026-11-23", "2026-11-22", "2026-11-21"]
    assert windows_of({"day": "2026-11-23"}, hourly=True) == days
    assert windows_of({"time": "2026-11-25T06:00:00Z"}, hourly=False) == days
    hours = ["2026-11-25T00", "2026-11-24T23", "2026-11-24T22"]
    assert windows_of({"hour": "2026-11-25T00"}, hourly=False) == hours
    assert windows_of({"time": "2026-11-25T01:20:00Z"}, hourly=True) == hours
    for event in ({}, {"day": "yesterday"}, {"time": "<aws.scheduler.scheduled-time>"}):
        with pytest.raises(EventError, match="names neither a day nor an hour"):
            windows_of(event, hourly=False)
