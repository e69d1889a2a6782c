"""The rivals: each gives every series and hour a score (higher is more anomalous) and dollars above its expectation.

What is common to all: thresholds are quantiles of the training weeks' scores, and which quantile, dollar floor and gap
a rival gets is chosen on the development seeds by the rule that chooses ours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from sklearn.ensemble import IsolationForest

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.incidents.bill import Floats
    from benchmarks.incidents.panel import Panel

WEEK = 168


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


def _above_the_mean(panel: Panel) -> Floats:
    """Return the dollars above the training weeks' mean: a rival without an expectation of its own gets that one."""
    return panel.usd - panel.usd[:, : panel.train_hours].mean(axis=1, keepdims=True)


RIVALS: dict[str, Callable[[Panel], tuple[Floats, Floats]]] = {
    "tutorial forest": tutorial_forest,
    "robust z": robust_z,
    "mean x (1 + t)": mean_times,
}
