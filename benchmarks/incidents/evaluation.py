"""Runs detectors over cases, tunes each on the development seeds, and applies what was chosen to others.

A detector is tuned over its settings (a rival's are threshold quantile, floor and gap; ours has one, what it ships
with) and over the threshold on the alerts' rank: the pair with the best F1 over all development cases together whose
false alerts keep within the budget; where none does, the one with the fewest.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.incidents.alert import above
from benchmarks.incidents.detectors import ours, rivals
from benchmarks.incidents.grouping import group
from benchmarks.incidents.panel import panel_of
from benchmarks.incidents.score import Score, score, total

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.incidents.alert import Alert
    from benchmarks.incidents.truth import Case

OURS = "Egress Sentinel"
DETECTORS = (OURS, *rivals.RIVALS)
BUDGET = 2.0  # false alerts an account and month
QUANTILES = (0.9, 0.95, 0.97, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995)
FLOORS_USD = (1.0, 5.0, 15.0)
GAPS_HOURS = (24, 72, 168)
RANK_STEPS = 40

Setting = tuple[float, ...]


@dataclass(frozen=True)
class Choice:
    """What was chosen on the development seeds."""

    setting: Setting
    threshold: float


def alerts_by_setting(detector: str, case: Case, cache: Path) -> dict[Setting, list[Alert]]:
    """Return a detector's alerts on a case for each of its settings."""
    if detector == OURS:
        return {(): ours.alerts(case, cache)}
    panel = panel_of(case, ours.features_of(case, cache))
    points, excess = _kept_scores(detector, case, cache)
    learned = points[:, WARM_UP_HOURS : case.train_hours]
    levels = np.quantile(learned[np.isfinite(learned)], QUANTILES)
    found = {}
    for (quantile, level), floor, gap in product(zip(QUANTILES, levels, strict=True), FLOORS_USD, GAPS_HOURS):
        flagged = (points > level) & (excess > 0)
        found[(quantile, floor, float(gap))] = group(panel, flagged, excess, floor_usd=floor, gap_hours=gap)
    return found


WARM_UP_HOURS = 14 * 24  # before that a rival that looks back has seen too little for its scores to count


def _kept_scores(detector: str, case: Case, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    features = ours.features_of(case, cache)
    source = Path(rivals.__file__).read_bytes() + detector.encode() + features.name.encode()
    kept = cache / f"rival-{hashlib.sha256(source).hexdigest()[:16]}.npz"
    if not kept.exists():
        points, excess = rivals.RIVALS[detector](panel_of(case, features))
        with kept.open("wb") as file:
            np.savez(file, points=points.astype(np.float32), excess=excess.astype(np.float32))
    stored = np.load(kept)
    return stored["points"], stored["excess"]


def tune(found: Sequence[tuple[Case, dict[Setting, list[Alert]]]], budget: float = BUDGET) -> Choice:
    """Choose a detector's setting and rank threshold on cases, of which `found` holds the alerts."""
    best: tuple[tuple[bool, float, float], Choice] | None = None
    for setting in found[0][1]:
        ranks = np.array([step[1] for _, by in found for alert in by[setting] for step in (alert.course[-1],)])
        steps = np.unique(np.quantile(ranks, np.linspace(0, 1, RANK_STEPS))) if len(ranks) else np.zeros(1)
        for threshold in (-np.inf, *steps):
            result = total(score(case, above(by[setting], threshold)) for case, by in found)
            within = result.false_per_account_month <= budget
            key = (within, result.f1 if within else -result.false_per_account_month, -float(threshold))
            if best is None or key > best[0]:
                best = (key, Choice(setting, float(threshold)))
    if best is None:
        raise ValueError("there is nothing to tune on")
    return best[1]


def apply(choice: Choice, found: Sequence[tuple[Case, dict[Setting, list[Alert]]]]) -> list[Score]:
    """Score each case with what was chosen."""
    return [score(case, above(by[choice.setting], choice.threshold)) for case, by in found]
