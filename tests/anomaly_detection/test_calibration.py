"""P-values mean the same across scores, rows and retrainings."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import IsolationForest

from anomaly_detection.training.calibration import calibration_of
from egress_alerts.model import MIN_TRAINING_HOURS, p_values

scores = st.lists(
    st.floats(-0.5, 0.5).map(lambda s: round(s, 3)), min_size=MIN_TRAINING_HOURS, max_size=2 * MIN_TRAINING_HOURS
).map(np.array)


@settings(max_examples=100, deadline=None)
@given(scores, scores)
def test_a_p_value_rises_with_the_score_and_is_a_probability(training: np.ndarray, new: np.ndarray) -> None:
    found = p_values({"calibration": calibration_of(training)}, np.sort(new))
    assert (found > 0).all()
    assert (found <= 1).all()
    assert (np.diff(found) >= -1e-12).all()


@settings(max_examples=100, deadline=None)
@given(scores)
def test_the_lowest_and_the_highest_score_of_training_have_their_share(training: np.ndarray) -> None:
    found = p_values({"calibration": calibration_of(training)}, training)
    lowest = (training <= training.min()).sum() / (len(training) + 1)
    assert found.min() == pytest.approx(lowest)
    assert found.max() == pytest.approx(len(training) / (len(training) + 1))


@pytest.mark.parametrize(("rows", "is_known"), [(MIN_TRAINING_HOURS - 1, False), (MIN_TRAINING_HOURS, True)])
def test_a_model_that_has_seen_too_few_hours_gives_no_p_value(rows: int, is_known: bool) -> None:
    calibration = calibration_of(np.linspace(-0.5, 0.5, 400)) | {"rows": rows}
    found = p_values({"calibration": calibration}, np.array([-0.4]))
    assert np.isfinite(found).all() == is_known


def test_the_tail_continues_beyond_the_lowest_score() -> None:
    training = np.random.default_rng(0).exponential(0.02, 50_000) * -1
    found = p_values({"calibration": calibration_of(training)}, np.array([-0.25, -0.30]))
    assert found[0] / np.exp(-0.25 / 0.02) == pytest.approx(1, abs=0.9)
    assert found[0] / found[1] == pytest.approx(np.exp(0.05 / 0.02), rel=0.25)


def test_each_retraining_calls_the_same_share_of_quiet_hours_as_unusual() -> None:
    for seed, (trees, rows) in enumerate([(50, 64), (50, 256), (100, 1024)]):
        random = np.random.default_rng(seed)
        learned, quiet = (random.gamma(1.5, 1.0, (20_000, 4)) for _ in range(2))
        forest = IsolationForest(n_estimators=trees, max_samples=rows, random_state=seed).fit(learned)
        found = p_values(
            {"calibration": calibration_of(forest.decision_function(learned))}, forest.decision_function(quiet)
        )
        for share in (0.001, 0.01, 0.1, 0.5):
            assert np.mean(found <= share) == pytest.approx(share, rel=0.15, abs=0.0007)
