"""What the training data looked like, feature by feature: what serving accepts, and what drift is measured against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

BASELINE_VERSION = 1
PERCENTS = (0.1, 1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.9)
DECILES = tuple(range(10, 100, 10))


def describe_training(matrix: NDArray[np.float32], names: Sequence[str], scores: NDArray[np.float64]) -> dict[str, Any]:
    """Describe the training rows for baseline.json.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_features), float32
        The training data; NaN is missing.
    names : sequence of str
        The features, in the order of the columns.
    scores : ndarray of shape (n_rows,), float64
        `anomaly_score` of the training rows.

    Returns
    -------
    dict
        ``features`` (name to `describe`) and ``anomaly_score`` (`describe` of the scores).
    """
    features = {name: describe(matrix[:, index]) for index, name in enumerate(names)}
    return {"baseline_version": BASELINE_VERSION, "features": features, "anomaly_score": describe(scores)}


def describe(values: NDArray[Any]) -> dict[str, Any]:
    """Describe one column.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        NaN is missing.

    Returns
    -------
    dict
        ``count`` (with the missing ones), ``missing_count``, ``min``, ``max``, ``mean``, ``std`` (population),
        ``quantiles`` (percent to value), and for a population stability index ``bin_edges`` (the inner deciles,
        equal ones once, so ten bins at most) with ``bin_shares`` (one more; bin i holds edge[i-1] < x <= edge[i]).
        Where all are missing, the statistics are None and there are no bins.
    """
    known = values[~np.isnan(values)].astype(np.float64)
    described: dict[str, Any] = {"count": int(values.size), "missing_count": int(values.size - known.size)}
    if not known.size:
        nothing = dict.fromkeys(("min", "max", "mean", "std"))
        return described | nothing | {"quantiles": {}, "bin_edges": [], "bin_shares": []}
    edges = np.unique(np.percentile(known, DECILES))
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=edges.size + 1)
    return described | {
        "min": float(known.min()),
        "max": float(known.max()),
        "mean": float(known.mean()),
        "std": float(known.std()),
        "quantiles": quantiles(known),
        "bin_edges": edges.tolist(),
        "bin_shares": (counts / known.size).tolist(),
    }


def quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    """Percent (as text) to value, for each of `PERCENTS`, with linear interpolation."""
    return dict(zip(map(str, PERCENTS), np.percentile(values, PERCENTS).tolist(), strict=True))
