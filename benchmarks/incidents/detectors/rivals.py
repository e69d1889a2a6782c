"""The rivals: each gives every series and hour a score (higher is more anomalous) and dollars above its expectation.

What is common to all: thresholds are quantiles of the training weeks' scores, and which quantile, dollar floor and gap
a rival gets is chosen on the development seeds by the rule that chooses ours.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.ensemble import IsolationForest

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.incidents.bill import Floats
    from benchmarks.incidents.panel import Panel

WEEK = 168
SHINGLE_HOURS, TREES, SAMPLE = 8, 10, 128


def tutorial_forest(panel: Panel) -> tuple[Floats, Floats]:
    """Do what tutorials do: a forest on the hour's dollars and GB with the hour and the weekday, fitted once."""
    rows = panel.rows
    hour = rows["hour"].to_numpy()
    table = np.column_stack(
        [rows["cost_usd"], rows["usage_gb"], hour % 24, (panel.start_weekday + hour // 24) % 7]
    ).astype(np.float32)
    forest = IsolationForest(random_state=42).fit(table[hour < panel.train_hours])
    return panel.matrix(-forest.score_samples(table), -np.inf), _above_the_mean(panel)


def robust_z(panel: Panel) -> tuple[Floats, Floats]:
    """Take median and MAD of the same hour of the week in all weeks before, for each series."""
    expected, spread = np.zeros_like(panel.gb), np.zeros_like(panel.gb)
    for week in range(1, -(-panel.gb.shape[1] // WEEK)):
        now = slice(week * WEEK, min((week + 1) * WEEK, panel.gb.shape[1]))
        before = panel.gb[:, : week * WEEK].reshape(len(panel.gb), week, WEEK)[:, :, : now.stop - now.start]
        expected[:, now] = np.median(before, axis=1)
        spread[:, now] = 1.4826 * np.median(np.abs(before - expected[:, None, now]), axis=1)
    z = (panel.gb - expected) / (spread + 0.1 * expected + 0.05)
    return z, (panel.gb - expected) * panel.price


def mean_times(panel: Panel) -> tuple[Floats, Floats]:
    """Hold the hour against the mean of the series' last four weeks: mean x (1 + threshold)."""
    total = np.concatenate([np.zeros((len(panel.gb), 1)), np.cumsum(panel.gb, axis=1)], axis=1)
    hour = np.arange(panel.gb.shape[1])
    first = np.maximum(hour - 4 * WEEK, 0)
    mean = (total[:, hour] - total[:, first]) / np.maximum(hour - first, 1)
    return panel.gb / (mean + 0.05), (panel.gb - mean) * panel.price


def ecod(panel: Panel) -> tuple[Floats, Floats]:
    """Let PyOD's ECOD judge our features, fitted on the training weeks."""
    from pyod.models.ecod import ECOD

    return _on_our_features(panel, ECOD())


def hbos(panel: Panel) -> tuple[Floats, Floats]:
    """Let PyOD's HBOS judge our features, fitted on the training weeks."""
    from pyod.models.hbos import HBOS

    return _on_our_features(panel, HBOS(n_bins="auto"))


def _on_our_features(panel: Panel, detector: Any) -> tuple[Floats, Floats]:
    """Fit and score; the dollars above are those of our own expectation, the rows below it count as usual."""
    rows = panel.rows
    matrix = rows[panel.features].to_numpy(np.float64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        detector.fit(matrix[rows["hour"].to_numpy() < panel.train_hours])
        points = detector.decision_function(matrix)
    excess = rows["cost_usd"].to_numpy() - rows["expected_cost_usd"].to_numpy()
    return panel.matrix(points, -np.inf), panel.matrix(excess, 0.0)


def random_cut_forest(panel: Panel) -> tuple[Floats, Floats]:
    """Let rrcf judge the last hours of a series against a sample of its training weeks: CoDisp of eight-hour shingles.

    Each scored shingle is inserted into every tree and taken out again. Pure Python is slow, so only series with a day
    above $2 and hours above the mean of the training weeks are looked at; the others cannot become an alert anyway.
    """
    import rrcf

    rng = np.random.default_rng(7)
    excess, points = _above_the_mean(panel), np.full(panel.gb.shape, -np.inf)
    level = np.log1p(panel.gb)
    padded = np.concatenate([np.zeros((len(level), SHINGLE_HOURS - 1)), level], axis=1)
    for series in _worth_a_look(panel, 2.0):
        shingles = np.lib.stride_tricks.sliding_window_view(padded[series], SHINGLE_HOURS)
        # Points that are exactly alike are one leaf to rrcf; a breath of noise keeps them apart.
        shingles = shingles + rng.normal(0, 1e-6, shingles.shape)
        hours = np.flatnonzero(excess[series, panel.train_hours :] > 0.02) + panel.train_hours
        learned, scored = [], []
        for _ in range(TREES):
            sample = rng.choice(panel.train_hours, SAMPLE, replace=False)
            tree = rrcf.RCTree(shingles[sample], index_labels=sample.tolist(), random_state=rng.integers(2**31))
            learned.append((sample, [tree.codisp(leaf) for leaf in sample.tolist()]))
            scored.append([_codisp(tree, shingles[hour]) for hour in hours])
        for sample, values in learned:
            points[series, sample] = np.maximum(points[series, sample], values)
        points[series, hours] = np.mean(scored, axis=0)
    return points, excess


def _codisp(tree: Any, point: Floats) -> float:
    tree.insert_point(point, index=-1)
    value = tree.codisp(-1)
    tree.forget_point(-1)
    return float(value)


def seasonal_trend(panel: Panel) -> tuple[Floats, Floats]:
    """Take the residual of a robust STL with a weekly season, in units of the residuals' MAD.

    Fitted anew each week on all weeks before: the season of the last week and the last trend are the expectation.
    """
    from statsmodels.tsa.seasonal import STL

    hours = panel.gb.shape[1]
    expected = np.zeros_like(panel.gb)
    spread = np.zeros_like(panel.gb)
    for series in _worth_a_look(panel, 2.0):
        for now in range(2 * WEEK, hours, WEEK):
            past, ahead = panel.gb[series, :now], min(WEEK, hours - now)
            fit = STL(past, period=WEEK, seasonal=7, robust=True, seasonal_jump=24, trend_jump=24, low_pass_jump=24)
            parts = fit.fit(inner_iter=1, outer_iter=3)
            expected[series, now : now + ahead] = np.maximum(parts.seasonal[-WEEK:][:ahead] + parts.trend[-1], 0)
            spread[series, now : now + ahead] = 1.4826 * np.median(np.abs(parts.resid - np.median(parts.resid)))
    z = (panel.gb - expected) / (spread + 0.1 * expected + 0.05)
    return z, (panel.gb - expected) * panel.price


def _worth_a_look(panel: Panel, usd_a_day: float) -> list[int]:
    days = panel.usd[:, : panel.usd.shape[1] // 24 * 24].reshape(len(panel.usd), -1, 24).sum(axis=2)
    return np.flatnonzero(days.max(axis=1) >= usd_a_day).tolist()


def _above_the_mean(panel: Panel) -> Floats:
    """Return the dollars above the training weeks' mean: a rival without an expectation of its own gets that one."""
    return panel.usd - panel.usd[:, : panel.train_hours].mean(axis=1, keepdims=True)


RIVALS: dict[str, Callable[[Panel], tuple[Floats, Floats]]] = {
    "tutorial forest": tutorial_forest,
    "robust z": robust_z,
    "mean x (1 + t)": mean_times,
    "STL": seasonal_trend,
    "ECOD": ecod,
    "HBOS": hbos,
    "random cut forest": random_cut_forest,
}
ON_OUR_FEATURES = ("ECOD", "HBOS")
