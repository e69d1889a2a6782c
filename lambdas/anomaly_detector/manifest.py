"""What the model that serves says of itself in its manifest. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

SMALLEST = 1e-12


def model_id_of(manifest: Mapping[str, Any]) -> str:
    """Return the first half of the forest's hash; empty where the model does not say."""
    files = manifest.get("files")
    return str(files.get("model.joblib", ""))[:16] if isinstance(files, dict) else ""


def p_values(manifest: Mapping[str, Any], scores: np.ndarray) -> np.ndarray | None:
    """Return the share of the training hours in which something happened that score as low, for each score.

    Parameters
    ----------
    manifest : mapping
        Its `calibration` is what training wrote: points of `anomaly_score` against `p_value`, and beyond the first an
        exponential tail of `tail_scale`.
    scores : ndarray of shape (n,), float64

    Returns
    -------
    ndarray of shape (n,), float64, or None
        None where the model is not calibrated, such as one of one's own.
    """
    calibration = manifest.get("calibration")
    if not isinstance(calibration, dict):
        return None
    at = np.array(calibration["anomaly_score"])
    logs = np.interp(scores, at, np.log(calibration["p_value"]))
    beyond = np.minimum(scores - at[0], 0.0) / calibration["tail_scale"]
    return np.asarray(np.maximum(np.exp(logs + beyond), SMALLEST))
