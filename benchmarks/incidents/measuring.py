"""The figures of a detector on cases, as the tables and the JSON have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.incidents.evaluation import BUDGET, Choice, apply, tuned
from benchmarks.incidents.frontier import curve
from benchmarks.incidents.score import Score, f1_interval, total

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.incidents.evaluation import Found

BUDGETS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)


def measured(dev: Found, groups: Mapping[str, Found], as_it_comes: Choice | None = None) -> dict[str, Any]:
    """Tune on `dev` (all base traffic together: one product, one setting) and return the figures of each group."""
    choices = tuned(dev, BUDGETS)
    return {
        base: _result(choices[BUDGET], apply(choices[BUDGET], found))
        | {
            "budget": BUDGET,
            "frontier": {str(budget): total(apply(choice, found)).figures() for budget, choice in choices.items()},
            "curve": curve(found, choices[BUDGET].setting),
            "as_it_comes": None if as_it_comes is None else _result(as_it_comes, apply(as_it_comes, found)),
        }
        for base, found in groups.items()
    }


def measured_as_it_comes(choice: Choice, groups: Mapping[str, Found]) -> dict[str, Any]:
    """Return the figures of each group with the setting that a detector comes with, and no budget."""
    results = {base: _result(choice, apply(choice, found)) for base, found in groups.items()}
    return {
        base: result | {"budget": None, "frontier": {}, "curve": [], "as_it_comes": result}
        for base, result in results.items()
    }


def _result(choice: Choice, scores: list[Score]) -> dict[str, Any]:
    whole = total(scores)
    return {
        "setting": list(choice.setting),
        "threshold": choice.threshold if np.isfinite(choice.threshold) else None,
        "cases": len(scores),
        "incidents": whole.incidents,
        "account_months": whole.account_months,
        **whole.figures(),
        "f1_interval": list(f1_interval(scores)),
        "f1_by_case": [score.f1 for score in scores],
        "false_by": whole.false_by,
        "by_kind_and_size": {f"{kind} {size}": counts for (kind, size), counts in sorted(whole.by.items())},
    }
