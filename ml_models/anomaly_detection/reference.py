"""What ordinary days looked like, counted day by day: what a later day is held against, its own weekday first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

# Weekdays come again: eight weeks have eight Mondays, and a year-old Monday says little of the next one.
MAX_DAYS = 56
# Features look back five weeks; days that do not have these behind them look different, and are left out where
# four weeks remain without them.
WARM_UP_DAYS = 35
MIN_KEPT_DAYS = 28
DECILES = tuple(range(10, 100, 10))
# A value that so many rows share is a bin of its own: many features are zero unless something happens.
COMMON_SHARE = 0.1


def describe_days(
    matrix: NDArray[np.float32],
    names: Sequence[str],
    scores: NDArray[np.float64],
    hours: NDArray[np.datetime64] | None,
    is_telling: NDArray[np.bool_],
    categories: Mapping[str, tuple[NDArray[np.int32], Sequence[str]]],
) -> dict[str, Any] | None:
    """Count the training rows of each of the last whole days, for baseline.json.

    Parameters
    ----------
    matrix : ndarray of shape (n_rows, n_features), float32
        NaN is missing.
    names : sequence of str
        The features, in the order of the columns.
    scores : ndarray of shape (n_rows,), float64
    hours : ndarray of shape (n_rows,), datetime64[us], or None
    is_telling : ndarray of shape (n_rows,), bool
        The rows that the forest was fitted on; only these are counted in bins, since rows of zeros would hide them.
    categories : mapping
        Key to (number of each row's value, values).

    Returns
    -------
    dict or None
        None where the rows have no hours. ``days`` ("2026-11-24", oldest first, at most 56 whole ones), and for each of
        them ``rows``, ``telling_rows`` and ``flagged_rows``; ``columns``: feature, and anomaly_score, to ``edges`` and
        ``counts`` (a list for each day; bin i holds edge[i-1] < x <= edge[i], missing values are in none);
        ``categories``: key to ``values`` and ``counts``.
    """
    day_of_row = None if hours is None else hours.astype("datetime64[D]")
    days = None if hours is None or day_of_row is None else _whole_days(hours, day_of_row)
    if days is None or day_of_row is None or not len(days):
        return None
    place = np.searchsorted(days, day_of_row)
    place[place == len(days)] = 0
    is_counted = days[place] == day_of_row
    told = is_counted & is_telling
    columns = {name: matrix[told, index] for index, name in enumerate(names)} | {"anomaly_score": scores[told]}
    return {
        "days": [str(day) for day in days],
        "rows": np.bincount(place[is_counted], minlength=len(days)).tolist(),
        "telling_rows": np.bincount(place[told], minlength=len(days)).tolist(),
        "flagged_rows": np.bincount(place[told & (scores < 0)], minlength=len(days)).tolist(),
        "columns": {name: _binned(values, place[told], len(days)) for name, values in columns.items()},
        "categories": {
            name: {"values": list(values), "counts": _counts(codes[told], place[told], len(values), len(days))}
            for name, (codes, values) in categories.items()
        },
    }


def _whole_days(hours: NDArray[np.datetime64], day_of_row: NDArray[np.datetime64]) -> NDArray[np.datetime64]:
    """Choose the last days that lie whole between the first and the last hour."""
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
    """Return the deciles; where many rows share the smallest value, that value and the deciles above it."""
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
