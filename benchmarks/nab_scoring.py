"""The scoring rule of the Numenta Anomaly Benchmark (NAB v1.1), from its paper and its published code's behaviour.

Lavin and Ahmad, "Evaluating Real-time Anomaly Detection Algorithms", 2015. A label is a window of rows. Rows of a
file's probation are ignored. A row at or above the threshold earns, inside a window, the more the earlier it is, and
only the earliest counts; outside, it costs the more the farther it is behind the last window. A window without one
costs as well. One threshold for all files is chosen to make the total as large as can be, and the total is put on a
scale where 0 is a detector without alerts and 100 one that is right at once and never wrong.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

LABELS = "labels/combined_windows.json"
# Behind this many widths of the last window a false alert costs all it can.
FAR = 3.0


class Profile(NamedTuple):
    """What a window that is found, a false alert and a window that is missed weigh."""

    found: float
    false_alert: float
    missed: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "reward low FP": Profile(1.0, 0.22, 1.0),
    "reward low FN": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True, eq=False)
class LabelledSeries:
    """A file of the benchmark.

    Parameters
    ----------
    table : DataFrame
        `timestamp` and `value`.
    windows : list of (int, int)
        First and last row of each label.
    """

    table: pd.DataFrame
    windows: list[tuple[int, int]]

    @property
    def probation(self) -> int:
        """Rows at the start that are not scored: 15 %, at most 750."""
        return int(min(0.15 * len(self.table), 750.0))


class Report(NamedTuple):
    """What a detector gets.

    Parameters
    ----------
    score : float
        With the best threshold, which is the official way.
    score_left_out : float
        With each file's threshold chosen on the other files.
    threshold : float
    found, windows, false_rows : int
        Labels with an alert, labels, and rows that are alerts outside of them.
    """

    score: float
    score_left_out: float
    threshold: float
    found: int
    windows: int
    false_rows: int


def read_corpus(root: Path) -> dict[str, LabelledSeries]:
    """Read a clone of github.com/numenta/NAB, or as many of its groups as are there.

    Raises
    ------
    FileNotFoundError
        It has no labels or none of the files that they name.
    """
    labels = json.loads((root / LABELS).read_text(encoding="utf-8"))
    corpus = {}
    for name, spans in sorted(labels.items()):
        path = root / "data" / name
        if not path.exists():
            continue
        table = pd.read_csv(path, parse_dates=["timestamp"])
        times = table["timestamp"].to_numpy()
        rows = [tuple(int(np.searchsorted(times, np.datetime64(time))) for time in span) for span in spans]
        corpus[name] = LabelledSeries(table, [(first, last) for first, last in rows])
    if not corpus:
        raise FileNotFoundError(f"{root / 'data'} has none of the files that {LABELS} names")
    return corpus


def score(corpus: Mapping[str, LabelledSeries], scores: Mapping[str, NDArray[np.float64]], profile: Profile) -> Report:
    """Score a detector.

    Parameters
    ----------
    corpus : mapping of str to LabelledSeries
    scores : mapping of str to ndarray of shape (n_rows,), float64
        By the corpus's names; higher is more anomalous.
    profile : Profile
    """
    curves = {name: _curve(series, scores[name], profile) for name, series in corpus.items()}
    thresholds = np.unique(np.concatenate([curve[0] for curve in curves.values()]))[::-1]
    totals = np.array([_at(curve, thresholds) for curve in curves.values()])
    total = totals.sum(axis=0)
    best = int(np.argmax(total))
    left_out = sum(float(own[np.argmax(total - own)]) for own in totals)
    threshold = float(thresholds[best])
    found, false_rows = zip(
        *(_counts(series, scores[name] >= threshold) for name, series in corpus.items()), strict=True
    )
    windows = sum(len(series.windows) for series in corpus.values())

    def scaled(raw: float) -> float:
        return 100 * (raw + profile.missed * windows) / ((profile.found + profile.missed) * windows)

    return Report(scaled(float(total[best])), scaled(left_out), threshold, sum(found), windows, sum(false_rows))


def weights(series: LabelledSeries) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return for each row the number of its window, or -1, and what an alert there is worth, from -1 to 1."""
    rows = np.arange(len(series.table))
    window, weight = np.full(len(rows), -1), np.full(len(rows), -1.0)
    for number, (first, last) in enumerate(series.windows):
        width = last - first + 1
        inside = (rows >= first) & (rows <= last)
        window[inside] = number
        weight[inside] = _sigmoid((rows[inside] - last - 1) / width) / _sigmoid(-1.0)
        behind = rows > last
        widths_behind = (rows[behind] - last) / (width - 1)
        weight[behind] = np.where(widths_behind > FAR, -1.0, _sigmoid(widths_behind))
    return window, weight


def _sigmoid(place: NDArray[np.float64] | float) -> NDArray[np.float64]:
    value: NDArray[np.float64] = 2 / (1 + np.exp(5 * np.asarray(place))) - 1
    return value


def _curve(
    series: LabelledSeries, scores: NDArray[np.float64], profile: Profile
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return a file's total by threshold: rising thresholds, and the total from each of them down to the next."""
    window, weight = weights(series)
    scored = np.arange(len(scores)) >= series.probation
    false = scored & (window < 0)
    heights, gains = [scores[false]], [profile.false_alert * weight[false]]
    for number in range(len(series.windows)):
        inside = np.flatnonzero(scored & (window == number))
        falling = inside[np.argsort(-scores[inside], kind="stable")]
        best = np.maximum.accumulate(np.concatenate([[-profile.missed], profile.found * weight[falling]]))
        heights.append(scores[falling])
        gains.append(np.diff(best))
    height, inverse = np.unique(np.concatenate(heights), return_inverse=True)
    gained = np.bincount(inverse, np.concatenate(gains), minlength=len(height))
    silent = -profile.missed * len(series.windows)
    # Above the highest score nothing is an alert.
    return np.append(height, np.inf), np.append(silent + gained[::-1].cumsum()[::-1], silent)


def _at(curve: tuple[NDArray[np.float64], NDArray[np.float64]], thresholds: NDArray[np.float64]) -> NDArray[np.float64]:
    return curve[1][np.searchsorted(curve[0], thresholds)]


def _counts(series: LabelledSeries, is_alert: NDArray[np.bool_]) -> tuple[int, int]:
    window, _ = weights(series)
    alerts = is_alert & (np.arange(len(is_alert)) >= series.probation)
    return len(np.unique(window[alerts & (window >= 0)])), int(np.count_nonzero(alerts & (window < 0)))
