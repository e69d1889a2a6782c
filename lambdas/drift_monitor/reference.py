"""The training rows of the serving model, and the distances between their days. Pure.

Rows with `hour_utc` are counted by day. Any other table is a single set of training rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from drift_monitor.distance import kolmogorov_smirnov, sampling_limits, stability_index

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Distance = Callable[[np.ndarray, np.ndarray], float]

# Three days of each weekday.
MIN_DAYS = 21
# An ordinary day's distance is approximately lognormal, and the cube root of its share of anomalous rows approximately
# normal. A day beyond this many deviations is not ordinary.
DEVIATIONS = 4.0
SCORE, FLAGGED = "anomaly_score", "flagged_share"
DISTANCES: dict[str, Distance] = {"psi": stability_index, "ks": kolmogorov_smirnov}


class NoReferenceError(ValueError):
    """The model's artifact has no sufficient description of its training days. The message is one sentence."""


@dataclass(frozen=True)
class Counts:
    """Rows by day and bin.

    Parameters
    ----------
    counts : ndarray of shape (n_days, n_bins)
        A single row if training has no days.
    weekdays : ndarray of shape (n_days,)
        Monday is 0. Empty if training has no days.
    """

    counts: np.ndarray
    weekdays: np.ndarray

    def expected(self, weekday: int | None) -> np.ndarray:
        """Return the sum of the counts of a weekday's days, or of all rows for None, shape (n_bins,)."""
        chosen = self.weekdays == weekday if self.knows(weekday) else slice(None)
        return np.asarray(self.counts[chosen].sum(axis=0))

    def knows(self, weekday: int | None) -> bool:
        """Return whether the reference has days of this weekday."""
        return weekday is not None and len(self.weekdays) > 0

    def usual_distances(self, distance: Distance) -> np.ndarray:
        """Return each day's distance from the other days of its weekday, shape (n_days,)."""
        together = {weekday: self.expected(weekday) for weekday in set(self.weekdays.tolist())}
        days = zip(self.counts, self.weekdays.tolist(), strict=True)
        return np.array([distance(counts, together[weekday] - counts) for counts, weekday in days])


@dataclass(frozen=True)
class Column:
    """Bins, counts and range of a feature or of the scores over all training rows."""

    edges: np.ndarray
    counts: Counts
    least: float
    largest: float
    missing_share: float
    mean: float | None = None
    deviation: float = 0.0
    is_integral: bool = False

    @cached_property
    def usual_limits(self) -> dict[str, float]:
        """The limits, by the distance's name, beyond which a day differs from all training days."""
        return {name: _beyond(self.counts.usual_distances(distance)) for name, distance in DISTANCES.items()}

    def ordinary(self, statistic: str, counts: np.ndarray, weekday: int | None) -> float:
        """Return the distance that an ordinary day, or a random sample of the training rows, does not reach."""
        if self.counts.knows(weekday) and statistic in DISTANCES:
            return self.usual_limits[statistic]
        return sampling_limits(counts, self.counts.expected(weekday))[statistic]

    def binned(self, values: np.ndarray) -> np.ndarray:
        """Count values in the bins, without NaN. Bin i holds edge[i-1] < x <= edge[i]."""
        known = values[~np.isnan(values)]
        return np.bincount(np.searchsorted(self.edges, known, side="left"), minlength=len(self.edges) + 1)


@dataclass(frozen=True)
class Category:
    """The values of a key and their counts. The last bin holds all other values and missing values."""

    values: list[str]
    counts: Counts

    @cached_property
    def usual_limit(self) -> float:
        """The stability index beyond which a day differs from all training days."""
        return _beyond(self.counts.usual_distances(stability_index))

    def ordinary(self, counts: np.ndarray, weekday: int | None) -> float:
        """Return the stability index that an ordinary day, or a random sample of the training rows, does not reach."""
        if self.counts.knows(weekday):
            return self.usual_limit
        return sampling_limits(counts, self.counts.expected(weekday))["psi"]

    @property
    def missing_share(self) -> float:
        """Share of missing values in the training rows. Their last bin holds only missing values."""
        counts = self.counts.counts
        return float(counts[:, -1].sum() / max(counts.sum(), 1))

    def binned(self, values: np.ndarray) -> np.ndarray:
        """Count values in the bins."""
        places = {value: place for place, value in enumerate(self.values)}
        codes = [places.get(value, len(places)) for value in values.tolist()]
        return np.bincount(np.array(codes, np.int64), minlength=len(places) + 1)


@dataclass(frozen=True)
class Reference:
    """The description of the training rows that a day is compared with.

    `model_id` matches the `model_id` of scored rows. `days` is empty if the training rows have no hours. `columns`
    holds the features, which rows must have, and the model's outputs, which rows may lack. `trained_until` is the last
    hour of training in the manifest.
    """

    model_id: str
    days: list[str]
    features: list[str]
    columns: dict[str, Column]
    categories: dict[str, Category]
    nonzero_rows: np.ndarray
    flagged_rows: np.ndarray
    rows: np.ndarray
    trained_until: str | None = None

    @property
    def flagged_share(self) -> float:
        """Share of anomalous rows among the nonzero training rows."""
        return float(self.flagged_rows.sum() / max(self.nonzero_rows.sum(), 1))

    def ordinary_flagged(self, rows: int, weekday: int | None) -> float:
        """Return the share of anomalous rows that an ordinary day, or a random sample, does not reach."""
        if weekday is not None and self.days:
            return self._usual_flagged_limit
        share = self.flagged_share
        return share + DEVIATIONS * float(np.sqrt(share * (1 - share) / rows))

    @cached_property
    def _usual_flagged_limit(self) -> float:
        roots = np.cbrt(self.flagged_rows / np.maximum(self.nonzero_rows, 1))
        return float((roots.mean() + DEVIATIONS * roots.std()) ** 3)


def reference_of(manifest: Mapping[str, Any], baseline: Mapping[str, Any]) -> Reference:
    """Read an artifact's manifest.json and baseline.json.

    Raises
    ------
    NoReferenceError
        The artifact has no days, or too few.
    """
    found = baseline.get("reference")
    if not found:
        return _all_rows(manifest, baseline)
    days = list(found["days"])
    if len(days) < MIN_DAYS:
        raise NoReferenceError(
            f"the serving model was trained on {len(days)} whole days; drift detection requires at least {MIN_DAYS}, "
            "three of each weekday"
        )
    weekdays = np.array([date.fromisoformat(day).weekday() for day in days])
    described = dict(baseline["features"]) | {SCORE: baseline[SCORE]}
    return Reference(
        model_id=str(manifest.get("files", {}).get("model.joblib", ""))[:16],
        days=days,
        features=list(baseline["features"]),
        columns={name: _column(column, described[name], weekdays) for name, column in found["columns"].items()},
        categories={
            name: Category(list(category["values"]), Counts(_with_others(category["counts"]), weekdays))
            for name, category in found.get("categories", {}).items()
        },
        nonzero_rows=np.array(found.get("nonzero_rows", found.get("telling_rows"))),
        flagged_rows=np.array(found["flagged_rows"]),
        rows=np.array(found["rows"]),
        trained_until=manifest.get("training", {}).get("end_hour_utc"),
    )


def _all_rows(manifest: Mapping[str, Any], baseline: Mapping[str, Any]) -> Reference:
    """Read a baseline of rows without hours, written by this project's training or by `describe_table`."""
    if manifest.get("training", {}).get("start_hour_utc"):
        raise NoReferenceError(
            "the serving model's baseline.json has no reference days because an earlier version wrote it; train the "
            "model again"
        )
    described = dict(baseline["features"]) | dict(baseline.get("outputs", {}))
    if SCORE in baseline:
        described[SCORE] = baseline[SCORE]
    no_days = np.empty(0, np.int64)
    rows = max((column["count"] for column in described.values()), default=0)
    flagged = float(manifest.get("metrics", {}).get("share_flagged", 0.0))
    return Reference(
        model_id=str(manifest.get("files", {}).get("model.joblib", ""))[:16],
        days=[],
        features=list(baseline["features"]),
        columns={
            name: _column({"edges": column["bin_edges"], "counts": [_shares_to_counts(column)]}, column, no_days)
            for name, column in described.items()
        },
        categories={
            name: Category(list(category["values"]), Counts(np.array([category["counts"]]), no_days))
            for name, category in baseline.get("categories", {}).items()
        },
        nonzero_rows=np.array([rows]),
        flagged_rows=np.array([flagged * rows]),
        rows=np.array([rows]),
    )


def _shares_to_counts(described: Mapping[str, Any]) -> list[int]:
    known = described["count"] - described["missing_count"]
    return [round(share * known) for share in described["bin_shares"]] or [0]


def _column(column: Mapping[str, Any], described: Mapping[str, Any], weekdays: np.ndarray) -> Column:
    least, largest = described["min"], described["max"]
    return Column(
        edges=np.array(column["edges"], np.float64),
        counts=Counts(np.array(column["counts"]), weekdays),
        least=-np.inf if least is None else least,
        largest=np.inf if largest is None else largest,
        missing_share=described["missing_count"] / max(described["count"], 1),
        mean=described.get("mean"),
        deviation=described.get("std") or 0.0,
        is_integral=bool(described.get("is_integral")),
    )


def _with_others(counts: list[list[int]]) -> np.ndarray:
    array = np.array(counts)
    return np.hstack([array, np.zeros((len(array), 1), array.dtype)])


def _beyond(ordinary: np.ndarray) -> float:
    """Return a value that a lognormal distribution fitted to these values hardly ever exceeds."""
    logarithms = np.log(np.maximum(ordinary, 1e-6))
    return float(np.exp(logarithms.mean() + DEVIATIONS * logarithms.std()))
