"""What the model answers: its id, p-values and reasons."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from egress_alerts.model import model_id, model_reasons, p_values
from egress_features.schema import FEATURES, Feature

CALIBRATION = {"anomaly_score": [-0.2, 0.0, 0.2], "p_value": [0.001, 0.1, 1.0], "tail_scale": 0.05}


@pytest.mark.parametrize(
    ("manifest", "expected"),
    [
        ({"files": {"model.joblib": "0123456789abcdef" * 4}}, "0123456789abcdef"),
        ({"files": {}}, ""),
        ({"files": None}, ""),
        ({}, ""),
    ],
)
def test_the_id_is_the_first_half_of_the_forests_hash(manifest: Mapping[str, Any], expected: str) -> None:
    assert model_id(manifest) == expected


def test_p_values_between_the_points_are_interpolated_by_logarithm_and_beyond_them_exponential() -> None:
    scores = np.array([-0.2, -0.1, 0.0, 0.2, 0.5, -0.25, -5.0])
    found = p_values({"calibration": CALIBRATION}, scores)
    assert found is not None
    assert found == pytest.approx([0.001, 0.01, 0.1, 1.0, 1.0, 0.001 / np.e, 1e-12])
    assert p_values({}, scores) is None
    assert p_values({"calibration": None}, scores) is None


class Explainer:
    """Answers with the given attributions of `a`, `b` and `c`."""

    def __init__(self, *rows: Sequence[float]) -> None:
        self._rows = rows
        self.asked: list[list[dict[str, float]]] = []

    def score(self, features: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        raise NotImplementedError

    def manifest(self, row: pa.Table) -> Mapping[str, Any]:
        raise NotImplementedError

    def attributions(self, features: pa.Table) -> tuple[np.ndarray, Mapping[str, np.ndarray]] | None:
        assert {field.type for field in features.schema} == {pa.float32()}
        self.asked.append(features.to_pylist())
        if not self._rows:
            return None
        by_name = {name: np.array([row[i] for row in self._rows]) for i, name in enumerate("cab")}
        return np.array([-0.25] * len(self._rows)), by_name


ROW = {"a": 1.0, "b": 2.0, "c": 3.0}
ONE, TWO = "main factor for the model:", "main factors for the model:"


@pytest.mark.parametrize(
    ("c", "a", "b", "says"),
    [
        (0.0, 3.0, 1.0, f"{TWO} the rise: 1 (75%); b: 2 (25%)"),
        (9.0, 3.0, 8.0, f"{TWO} c: 3 (45%); b: 2 (40%)"),
        (-5.0, 96.0, 4.0, f"{ONE} the rise: 1 (96%)"),
        (-5.0, 95.0, 5.0, f"{TWO} the rise: 1 (95%); b: 2 (5%)"),
        (-1.0, 0.0, -2.0, "no single feature explains the score: many contribute a little"),
    ],
)
def test_the_reason_names_the_two_features_with_the_largest_shares(c: float, a: float, b: float, says: str) -> None:
    assert model_reasons(Explainer((c, a, b)), [ROW], {"a": "the rise"}) == [says]


def test_logarithms_are_told_as_times_and_a_repeated_value_once() -> None:
    by_name = {
        "x_log": np.array([1.0]),
        "y_log": np.array([2.0]),
        "largest_log": np.array([5.0]),
        "zero": np.array([2.0]),
    }

    class Repeating(Explainer):
        def attributions(self, features: pa.Table) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            return np.array([-0.25]), by_name

    row = {"x_log": math.log(2), "y_log": math.log(4), "largest_log": math.log(4), "zero": 0.0}
    assert model_reasons(Repeating(), [row], {}) == [f"{TWO} y_log: 4.0 times (70%); zero: 0 (20%)"]


def test_the_model_is_asked_once_for_all_rows() -> None:
    explainer = Explainer((0, 1, 0), (0, 0, 1))
    first, second = model_reasons(explainer, [ROW, ROW | {"a": 5.0}], {})
    assert (first[-5:], second[-5:]) == (" a: 1", " b: 2")
    assert explainer.asked == [[ROW, ROW | {"a": 5.0}]]


def test_a_model_without_attributions_gives_no_reasons_and_no_row_no_question() -> None:
    explainer = Explainer()
    assert model_reasons(explainer, [ROW, ROW], {}) == ["", ""]
    assert len(explainer.asked) == 1
    assert model_reasons(explainer, [], {}) == []
    assert len(explainer.asked) == 1


@pytest.mark.parametrize("feature", FEATURES, ids=lambda feature: feature.name)
def test_each_of_our_features_is_a_sentence(feature: Feature) -> None:
    class One(Explainer):
        def attributions(self, features: pa.Table) -> tuple[np.ndarray, dict[str, np.ndarray]]:
            return np.array([-0.25]), {feature.name: np.array([1.0])}

    (reason,) = model_reasons(One(), [{feature.name: 0.75}], {})
    assert reason.startswith(f"{ONE} ")
    assert feature.name not in reason
    assert ("75%" if feature.unit == "share of hours" else "2.1 times") in reason
