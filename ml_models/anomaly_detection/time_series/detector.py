"""Finds incidents in one `timestamp,value` series, knowing at each row only what came before.

Sixteen features that look back, an Isolation Forest that is fitted again each time the history has grown by a quarter,
scores set against the series' own past scores, and one alert for one incident. No label is read and nothing is tuned to
a series. `benchmarks/nab.py` measures it; docs/time-series.md says what each part brings.

Higher is more anomalous here, as in the paper (Liu, Ting and Zhou 2008) and in what is used to alert on time series;
scikit-learn's `decision_function`, which the rest of this package gives, is the negative of it with an offset.
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

# The Numenta Anomaly Benchmark's own: the share of a file, and the most rows, that a detector may learn from unscored.
LEARNING_SHARE, MOST_LEARNING_ROWS = 0.15, 750
# A row in 200 has been above it: with fewer rows than that it is the largest there was.
USUAL_PEAK = 0.995
# Half of it: all of it would ask for records, nothing of it for the same height in a calm series as in a wild one.
PEAK_WEIGHT = 0.5
REASONS = 3


@dataclass(frozen=True, kw_only=True)
class SeriesSettings:
    """What there is to set, with defaults that were chosen on the benchmark as a whole.

    Parameters
    ----------
    n_estimators : int
        Trees of each forest: with 300 another seed moves the benchmark's score by half a point.
    max_samples : int
        Rows per tree.
    random_state : int
        Seed of each forest.
    learning_rows : int, optional
        Rows at the start that are learned from and raise no alert; by default 15 % of the series, at most 750.
    growth : float
        A forest is fitted again when the history is so many times as long.
    threshold : float
        The calibrated score from which a row is an alert.
    margin : float
        How much higher than every alert of the last `quiet_rows` another one must be.
    quiet_rows : int, optional
        Rows for which an alert stands for its incident; by default half of `learning_rows`.
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
    """An incident's alert, at the row in which it was noticed or has become worse.

    Parameters
    ----------
    row : int
    incident : int
        Numbered from 0; alerts within the quiet rows of the one before tell of the same incident, become worse.
    score : float
        The calibrated score.
    tail_probability : float
        How often a row of the past had a forest score this high: (1 + such rows) / (1 + rows).
    reasons : list of (str, float)
        The features that isolate the row, strongest first, with the splits that each saves; see
        `FlatForest.attributions`.
    """

    row: int
    incident: int
    score: float
    tail_probability: float
    reasons: list[tuple[str, float]]


@dataclass(frozen=True, eq=False)
class SeriesScores:
    """A series' scores, all of shape (n_rows,) and float64; learning rows have 0 in the last two.

    Parameters
    ----------
    forest : ndarray
        The forest's own, 0 to 1, each from a forest that had not seen the row (but for the learning rows).
    calibrated : ndarray
        `forest` less half of the usual peak of the past, at least 0.
    alerting : ndarray
        `calibrated` where a row is an alert, else 0.
    alerts : list of SeriesAlert
    """

    forest: NDArray[np.float64]
    calibrated: NDArray[np.float64]
    alerting: NDArray[np.float64]
    alerts: list[SeriesAlert]


def find_incidents(
    seconds: NDArray[np.int64], values: NDArray[np.float64], settings: SeriesSettings | None = None
) -> SeriesScores:
    """Score a series row by row and say where its incidents are.

    Parameters
    ----------
    seconds : ndarray of shape (n_rows,), int64
        Seconds since 1970 in UTC, never falling.
    values : ndarray of shape (n_rows,), float64
        Finite.
    settings : SeriesSettings, optional

    Raises
    ------
    InputError
        The series is not longer than its learning rows, or those are fewer than 2.
    """
    settings = settings or SeriesSettings()
    learning = _checked_learning_rows(len(values), settings)
    matrix = features_of(seconds, values)
    forests = _Forests(settings, learning)
    found = decide(forests.scores(matrix), settings)
    alerts = [replace(alert, reasons=forests.reasons(matrix, alert.row)) for alert in found.alerts]
    return replace(found, alerts=alerts)


def decide(forest_scores: NDArray[np.float64], settings: SeriesSettings) -> SeriesScores:
    """Say where the incidents are, given the forest's scores; the alerts have no reasons.

    Parameters
    ----------
    forest_scores : ndarray of shape (n_rows,), float64
        0 to 1, higher is more anomalous; those of an endpoint will do.
    settings : SeriesSettings

    Raises
    ------
    InputError
        The series is not longer than its learning rows, or those are fewer than 2.
    """
    learning = _checked_learning_rows(len(forest_scores), settings)
    calibrated = calibrate(forest_scores)
    calibrated[:learning] = 0
    quiet = learning // 2 if settings.quiet_rows is None else settings.quiet_rows
    # What is no alert silences none: an incident that creeps up to the threshold is heard when it gets there.
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
            f"the series has {rows} rows, and {max(learning, 2)} are for learning alone; "
            "give more rows, or at least 2 learning rows and fewer than there are"
        )
    return learning


def learning_rows(rows: int) -> int:
    """Return how many rows of a series are for learning: 15 %, at most 750."""
    return min(int(LEARNING_SHARE * rows), MOST_LEARNING_ROWS)


def calibrate(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take half of what past scores have usually peaked at off each score, down to 0.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,), float64
        Higher is more anomalous.
    """
    peak = pd.Series(scores).expanding().quantile(USUAL_PEAK).shift(1, fill_value=0.0).to_numpy()
    return np.maximum(scores - PEAK_WEIGHT * peak, 0.0)


def without_repeats(scores: NDArray[np.float64], quiet_rows: int, margin: float) -> NDArray[np.float64]:
    """Set a score to 0 unless it beats by a margin every one that was kept in the rows before.

    So an incident speaks once, and again only when it has become worse.

    Parameters
    ----------
    scores : ndarray of shape (n_rows,), float64
        Higher is more anomalous.
    quiet_rows : int
        How far back a kept score silences others.
    margin : float
    """
    kept = np.zeros(len(scores))
    standing: deque[tuple[int, float]] = deque()  # falling scores; the first is the largest that still counts
    for row, score in enumerate(scores.tolist()):
        while standing and standing[0][0] < row - quiet_rows:
            standing.popleft()
        if standing and score <= standing[0][1] + margin:
            continue
        kept[row] = score
        standing.clear()  # it is above all of them
        standing.append((row, score))
    return kept


class _Forests:
    """One forest after another, each fitted on all rows before those that it scores."""

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
            first = 0 if start == self._starts[0] else start  # the first forest scores what it was fitted on as well
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
    """Return after how many rows a forest is fitted."""
    fitted = [learning]
    while (following := max(int(np.ceil(fitted[-1] * growth)), fitted[-1] + 1)) < rows:
        fitted.append(following)
    return fitted


def _tail_probability(scores: NDArray[np.float64], row: int) -> float:
    return float((1 + np.count_nonzero(scores[:row] >= scores[row])) / (1 + row))
