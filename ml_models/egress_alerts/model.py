"""The values that alerts take from the model: scores, p-values, the model's id, and the reasons of a score."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SMALLEST_P_VALUE = 1e-12
# With fewer material training hours, the rarest twentieth has too few hours to decide.
MIN_TRAINING_HOURS = 200
_NAMED_FEATURES = 2
_WORTH_NAMING = 0.05  # share of all contributions towards an anomaly
_LOGARITHM = "_log"  # the suffix of features that are logarithms of ratios
# The wording of our features in alerts (a test compares the names with `egress_features.schema`). Features of other
# models appear with their description and value.
_FACTORS = {
    "excess_3d_log": "the last three days are {times} times as far above expected as any three days in five weeks",
    "steady_18h_log": "the last 18 hours stay {times} times as far above expected as any 18 hours in five weeks",
    "repeated_3d_log": "each of the last three days is {times} times as far above expected as any three in five weeks",
    "beyond_habit_log": "{times} times its largest excess in five weeks",
    "persistence": "{share} of the last 24 hours are at least 30 % above expected",
}


class ScorerError(RuntimeError):
    """The model refused the rows, or gave no answer."""


class Scorer(Protocol):
    """A model that scores rows: a SageMaker endpoint, or an artifact in this process."""

    def score(self, features: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Return `is_anomaly` (int8) and `anomaly_score` (float64) of shape (n,) for n rows of feature columns."""

    def manifest(self, row: pa.Table) -> Mapping[str, Any]:
        """Return the model's manifest, with one row of features for the request. It is empty if there is none."""

    def attributions(self, features: pa.Table) -> tuple[np.ndarray, Mapping[str, np.ndarray]] | None:
        """Return `anomaly_score` and, by feature, how many splits sooner it isolates each row; None if not offered."""


def model_id(manifest: Mapping[str, Any]) -> str:
    """Return the first half of the forest's hash. It is empty if the manifest has none."""
    files = manifest.get("files")
    return str(files.get("model.joblib", ""))[:16] if isinstance(files, dict) else ""


def p_values(manifest: Mapping[str, Any], scores: np.ndarray) -> np.ndarray | None:
    """Return for each score the share of the material training hours that score as low.

    Parameters
    ----------
    manifest : mapping
        Its `calibration` is what training wrote: points of `anomaly_score` against `p_value`, and beyond the first an
        exponential tail of `tail_scale`.
    scores : ndarray of shape (n,), float64

    Returns
    -------
    ndarray of shape (n,), float64, or None
        None when the model is not calibrated, as a custom model may be; NaN when it has seen too few material hours.
    """
    calibration = manifest.get("calibration")
    if not isinstance(calibration, dict):
        return None
    if calibration.get("rows", MIN_TRAINING_HOURS) < MIN_TRAINING_HOURS:
        return np.full(len(scores), np.nan)
    at = np.array(calibration["anomaly_score"])
    logs = np.interp(scores, at, np.log(calibration["p_value"]))
    beyond = np.minimum(scores - at[0], 0.0) / calibration["tail_scale"]
    return np.asarray(np.maximum(np.exp(logs + beyond), SMALLEST_P_VALUE))


def model_reasons(scorer: Scorer, rows: Sequence[Mapping[str, float]], descriptions: Mapping[str, str]) -> list[str]:
    """Return for each row (feature name to value) which features make it anomalous, in a sentence.

    The model is asked once. The sentences are "" when it offers no attributions: an alert does not wait for its
    reasons. A feature's weight is its share among the features that make the row more anomalous.
    """
    if not rows:
        return []
    names = list(rows[0])
    table = pa.table({name: np.array([row[name] for row in rows], dtype=np.float32) for name in names})
    answer = scorer.attributions(table)
    if answer is None:
        return [""] * len(rows)
    _, by_name = answer
    credited = np.column_stack([by_name[name] for name in names])
    return [_sentence(row, one, descriptions) for row, one in zip(rows, credited, strict=True)]


def _sentence(row: Mapping[str, float], credited: np.ndarray, descriptions: Mapping[str, str]) -> str:
    parts_by_name = _credits(row, credited)
    whole = sum(parts_by_name.values())
    best = [name for name in sorted(parts_by_name, key=lambda name: -parts_by_name[name])[:_NAMED_FEATURES] if whole]
    named = [name for name in best if parts_by_name[name] >= _WORTH_NAMING * whole]
    if not named:
        return "no single feature explains the score: many contribute a little"
    shares = [f"{parts_by_name[name] / whole:.0%}" for name in named]
    parts = [
        f"{_factor(name, row[name], descriptions)}{'' if share == '100%' else f' ({share})'}"
        for name, share in zip(named, shares, strict=True)
    ]
    if len(parts) == 1:
        return f"main factor for the model: {parts[0]}"
    return f"main factors for the model: {'; '.join(parts)}"


def _factor(name: str, value: float, descriptions: Mapping[str, str]) -> str:
    if name in _FACTORS:
        return _FACTORS[name].format(times=f"{math.exp(value):,.1f}", share=f"{value:.0%}")
    return f"{descriptions.get(name, name)}: {_value_text(name, value)}"


def _credits(row: Mapping[str, float], credited: np.ndarray) -> dict[str, float]:
    """Return what speaks for an anomaly by feature; a feature that repeats another one's value adds to its credit."""
    parts_by_name: dict[str, float] = {}
    first: dict[float, str] = {}
    for name, credit in zip(row, np.maximum(credited, 0), strict=True):
        same = first.setdefault(row[name], name) if row[name] else name
        parts_by_name[same] = parts_by_name.get(same, 0.0) + float(credit)
    return parts_by_name


def _value_text(name: str, value: float) -> str:
    return f"{math.exp(value):,.1f} times" if name.endswith(_LOGARITHM) else f"{value:.2g}"
