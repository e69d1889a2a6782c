"""Distances between two histograms over the same bins. Pure."""

from __future__ import annotations

import numpy as np

# Half a row is added to each bin, so that an empty bin does not make the distance infinite.
_SMOOTHING = 0.5
# Chance alone exceeds a sampling limit less than once in 10,000 times.
_DEVIATIONS = 4.0
_TWO_SIDED_TAIL = 6e-5


def stability_index(counts: np.ndarray, expected: np.ndarray) -> float:
    """Return the population stability index of counts against expected counts. It is 0 for equal shares.

    Parameters
    ----------
    counts, expected : ndarray of shape (n_bins,)
        Rows in each bin.
    """
    now = (counts + _SMOOTHING) / (counts.sum() + _SMOOTHING * len(counts))
    then = (expected + _SMOOTHING) / (expected.sum() + _SMOOTHING * len(expected))
    return float(np.sum((now - then) * np.log(now / then)))


def kolmogorov_smirnov(counts: np.ndarray, expected: np.ndarray) -> float:
    """Return the largest difference between the cumulative shares at the bins' edges, from 0 to 1."""
    now, then = np.cumsum(counts) / max(counts.sum(), 1), np.cumsum(expected) / max(expected.sum(), 1)
    return float(np.abs(now - then).max())


def sampling_limits(counts: np.ndarray, expected: np.ndarray) -> dict[str, float]:
    """Return the distances that two samples of the same rows hardly ever exceed by chance, by the distance's name.

    Parameters
    ----------
    counts, expected : ndarray of shape (n_bins,)
        Rows in each bin. The index of equal samples is approximately chi-squared; the tail is Wilson and Hilferty's.
    """
    per_row = 1 / max(counts.sum(), 1) + 1 / max(expected.sum(), 1)
    freedom = max(len(counts) - 1, 1)
    spread = 2 / (9 * freedom)
    return {
        "psi": float(per_row * freedom * (1 - spread + _DEVIATIONS * np.sqrt(spread)) ** 3),
        "ks": float(np.sqrt(-np.log(_TWO_SIDED_TAIL / 2) / 2 * per_row)),
        "mean_deviations": float(_DEVIATIONS * np.sqrt(per_row)),
    }
