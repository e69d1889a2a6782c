"""The quality checks of a new model on held-out rows."""

import json
import re
import subprocess
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from anomaly_detection.training.evaluation import Limits, evaluate, holdout_mask, inject, inject_small, why_not
from tests.support.models import NAMES, matrix, run_training_script, write_hours, write_part

pytestmark = pytest.mark.integration


def distance(values: np.ndarray) -> np.ndarray:
    """Score as a model would: rows far from 0 are below 0."""
    return 4.0 - np.abs(values).max(axis=1).astype(np.float64)


def test_a_good_model_passes_beside_itself() -> None:
    training, holdout = matrix(2000), matrix(500, seed=1)
    found = evaluate(training, holdout, distance, distance)
    assert found["holdout_rows"] == 500
    assert found["share_flagged"] == float(np.mean(np.abs(holdout).max(axis=1) > 4))
    assert (found["injected"]["incidents"], found["injected"]["recall"]) == (200, 1.0)
    # The incidents of the ranking are small, so no model finds all of them.
    assert 0.5 < found["injected"]["auc"] < 0.98
    assert 0.5 < found["injected"]["average_precision"] < 0.98
    assert found["serving"]["flags_changed_share"] == 0.0
    assert found["serving"]["rank_correlation"] == pytest.approx(1.0)
    assert why_not(found, Limits()) == []


@pytest.mark.parametrize(
    ("score", "reasons"),
    [
        (lambda values: np.ones(len(values)), ["it finds 0% of the injected incidents", "Spearman 0.00"]),
        (lambda values: -np.ones(len(values)), ["it finds no injected incidents", "it flags 100.0%", "disagrees"]),
        (lambda values: distance(values) - 2, ["it flags", "it disagrees with the serving model"]),
        (lambda values: distance(-values[:, ::-1]) * -1 + 8, ["Spearman -1.00"]),
    ],
)
def test_a_bad_model_is_told_why(score: object, reasons: list[str]) -> None:
    found = evaluate(matrix(2000), matrix(500, seed=1), score, distance)  # type: ignore[arg-type]
    reasons_found = why_not(found, Limits())
    for reason in reasons:
        assert any(reason in sentence for sentence in reasons_found), reasons_found


def test_without_a_holdout_nothing_is_known() -> None:
    assert why_not(None, Limits()) == ["it was not evaluated: no rows were held out"]


def test_a_serving_model_that_cannot_be_asked_is_a_reason() -> None:
    found = evaluate(matrix(2000), matrix(500, seed=1), distance) | {"serving_problem": "it requires other features"}
    assert why_not(found, Limits()) == ["it could not be compared with the serving model: it requires other features"]


@given(arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 8)), elements=st.floats(-1e3, 1e3, width=32)))
def test_an_incident_differs_from_its_row_in_half_of_the_features(values: np.ndarray) -> None:
    incidents = inject(values, values)
    assert len(incidents) == len(values)
    moved = incidents > values.max(axis=0)
    assert (moved.sum(axis=1) == -(-values.shape[1] // 2)).all()
    assert (incidents == inject(values, values)).all()


def test_small_incidents_rank_a_better_model_first() -> None:
    training, holdout = matrix(2000), matrix(500, seed=1)

    def blurred(noise: float) -> float:
        random = np.random.default_rng(3)
        found = evaluate(training, holdout, lambda rows: distance(rows) + random.normal(0, noise, len(rows)))
        assert found["injected"]["recall"] == 1.0
        return float(found["injected"]["auc"])

    aucs = [blurred(noise) for noise in (0.01, 0.3, 1.0)]
    assert aucs == sorted(aucs, reverse=True)
    assert aucs[0] - aucs[-1] > 0.05


@given(arrays(np.float32, st.tuples(st.integers(1, 30), st.integers(1, 8)), elements=st.floats(-1e3, 1e3, width=32)))
def test_a_small_incident_shows_in_some_features_and_lowers_none(values: np.ndarray) -> None:
    incidents = inject_small(values, values)
    assert incidents.shape == values.shape
    assert np.isfinite(incidents).all()
    assert (incidents == inject_small(values, values)).all()
    assert (np.sort(incidents.ravel()) >= np.sort(values.ravel())).all()


def test_a_small_incident_of_logarithms_is_at_most_three_times_as_much() -> None:
    values = np.zeros((50, 4), np.float32)
    incidents = inject_small(values, values, ["ln(ratio)", "share of hours", "ln(ratio)", "ln(ratio)"])
    assert (incidents[:, 1] == 0).all()
    assert incidents.max(axis=1).min() >= np.float32(np.log(1.1))
    assert incidents.max() <= np.float32(np.log(3))
    assert 0 < (incidents[:, [0, 2, 3]] == 0).mean() < 1


def test_an_incident_of_logarithms_is_an_hour_of_three_times_as_much() -> None:
    values = matrix(30)
    units = ["ln(ratio)" if place % 2 else "share of hours" for place in range(len(NAMES))]
    incidents = inject(values, values, units)
    assert np.allclose(np.sort(incidents[:, 1]), np.sort(values[:, 1]) + np.log(3))
    assert (np.sort(incidents[:, 0]) == np.sort(values[:, 0])).all()


@given(st.lists(st.integers(0, 40), min_size=1, max_size=60), st.floats(0.05, 0.5))
def test_an_hour_is_held_out_as_a_whole(hours: list[int], share: float) -> None:
    times = np.array(hours, "datetime64[h]")
    mask = holdout_mask(times, len(hours), share)
    assert mask.any()
    held = set(times[mask].tolist())
    assert not held & set(times[~mask].tolist())
    assert all(hour >= max(times[~mask]) for hour in times[mask]) if (~mask).any() else True


def train(folder: Path, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict[str, object]]:
    done = run_training_script(folder / "train", folder / "model", *arguments)
    assert done.returncode == 0, done.stderr
    return done, json.loads((folder / "model" / "manifest.json").read_text())


def test_training_holds_out_the_last_hours_and_compares_with_what_serves(tmp_path: Path) -> None:
    write_hours(tmp_path / "one" / "train" / "part.parquet")
    write_hours(tmp_path / "two" / "train" / "part.parquet")
    done, first = train(tmp_path / "one", "--holdout_share", "0.25", "--n_estimators", "40", "--contamination", "0.02")
    assert re.search(r"^recall_injected=(1\.0|0\.9)\d+;$", done.stdout, re.MULTILINE), done.stdout
    assert first["training"]["rows"] == 900  # type: ignore[index]
    assert first["training"]["end_hour_utc"] == "2026-01-10T08:00:00Z"  # type: ignore[index]
    assert first["evaluation"]["blocked_by"] == []  # type: ignore[index]
    serving = ["--serving", str(tmp_path / "one" / "model")]
    another = ["--holdout_share", "0.25", "--n_estimators", "40", "--contamination", "0.02", "--random_state", "7"]
    _, second = train(tmp_path / "two", *another, *serving)
    beside = second["evaluation"]["serving"]  # type: ignore[index]
    assert beside["rank_correlation"] > 0.7
    assert beside["flags_changed_share"] < 0.05
    assert second["training"]["data_sha256"] == first["training"]["data_sha256"]  # type: ignore[index]


def test_a_model_of_other_features_is_reported(tmp_path: Path) -> None:
    write_part(tmp_path / "old" / "train" / "a.parquet", matrix(300))
    train(tmp_path / "old", "--n_estimators", "10")
    table = pq.read_table(tmp_path / "old" / "train" / "a.parquet").replace_schema_metadata(None)
    (tmp_path / "new" / "train").mkdir(parents=True)
    pq.write_table(table.drop_columns([NAMES[0]]), tmp_path / "new" / "train" / "a.parquet")
    serving = ["--serving", str(tmp_path / "old" / "model")]
    _, manifest = train(tmp_path / "new", "--holdout_share", "0.2", "--n_estimators", "10", *serving)
    assert any("it requires other features" in reason for reason in manifest["evaluation"]["blocked_by"])  # type: ignore[index]


def test_a_share_that_is_none_is_refused(tmp_path: Path) -> None:
    write_part(tmp_path / "train" / "a.parquet", matrix(300))
    done = run_training_script(tmp_path / "train", tmp_path / "model", "--holdout_share", "0.9")
    assert done.returncode == 2
    assert "hyperparameter holdout_share is 0.9" in done.stderr
