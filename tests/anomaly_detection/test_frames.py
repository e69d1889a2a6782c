"""The contract as data scientists use it: DataFrames in and out, and a model with scikit-learn's methods."""

import csv
import io
import json
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest

from anomaly_detection.errors import RequestError
from anomaly_detection.inference_script import input_fn, model_fn, output_fn, predict_fn
from anomaly_detection.model import Model
from tests.support.models import NAMES, matrix, named

VALUES = matrix(40, seed=5)


@pytest.fixture(scope="module")
def model(model_dir: Path) -> Model:
    return model_fn(str(model_dir))


@pytest.fixture
def frame() -> pd.DataFrame:
    rows = pd.DataFrame(VALUES, columns=NAMES)[NAMES[::-1]]
    rows.insert(0, "account_id", "011122223333")
    rows["hour_utc"] = pd.Timestamp("2026-11-25T13:00:00Z")
    rows["note"] = [None, *["x"] * 39]
    return rows


def test_a_saved_forest_takes_a_frame_without_a_warning(model_dir: Path, frame: pd.DataFrame) -> None:
    forest = joblib.load(model_dir / "model.joblib")
    assert forest.feature_names_in_.tolist() == NAMES
    scores = forest.decision_function(frame[NAMES])
    with pytest.raises(ValueError, match="feature names"):
        forest.decision_function(frame[NAMES[::-1]])
    assert scores.shape == (40,)


def test_the_model_has_the_methods_of_scikit_learn(model: Model, model_dir: Path, frame: pd.DataFrame) -> None:
    forest = joblib.load(model_dir / "model.joblib")
    rows = named(forest, VALUES)
    for given in (frame, rows, VALUES, VALUES.astype(np.float64), VALUES.tolist()):
        assert model.decision_function(given).tobytes() == forest.decision_function(rows).tobytes()
        assert model.score_samples(given).tobytes() == forest.score_samples(rows).tobytes()
        assert model.predict(given).tolist() == forest.predict(rows).tolist()


def test_predict_fn_adds_two_columns_to_a_frame(model: Model, model_dir: Path, frame: pd.DataFrame) -> None:
    before = frame.copy()
    scored = predict_fn(frame, model)
    pd.testing.assert_frame_equal(frame, before)
    pd.testing.assert_frame_equal(scored.drop(columns=["is_anomaly", "anomaly_score"]), before)
    forest = joblib.load(model_dir / "model.joblib")
    expected = forest.decision_function(named(forest, VALUES))
    assert scored["anomaly_score"].to_numpy().tobytes() == expected.tobytes()
    assert scored["is_anomaly"].tolist() == (expected < 0).astype(int).tolist()
    again = predict_fn(scored, model)
    pd.testing.assert_frame_equal(again, scored)


def test_output_fn_writes_a_frame(model: Model, frame: pd.DataFrame) -> None:
    scored = predict_fn(frame, model)
    text, content_type = output_fn(scored, "application/json")
    assert content_type == "application/json"
    records = json.loads(text)
    assert list(records[0]) == list(scored.columns)
    assert [record["anomaly_score"] for record in records] == scored["anomaly_score"].tolist()
    assert (records[0]["note"], records[1]["note"]) == (None, "x")
    lines, content_type = output_fn(scored, "application/jsonlines")
    assert content_type == "application/jsonlines"
    assert [json.loads(line) for line in lines.splitlines()] == records
    table, content_type = output_fn(scored, "text/csv")
    assert content_type == "text/csv"
    read = list(csv.DictReader(io.StringIO(table)))
    assert [float(row["anomaly_score"]) for row in read] == scored["anomaly_score"].tolist()
    assert {row["account_id"] for row in read} == {"011122223333"}
    scores, _ = output_fn(scored, "text/csv;output=scores")
    assert scores.splitlines()[0] == "is_anomaly,anomaly_score"


def test_what_input_fn_returns_is_what_predict_fn_takes(model: Model, frame: pd.DataFrame) -> None:
    expected = predict_fn(frame, model)["anomaly_score"].tolist()
    bodies = ((frame.to_csv(index=False), "text/csv"), (frame[NAMES].to_json(orient="records"), "application/json"))
    for body, content_type in bodies:
        text, _ = output_fn(predict_fn(input_fn(body, content_type), model), "application/json;output=scores")
        found = [record["anomaly_score"] for record in json.loads(text)]
        assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda rows: rows.drop(columns="persistence"), "the feature persistence is missing"),
        (lambda rows: rows.assign(persistence="1_0"), "row 0 of persistence is '1_0', not a number"),
        (lambda rows: rows.assign(persistence=np.nan), "row 0 of persistence is missing or NaN"),
        (lambda rows: rows.assign(persistence=np.inf), "row 0 of persistence is inf: infinite"),
    ],
)
def test_a_frame_that_does_not_fit_is_an_error(
    model: Model, frame: pd.DataFrame, change: object, sentence: str
) -> None:
    with pytest.raises(RequestError, match=sentence):
        predict_fn(change(frame), model)
    with pytest.raises(ValueError, match=sentence):
        model.decision_function(change(frame))
