"""Converts scores to p-values: the share of nonzero training rows with an equal or lower score.

Scores of different forests are not comparable: with another training or another `max_samples`, -0.1 has another
meaning. p-values are comparable. They follow the empirical distribution of the training scores. Below the lowest score
they follow an exponential tail with the mean excess of the lowest 1 %, which is the generalised Pareto distribution of
extreme values with shape 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KNOTS = 64
TAIL_SHARE = 0.01
LEAST_TAIL_ROWS = 10
LEAST_SCALE = 1e-3  # equal scores in the tail do not determine its scale
SMALLEST = 1e-12


def calibration_of(scores: NDArray[np.float64]) -> dict[str, Any]:
    """Describe the tail of training scores, for manifest.json.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,), float64
        `anomaly_score` of the nonzero training rows.

    Returns
    -------
    dict
        ``anomaly_score`` and ``p_value``: at most 64 points of the function in ascending order, dense in the tail.
        ``tail_scale``: the decrease of the score below the first point that divides the p-value by e.
    """
    ordered = np.sort(scores)
    rows = len(ordered)
    ranks = np.unique(np.geomspace(1, rows, min(KNOTS, rows)).round().astype(np.int64))
    # Equal scores have the last rank of their group, since the p-value counts equal or lower scores.
    at = np.unique(ordered[ranks - 1])
    shares = np.searchsorted(ordered, at, side="right") / (rows + 1)
    tail = ordered[: min(max(int(TAIL_SHARE * rows), LEAST_TAIL_ROWS), rows)]
    return {
        "anomaly_score": at.tolist(),
        "p_value": shares.tolist(),
        "tail_scale": max(float(np.mean(tail[-1] - tail)), LEAST_SCALE),
    }
