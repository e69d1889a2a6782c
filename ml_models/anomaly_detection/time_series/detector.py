"""Finds incidents in one `timestamp,value` series. At each row, it uses only earlier rows.

The detector computes sixteen features of the past and scores them with an Isolation Forest, which is fitted again each
time the history has grown by a quarter. It calibrates scores by the series' past scores, and raises one alert per
incident. It uses no labels and no settings per series. `benchmarks/nab.py` measures it; docs/time-series.md describes
the effect of each part.

Here, a higher score is more anomalous, as in the paper (Liu, Ting and Zhou 2008) and in other time series tools. The
rest of this package uses scikit-learn's `decision_function`, which has the opposite sign and an offset.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.ensemble import IsolationForest

from anomaly_detection.errors import InputError
from anomaly_detection.forest import FlatForest
from anomaly_detection.time_series.features import SERIES_FEATURE_NAMES, features_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

# From the Numenta Anomaly Benchmark: the share of a file, and the most rows, that a detector may learn from unscored.
LEARNING_SHARE, MOST_LEARNING_ROWS = 0.15, 750
# One row in 200 was above this quantile. With fewer rows, it is the largest value so far.
USUAL_PEAK = 0.995
# With a weight of 1, only record scores would raise alerts. With 0, calm and erratic series would share one threshold.
PEAK_WEIGHT = 0.5
REASONS = 3


@dataclass(frozen=True, kw_only=True)
class SeriesSettings:
    """The settings, with defaults that were chosen on the whole benchmark.

    Parameters
    ----------
    n_estimators : int
        Trees per forest. With 300 trees, another seed changes the benchmark's score by half a point.
    max_samples : int
        Rows per tree.
    random_state : int
        Seed of all forests.
    learning_rows : int, optional
        Rows at the start that are only for learning and raise no alert. By default 15 % of the series, at most 750.
    growth : float
        A forest is fitted again when the history has grown by this factor.
    threshold : float
        The least calibrated score of an alert.
    margin : float
        How much a new alert must exceed every alert of the last `quiet_rows` rows.
    quiet_rows : int, optional
        The number of rows after an alert in which only a higher score raises another one. By default half of
        `learning_rows`.
    """

    n_estimators: int = 300
    max_samples: int = 256
    random_state: int = 0
    learning_rows: int | None = None
    growth: float = 1.25
    threshold: float = 0.335
    margin: float = 0.05
    quiet_rows: int | None = None


@dataclass(frozen=True)
class SeriesAlert:
    """An alert, at the row at which an incident was detected or became worse.

    Parameters
    ----------
    row : int
    incident : int
        Numbered from 0. An alert within `quiet_rows` of the previous one belongs to the same incident, which became
        worse.
    score : float
        The calibrated score.
    tail_probability : float
        The share of past rows with a forest score this high: (1 + such rows) / (1 + rows).
    reasons : list of (str, float)
        The features that isolate the row, strongest first, with the number of splits that each saves; see
        `FlatForest.attributions`.
    """

    row: int
    incident: int
    score: float
    tail_probability: float
    reasons: list[tuple[str, float]]


@dataclass(frozen=True, eq=False)
class SeriesScores:
    """A series' scores, each of shape (n_rows,) and float64. Learning rows have 0 in the last two.

    Parameters
    ----------
    forest : ndarray
        The forest's score from 0 to 1. Except for learning rows, the forest was fitted without the row.
    calibrated : ndarray
        `forest` minus half of the typical peak of past scores, at least 0.
    alerting : ndarray
        `calibrated` for rows with an alert, otherwise 0.
    alerts : list of SeriesAlert
    """

    forest: NDArray[np.float64]
    calibrated: NDArray[np.float64]
    alerting: NDArray[np.float64]
    alerts: list[SeriesAlert]


def find_incidents(
    seconds: NDArray[np.int64], values: NDArray[np.float64], settings: SeriesSettings | None = None
) -> SeriesScores:
    """Score a series row by row and find its incidents.

    Parameters
    ----------
    seconds : ndarray of shape (n_rows,), int64
        Seconds since 1970 in UTC, not decreasing.
    values : ndarray of shape (n_rows,), float64
        Finite.
    settings : SeriesSettings, optional

    Raises
    ------
    InputError
        The series has no rows after its learning rows, or fewer than 2 learning rows.
    """
    settings = settings or SeriesSettings()
    learning = _checked_learning_rows(len(values), settings)
    matrix = features_of(seconds, values)
    forests = _Forests(settings, learning)
    found = decide(forests.scores(matrix), settings)
    alerts = [replace(alert, reasons=forests.reasons(matrix, alert.row)) for alert in found.alerts]
    return replace(found, alerts=alerts)


def decide(forest_scores: NDArray[np.float64], settings: SeriesSettings) -> SeriesScores:
    """Find incidents from the forest's scores. The alerts have no reasons.

    Parameters
    ----------
    forest_scores : ndarray of shape (n_rows,), float64
        From 0 to 1, higher is more anomalous. They may come from an endpoint.
    settings : SeriesSettings

    Raises
    ------
    InputError
        The series has no rows after its learning rows, or fewer than 2 learning rows.
    """
    learning = _checked_learning_rows(len(forest_scores), settings)
    calibrated = calibrate(forest_scores)
    calibrated[:learning] = 0
    quiet = learning // 2 if settings.quiet_rows is None else settings.quiet_rows
    # Scores below the threshold suppress no alert. A slow rise raises an alert when it reaches the threshold.
    alerting = without_repeats(np.where(calibrated < settings.threshold, 0.0, calibrated), quiet, settings.margin)
    rows = np.flatnonzero(alerting).tolist()
    incidents = np.cumsum(np.diff(rows, prepend=rows[:1]) > quiet).tolist()
    alerts = [
        SeriesAlert(row, incident, float(alerting[row]), _tail_probability(forest_scores, row), [])
        for row, incident in zip(rows, incidents, strict=True)
    ]
    return SeriesScores(forest_scores, calibrated, alerting, alerts)


def _checked_learning_rows(rows: int, settings: SeriesSettings) -> int:
    learning = learning_rows(rows) if settings.learning_rows is None else settings.learning_rows
    if learning < 2 or rows <= learning:
        raise InputError(
            f"the series has {rows} rows, and {max(learning, 2)} are only for learning; "
            "add rows, or set learning rows to at least 2 and fewer than the series has"
        )
    return learning


def learning_rows(rows: int) -> int:
    """Return the number of learning rows of a series: 15 %, at most 750."""
    return min(int(LEARNING_SHARE * rows), MOST_LEARNING_ROWS)


def calibrate(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Subtract half of the typical peak of the past scores from each score. The result is at least 0.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,), float64
        Higher is more anomalous.
    """
    peak = pd.Series(scores).expanding().quantile(USUAL_PEAK).shift(1, fill_value=0.0).to_numpy()
    return np.maximum(scores - PEAK_WEIGHT * peak, 0.0)


def without_repeats(scores: NDArray[np.float64], quiet_rows: int, margin: float) -> NDArray[np.float64]:
    """Set a score to 0 unless it exceeds every kept score of the previous rows by a margin.

    An incident therefore raises one alert, and another one only if it becomes worse.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,), float64
        Higher is more anomalous.
    quiet_rows : int
        The number of rows in which a kept score suppresses lower ones.
    margin : float
    """
    kept = np.zeros(len(scores))
    recent: deque[tuple[int, float]] = deque()  # decreasing scores; the first is the largest that still counts
    for row, score in enumerate(scores.tolist()):
        while recent and recent[0][0] < row - quiet_rows:
            recent.popleft()
        if recent and score <= recent[0][1] + margin:
            continue
        kept[row] = score
        recent.clear()  # the new score exceeds all of them
        recent.append((row, score))
    return kept


class _Forests:
    """Fits one forest after another, each on all rows before the rows that it scores."""

    def __init__(self, settings: SeriesSettings, learning: int) -> None:
        self._settings = settings
        self._starts = [learning]
        self._forests: list[FlatForest] = []

    def scores(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        self._starts = _fitting_rows(self._starts[0], len(matrix), self._settings.growth)
        scores = np.empty(len(matrix))
        for start, end in zip(self._starts, [*self._starts[1:], len(matrix)], strict=True):
            forest = self._fitted(matrix[:start])
            self._forests.append(forest)
            first = 0 if start == self._starts[0] else start  # the first forest also scores its training rows
            scores[first:end] = -(forest.scores(matrix[first:end]) + forest.offset)
        return scores

    def reasons(self, matrix: NDArray[np.float32], row: int) -> list[tuple[str, float]]:
        number = int(np.searchsorted(self._starts, row, side="right")) - 1
        saved = self._forests[number].attributions(matrix[row : row + 1])[0]
        strongest = np.argsort(-saved)[:REASONS]
        return [(SERIES_FEATURE_NAMES[place], float(saved[place])) for place in strongest if saved[place] > 0]

    def _fitted(self, past: NDArray[np.float32]) -> FlatForest:
        settings = self._settings
        forest = IsolationForest(
            n_estimators=settings.n_estimators,
            max_samples=min(settings.max_samples, len(past)),
            random_state=settings.random_state,
        )
        return FlatForest.from_sklearn(forest.fit(past))


def _fitting_rows(learning: int, rows: int, growth: float) -> list[int]:
    """Return the row counts after which a forest is fitted."""
    fitted = [learning]
    while (following := max(int(np.ceil(fitted[-1] * growth)), fitted[-1] + 1)) < rows:
        fitted.append(following)
    return fitted


def _tail_probability(scores: NDArray[np.float64], row: int) -> float:
    return float((1 + np.count_nonzero(scores[:row] >= scores[row])) / (1 + row))
