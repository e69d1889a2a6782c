"""Runs detectors over cases, tunes each on the development seeds, and applies the choice to other seeds.

A detector is tuned over its settings and over the threshold on the rank of its alerts. A rival's settings are threshold
quantile, floor and gap. Ours has only its defaults. The choice is the pair with the best F1 over all development cases
together, of those whose false alerts stay within the budget. If none does, it is the pair with the fewest.
"""

from __future__ import annotations

import hashlib
import os
import pickle
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from benchmarks.incidents import grouping
from benchmarks.incidents.alert import above
from benchmarks.incidents.detectors import ours, rivals, rules
from benchmarks.incidents.panel import panel_of
from benchmarks.incidents.score import Score, score, total

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from benchmarks.incidents.alert import Alert
    from benchmarks.incidents.panel import Panel
    from benchmarks.incidents.truth import Case

    Setting = tuple[float, ...]
    Found = Sequence[tuple[Case, dict[Setting, list[Alert]]]]


@dataclass(frozen=True)
class Choice:
    """The setting and the threshold that were chosen on the development seeds."""

    setting: Setting
    threshold: float


OURS = "Egress Sentinel"
NO_FOREST = "ours, no forest"
NO_HABIT = "ours, no habit"
OWN: dict[str, dict[str, Any]] = {
    OURS: {},
    NO_FOREST: {"forest": False},
    # Only the forest decides, at its threshold. Floors in dollars and percent stay.
    NO_HABIT: {"policy": {"min_times_usual_excess": 0, "max_p_value": 0.01}},
}
DETECTORS = (*OWN, *rules.RULES, *rivals.RIVALS)
# The defaults of detectors, without a budget. Detectors without defaults are only tuned.
AS_IT_COMES: dict[str, Choice] = {
    name: Choice(setting, float("-inf")) for name, setting in {**dict.fromkeys(OWN, ()), **rules.AS_IT_COMES}.items()
}
BUDGET = 2.0  # false alerts an account and month
QUANTILES = (0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 0.999, 0.9995)
FLOORS_USD = (1.0, 5.0, 15.0)
GAPS_HOURS = (24, 72)
RANK_STEPS = 40
WARM_UP_HOURS = 14 * 24  # before that, a rival that looks back has too little data for useful scores


def alerts_by_setting(detector: str, case: Case, cache: Path) -> dict[Setting, list[Alert]]:
    """Return a detector's alerts on a case for each of its settings."""
    if detector in OWN:
        return {(): ours.alerts(case, cache, **OWN[detector])}
    features = ours.features_of(case, cache)
    panel = panel_of(case, features)
    if detector in rules.RULES:
        return _kept_alerts(detector, panel, features, cache)
    scores = _kept_scores(detector, panel, features, cache)
    source = (
        scores.name.encode() + Path(grouping.__file__).read_bytes() + repr((QUANTILES, FLOORS_USD, GAPS_HOURS)).encode()
    )
    kept = cache / f"grouped-{hashlib.sha256(source).hexdigest()[:16]}.pickle"
    if not kept.exists():
        _write(kept, lambda file: pickle.dump(_grouped(case, panel, scores), file))
    found: dict[Setting, list[Alert]] = pickle.loads(kept.read_bytes())  # noqa: S301 - our own file
    return found


def _grouped(case: Case, panel: Panel, scores: Path) -> dict[Setting, list[Alert]]:
    stored = np.load(scores)
    points, excess = stored["points"], stored["excess"]
    learned = points[:, min(WARM_UP_HOURS, case.train_hours // 2) : case.train_hours]
    levels = np.quantile(learned[np.isfinite(learned)], QUANTILES)
    found: dict[Setting, list[Alert]] = {}
    for (quantile, level), floor, gap in product(zip(QUANTILES, levels, strict=True), FLOORS_USD, GAPS_HOURS):
        flagged = (points > level) & (excess > 0)
        found[(quantile, floor, float(gap))] = grouping.group(panel, flagged, excess, floor_usd=floor, gap_hours=gap)
    return found


def _kept_alerts(detector: str, panel: Panel, features: Path, cache: Path) -> dict[Setting, list[Alert]]:
    seen = features.name.encode() if detector in rules.ON_OUR_EXPECTATION else panel.usd.tobytes()
    code = Path(rules.__file__).read_bytes() + Path(grouping.__file__).read_bytes()
    source = code + detector.encode() + panel.train_hours.to_bytes(4, "big") + seen
    kept = cache / f"rule-{hashlib.sha256(source).hexdigest()[:16]}.pickle"
    if not kept.exists():
        _write(kept, lambda file: pickle.dump(rules.RULES[detector](panel), file))
    found: dict[Setting, list[Alert]] = pickle.loads(kept.read_bytes())  # noqa: S301 - our own file
    return found


def _kept_scores(detector: str, panel: Panel, features: Path, cache: Path) -> Path:
    # The key depends on a rival's input, so that a change of our features invalidates only a few rivals.
    seen = features.name.encode() if detector in rivals.ON_OUR_FEATURES else panel.gb.tobytes() + panel.usd.tobytes()
    source = Path(rivals.__file__).read_bytes() + detector.encode() + panel.train_hours.to_bytes(4, "big") + seen
    kept = cache / f"rival-{hashlib.sha256(source).hexdigest()[:16]}.npz"
    if not kept.exists():
        points, excess = rivals.RIVALS[detector](panel)
        stored = {"points": points.astype(np.float32), "excess": excess.astype(np.float32)}
        _write(kept, lambda file: np.savez(file, **stored))
    return kept


def _write(path: Path, write: Callable[[BinaryIO], None]) -> None:
    beside = path.with_suffix(f".{os.getpid()}.part")
    with beside.open("wb") as file:
        write(file)
    beside.replace(path)


def tuned(found: Found, budgets: Sequence[float] = (BUDGET,)) -> dict[float, Choice]:
    """Choose a detector's setting and rank threshold for each budget on cases, of which `found` holds the alerts.

    The budget holds for each kind of base traffic by itself, F1 is that of all cases together.
    """
    bases = [case.base for case, _ in found]
    tried = [(choice, _tally(bases, apply(choice, found))) for choice in _choices(found)]
    return {budget: max(tried, key=lambda one: _worth(*one[1], budget))[0] for budget in budgets}


def _tally(bases: list[str], scores: list[Score]) -> tuple[float, float]:
    """Return F1 and the false alerts an account and month of the base traffic that has the most of them."""
    parts = [total(s for b, s in zip(bases, scores, strict=True) if b == base) for base in set(bases)]
    return total(scores).f1, max(part.false_per_account_month for part in parts)


def _worth(f1: float, false_per_account_month: float, budget: float) -> tuple[bool, float]:
    within = false_per_account_month <= budget
    return within, f1 if within else -false_per_account_month


def _choices(found: Found) -> list[Choice]:
    choices = []
    for setting in found[0][1]:
        ranks = [alert.rank for _, by in found for alert in by[setting]]
        steps = np.unique(np.quantile(ranks, np.linspace(0, 1, RANK_STEPS))) if ranks else []
        choices += [Choice(setting, float(threshold)) for threshold in (-np.inf, *steps)]
    return choices


def apply(choice: Choice, found: Found) -> list[Score]:
    """Score each case with the chosen setting and threshold."""
    return [score(case, above(by[choice.setting], choice.threshold)) for case, by in found]
