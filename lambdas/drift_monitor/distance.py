"""How far apart two counts over the same bins are. Pure."""

from __future__ import annotations

import numpy as np

# Half a row in each bin: an empty one must not be infinitely far away.
_SMOOTHING = 0.5


def stability_index(counts: np.ndarray, expected: np.ndarray) -> float:
    """Return the population stability index of counts against expected ones; 0 where both have the same shares.

    Parameters
    ----------
    counts, expected : ndarray of shape (n_bins,)
        Rows in each bin.
    """
    now = (counts + _SMOOTHING) / (counts.sum() + _SMOOTHING * len(counts))
    then = (expected + _SMOOTHING) / (expected.sum() + _SMOOTHING * len(expected))
    return float(np.sum((now - then) * np.log(now / then)))


def kolmogorov_smirnov(counts: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference of the two cumulative shares at the bins' edges, 0 to 1."""
    now, then = np.cumsum(counts) / max(counts.sum(), 1), np.cumsum(expected) / max(expected.sum(), 1)
    return float(np.abs(now - then).max())
