"""Scores to p-values: the share of the training hours in which something happened that score as low or lower.

A score means something beside its own forest only: another training, another `max_samples`, and -0.1 is another thing.
Its p-value means the same with every model. It is the empirical tail of the training scores, and beyond their lowest an
exponential one with the mean excess of the lowest hundredth: what the generalised Pareto distribution of extreme values
is where its shape is 0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

KNOTS = 64
TAIL_SHARE = 0.01
LEAST_TAIL_ROWS = 10
LEAST_SCALE = 1e-3  # a tail of equal scores says nothing of what lies beyond
SMALLEST = 1e-12


def calibration_of(scores: NDArray[np.float64]) -> dict[str, Any]:
    """Describe the tail of training scores, for manifest.json.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,), float64
        `anomaly_score` of the training rows in which something happened.

    Returns
    -------
    dict
        ``anomaly_score`` and ``p_value``: at most 64 rising points of the one against the other, dense in the tail;
        ``tail_scale``: how much lower than the first point a score is whose p-value is e times smaller.
    """
    ordered = np.sort(scores)
    rows = len(ordered)
    ranks = np.unique(np.geomspace(1, rows, min(KNOTS, rows)).round().astype(np.int64))
    # Of equal scores the last rank counts: as low or lower.
    at = np.unique(ordered[ranks - 1])
    shares = np.searchsorted(ordered, at, side="right") / (rows + 1)
    tail = ordered[: min(max(int(TAIL_SHARE * rows), LEAST_TAIL_ROWS), rows)]
    return {
        "anomaly_score": at.tolist(),
        "p_value": shares.tolist(),
        "tail_scale": max(float(np.mean(tail[-1] - tail)), LEAST_SCALE),
    }
