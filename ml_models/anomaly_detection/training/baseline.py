"""Writes baseline.json, the description of the training data.

Serving validates rows with it, and drift is measured against it. `describe_training` describes each feature over all
rows. `describe_days` counts rows by day, so that a later day can be compared with the same weekday. The training script
of any other model can use `describe_table`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from numpy.typing import NDArray

BASELINE_VERSION = 1
PERCENTS = (0.1, 1, 5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99, 99.9)
DECILES = tuple(range(10, 100, 10))
# Eight weeks have eight days of each weekday. Older days are less similar to the next one.
MAX_DAYS = 56
# Features depend on the previous five weeks, so the first days of a history differ from later days. They are left out
# if at least four weeks remain.
WARM_UP_DAYS = 35
MIN_KEPT_DAYS = 28
# A value with at least this share of the rows gets a separate bin: many features are mostly zero.
COMMON_SHARE = 0.1
# A text column with more distinct values is not a category but an identifier or free text.
_MAX_VALUES = 100


def describe_training(matrix: NDArray[np.float32], names: Sequence[str], scores: NDArray[np.float64]) -> dict[str, Any]:
    """Describe the training rows for baseline.json.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_features), float32
        The training data. NaN is a missing value.
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


def describe_table(frame: pd.DataFrame, outputs: Sequence[str] = ()) -> dict[str, Any]:
    """Describe the training rows of any model. Write the result to `baseline.json` in the model directory for `drift`.

    Parameters
    ----------
    frame : DataFrame
        The training rows without the label. Columns of numbers or bools are described. In text columns with at most
        100 distinct values, the values are counted.
    outputs : sequence of str
        Numeric columns that the model outputs, such as a probability. Drift is measured in rows that have them.

    Returns
    -------
    dict
        ``features`` and ``outputs`` (name to `describe`) and ``categories`` (name to ``values`` and ``counts``, with
        one more count for rows without a value).
    """
    numbers = frame.select_dtypes(include=["number", "bool"])
    described = {str(name): describe(column.to_numpy(np.float64)) for name, column in numbers.items()}
    texts = {str(name): column.dropna().astype(str) for name, column in frame.items() if str(name) not in described}
    counted = {name: column.value_counts() for name, column in texts.items()}
    return {
        "baseline_version": BASELINE_VERSION,
        "features": {name: found for name, found in described.items() if name not in outputs},
        "outputs": {name: described[name] for name in outputs},
        "categories": {
            name: {"values": counts.index.tolist(), "counts": [*counts.tolist(), len(frame) - len(texts[name])]}
            for name, counts in counted.items()
            if 0 < len(counts) <= _MAX_VALUES
        },
    }


def describe(values: NDArray[Any]) -> dict[str, Any]:
    """Describe one column.

    Parameters
    ----------
    values : ndarray of shape (n_rows,)
        NaN is a missing value.

    Returns
    -------
    dict
        ``count`` (including missing values), ``missing_count``, ``is_integral``, ``min``, ``max``, ``mean``, ``std``
        (population) and ``quantiles`` (percent to value). For a population stability index, ``bin_edges`` (the distinct
        inner deciles, so at most ten bins) and ``bin_shares`` (one more than edges; bin i holds
        edge[i-1] < x <= edge[i]).
        If all values are missing, the statistics are None and there are no bins.
    """
    known = values[~np.isnan(values)].astype(np.float64)
    described: dict[str, Any] = {"count": int(values.size), "missing_count": int(values.size - known.size)}
    if not known.size:
        nothing = dict.fromkeys(("min", "max", "mean", "std"))
        return described | nothing | {"is_integral": False, "quantiles": {}, "bin_edges": [], "bin_shares": []}
    edges = np.unique(np.percentile(known, DECILES))
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=edges.size + 1)
    return described | {
        "is_integral": bool((known == np.rint(known)).all()),
        "min": float(known.min()),
        "max": float(known.max()),
        "mean": float(known.mean()),
        "std": float(known.std()),
        "quantiles": quantiles(known),
        "bin_edges": edges.tolist(),
        "bin_shares": (counts / known.size).tolist(),
    }


def quantiles(values: NDArray[np.float64]) -> dict[str, float]:
    """Return percent (as text) to value for each of `PERCENTS`, with linear interpolation."""
    return dict(zip(map(str, PERCENTS), np.percentile(values, PERCENTS).tolist(), strict=True))


def describe_days(
    matrix: NDArray[np.float32],
    names: Sequence[str],
    scores: NDArray[np.float64],
    hours: NDArray[np.datetime64] | None,
    is_nonzero: NDArray[np.bool_],
    categories: Mapping[str, tuple[NDArray[np.int32], Sequence[str]]],
) -> dict[str, Any] | None:
    """Count the training rows of each of the last whole days, for baseline.json.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_features), float32
        NaN is a missing value.
    names : sequence of str
        The features, in the order of the columns.
    scores : ndarray of shape (n_rows,), float64
    hours : ndarray of shape (n_rows,), datetime64[us], or None
    is_nonzero : ndarray of shape (n_rows,), bool
        The rows that the forest was fitted on. Only these are counted in bins, since zero rows would dominate.
    categories : mapping
        Key to (index of each row's value, values).

    Returns
    -------
    dict or None
        None if the rows have no hours. ``days`` ("2026-11-24", oldest first, at most 56 whole days), and for each day
        ``rows``, ``nonzero_rows`` and ``flagged_rows``. ``columns``: feature, and anomaly_score, to ``edges`` and
        ``counts`` (a list per day; bin i holds edge[i-1] < x <= edge[i], missing values are not counted).
        ``categories``: key to ``values`` and ``counts``.
    """
    day_of_row = None if hours is None else hours.astype("datetime64[D]")
    days = None if hours is None or day_of_row is None else _whole_days(hours, day_of_row)
    if days is None or day_of_row is None or not len(days):
        return None
    place = np.searchsorted(days, day_of_row)
    place[place == len(days)] = 0
    is_counted = days[place] == day_of_row
    counted = is_counted & is_nonzero
    columns = {name: matrix[counted, index] for index, name in enumerate(names)} | {"anomaly_score": scores[counted]}
    return {
        "days": [str(day) for day in days],
        "rows": np.bincount(place[is_counted], minlength=len(days)).tolist(),
        "nonzero_rows": np.bincount(place[counted], minlength=len(days)).tolist(),
        "flagged_rows": np.bincount(place[counted & (scores < 0)], minlength=len(days)).tolist(),
        "columns": {name: _binned(values, place[counted], len(days)) for name, values in columns.items()},
        "categories": {
            name: {"values": list(values), "counts": _counts(codes[counted], place[counted], len(values), len(days))}
            for name, (codes, values) in categories.items()
        },
    }


def _whole_days(hours: NDArray[np.datetime64], day_of_row: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Return the last days that are completely between the first and the last hour."""
    known = hours[~np.isnat(hours)]
    if not len(known):
        return np.empty(0, "datetime64[D]")
    first, last = known.min(), known.max()
    days = np.unique(day_of_row[~np.isnat(day_of_row)])
    day = np.timedelta64(1, "D")
    whole = days[(days >= first) & (days + day <= last + np.timedelta64(1, "h"))]
    skipped = min(WARM_UP_DAYS, max(0, len(whole) - MIN_KEPT_DAYS))
    return np.asarray(whole[skipped:][-MAX_DAYS:])


def _binned(values: NDArray[Any], place: NDArray[np.int64], days: int) -> dict[str, Any]:
    is_known = ~np.isnan(values)
    known = values[is_known].astype(np.float64)
    edges = _edges(known)
    bins = np.searchsorted(edges, known, side="left")
    return {"edges": edges.tolist(), "counts": _counts(bins, place[is_known], len(edges) + 1, days)}


def _edges(known: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the deciles. If many rows have the smallest value, return that value and the deciles above it."""
    if not known.size:
        return np.empty(0)
    least = known.min()
    above = known[known > least]
    if above.size == known.size or known.size - above.size < COMMON_SHARE * known.size:
        return np.unique(np.percentile(known, DECILES))
    return np.unique([least, *(np.percentile(above, DECILES) if above.size else [])])


def _counts(bins: NDArray[Any], place: NDArray[np.int64], width: int, days: int) -> list[list[int]]:
    counts: list[list[int]] = np.bincount(place * width + bins, minlength=days * width).reshape(days, width).tolist()
    return counts
