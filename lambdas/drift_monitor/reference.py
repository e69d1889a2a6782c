"""What the serving model was trained on, day by day, and how far its own days lie from each other. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from drift_monitor.distance import kolmogorov_smirnov, stability_index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Distance = Callable[[np.ndarray, np.ndarray], float]

# Three of each weekday.
MIN_DAYS = 21
# An ordinary day's distance is about lognormal, and the cube root of its share flagged about normal; beyond so many
# deviations a day is no ordinary one.
DEVIATIONS = 4.0
SCORE, FLAGGED = "anomaly_score", "flagged_share"
DISTANCES: dict[str, Distance] = {"psi": stability_index, "ks": kolmogorov_smirnov}


class NoReferenceError(ValueError):
    """The model's artifact does not say enough of its training days, in one sentence."""


@dataclass(frozen=True)
class Counts:
    """Rows by day and bin.

    Parameters
    ----------
    counts : ndarray of shape (n_days, n_bins)
    weekdays : ndarray of shape (n_days,)
        Monday 0.
    """

    counts: np.ndarray
    weekdays: np.ndarray

    def expected(self, weekday: int) -> np.ndarray:
        """Return the counts of the days of a weekday together, shape (n_bins,)."""
        return np.asarray(self.counts[self.weekdays == weekday].sum(axis=0))

    def usual_distances(self, distance: Distance) -> np.ndarray:
        """Return each day's distance from the other days of its weekday, shape (n_days,)."""
        together = {weekday: self.expected(weekday) for weekday in set(self.weekdays.tolist())}
        days = zip(self.counts, self.weekdays.tolist(), strict=True)
        return np.array([distance(counts, together[weekday] - counts) for counts, weekday in days])


@dataclass(frozen=True)
class Column:
    """A feature's or the scores' bins, counts, and range over all training rows."""

    edges: np.ndarray
    counts: Counts
    least: float
    largest: float
    missing_share: float

    @cached_property
    def usual_limits(self) -> dict[str, float]:
        """The distance, by its name, beyond which a day is unlike all days that training saw."""
        return {name: _beyond(self.counts.usual_distances(distance)) for name, distance in DISTANCES.items()}

    def binned(self, values: np.ndarray) -> np.ndarray:
        """Count values, NaN left out, in the bins: bin i holds edge[i-1] < x <= edge[i]."""
        known = values[~np.isnan(values)]
        return np.bincount(np.searchsorted(self.edges, known, side="left"), minlength=len(self.edges) + 1)


@dataclass(frozen=True)
class Category:
    """A key's values and their counts; the last bin holds every other value."""

    values: list[str]
    counts: Counts

    @cached_property
    def usual_limit(self) -> float:
        """The stability index beyond which a day is unlike all days that training saw."""
        return _beyond(self.counts.usual_distances(stability_index))

    def binned(self, values: np.ndarray) -> np.ndarray:
        """Count values in the bins."""
        places = {value: place for place, value in enumerate(self.values)}
        codes = [places.get(value, len(places)) for value in values.tolist()]
        return np.bincount(np.array(codes, np.int64), minlength=len(places) + 1)


@dataclass(frozen=True)
class Reference:
    """All that a day is held against; `model_id` is that of the rows which the model scored."""

    model_id: str
    days: list[str]
    features: list[str]
    columns: dict[str, Column]
    categories: dict[str, Category]
    telling_rows: np.ndarray
    flagged_rows: np.ndarray
    rows: np.ndarray

    @property
    def flagged_share(self) -> float:
        """Of the rows that are not zero throughout."""
        return float(self.flagged_rows.sum() / max(self.telling_rows.sum(), 1))

    @cached_property
    def usual_flagged_limit(self) -> float:
        """The share flagged beyond which a day is unlike all days that training saw."""
        roots = np.cbrt(self.flagged_rows / np.maximum(self.telling_rows, 1))
        return float((roots.mean() + DEVIATIONS * roots.std()) ** 3)


def reference_of(manifest: Mapping[str, Any], baseline: Mapping[str, Any]) -> Reference:
    """Read an artifact's manifest.json and baseline.json.

    Raises
    ------
    NoReferenceError
        It has no days, or too few.
    """
    found = baseline.get("reference")
    if not found:
        raise NoReferenceError(
            "the serving model's baseline.json has no reference days: it was trained by an earlier version, or on rows "
            "without hour_utc; train it again"
        )
    days = list(found["days"])
    if len(days) < MIN_DAYS:
        raise NoReferenceError(
            f"the serving model was trained on {len(days)} whole days; drift is judged from {MIN_DAYS} on, three of "
            "each weekday"
        )
    weekdays = np.array([date.fromisoformat(day).weekday() for day in days])
    described = dict(baseline["features"]) | {SCORE: baseline[SCORE]}
    return Reference(
        model_id=str(manifest.get("files", {}).get("model.joblib", ""))[:16],
        days=days,
        features=list(manifest["feature_names"]),
        columns={name: _column(column, described[name], weekdays) for name, column in found["columns"].items()},
        categories={
            name: Category(list(category["values"]), Counts(_with_others(category["counts"]), weekdays))
            for name, category in found.get("categories", {}).items()
        },
        telling_rows=np.array(found["telling_rows"]),
        flagged_rows=np.array(found["flagged_rows"]),
        rows=np.array(found["rows"]),
    )


def _column(column: Mapping[str, Any], described: Mapping[str, Any], weekdays: np.ndarray) -> Column:
    least, largest = described["min"], described["max"]
    return Column(
        edges=np.array(column["edges"], np.float64),
        counts=Counts(np.array(column["counts"]), weekdays),
        least=-np.inf if least is None else least,
        largest=np.inf if largest is None else largest,
        missing_share=described["missing_count"] / max(described["count"], 1),
    )


def _with_others(counts: list[list[int]]) -> np.ndarray:
    array = np.array(counts)
    return np.hstack([array, np.zeros((len(array), 1), array.dtype)])


def _beyond(ordinary: np.ndarray) -> float:
    """Return what a lognormal with these values would not reach."""
    logarithms = np.log(np.maximum(ordinary, 1e-6))
    return float(np.exp(logarithms.mean() + DEVIATIONS * logarithms.std()))
