"""The frontier: what each detector finds for how many false alerts, as a threshold on its alerts' rank moves."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.incidents.evaluation import BUDGET, OURS, RANK_STEPS, Choice, apply
from benchmarks.incidents.score import total

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmarks.incidents.evaluation import Found, Setting

MOST_SHOWN = 8.0
FIGURES = {"f1": "F1", "recall": "recall"}


def curve(found: Found, setting: Setting) -> list[dict[str, float]]:
    """Return F1, recall and false alerts an account and month of cases at each threshold, the lowest first."""
    ranks = [alert.rank for _, by in found for alert in by[setting]]
    steps = np.unique(np.quantile(ranks, np.linspace(0, 1, RANK_STEPS))).tolist() if ranks else []
    scores = [total(apply(Choice(setting, threshold), found)) for threshold in (float("-inf"), *steps)]
    return [{"f1": one.f1, "recall": one.recall, "false": one.false_per_account_month} for one in scores]


def draw(results: Mapping[str, Any], path: Path) -> None:
    """Draw every detector's curve, a column for each base traffic; a dot is the choice of the development seeds."""
    from matplotlib.figure import Figure

    bases = list(next(iter(results.values())))
    figure = Figure(figsize=(4.4 * len(bases) + 1.8, 6.2), layout="constrained")
    axes = figure.subplots(len(FIGURES), len(bases), sharex=True, sharey=True, squeeze=False)
    for row, (name, label) in enumerate(FIGURES.items()):
        for column, base in enumerate(bases):
            axis = axes[row][column]
            for number, (detector, result) in enumerate(results.items()):
                _draw_one(axis, result[base], name, detector, number)
            axis.axvline(BUDGET, color="0.6", linestyle=":", linewidth=1)
            axis.set(xlim=(0, MOST_SHOWN), ylim=(0, 1.02))
            axis.spines[["top", "right"]].set_visible(False)
            if not row:
                axis.set_title(f"base traffic {base}", fontsize=10)
            if not column:
                axis.set_ylabel(label)
    figure.supxlabel("false alerts an account and month", fontsize=10)
    figure.legend(*axes[0][0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=9)
    figure.savefig(path, dpi=130)


def _draw_one(axis: Any, result: Mapping[str, Any], name: str, detector: str, number: int) -> None:
    """Draw one detector: ours thick, the others thin."""
    points = sorted((point["false"], point[name]) for point in result["curve"])
    is_ours = detector == OURS
    style = {"color": "black" if is_ours else f"C{number}", "linewidth": 2.4 if is_ours else 1.2}
    axis.plot(*zip(*points, strict=True), label=detector, zorder=3 if is_ours else 2, **style)
    axis.plot(result["false_per_account_month"], result[name], "o", color=style["color"], markersize=6, zorder=4)
