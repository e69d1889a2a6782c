"""`python -m benchmarks.incidents`: the table."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.incidents.cases import SEEDS, generated_case
from benchmarks.incidents.evaluation import BUDGET, DETECTORS, Choice, alerts_by_setting, apply, tune
from benchmarks.incidents.score import Score, total

BUDGETS = (0.5, 1.0, 2.0, 4.0, 8.0)
COLUMNS = {
    "f1": "F1", "precision": "precision", "recall": "recall", "false_per_account_month": "false/acct/mo",
    "in_time": "$ in time", "in_time_by_arrival": "by arrival", "delay_hours": "delay h",
    "delay_after_arrival_hours": "after arrival", "right_resource": "resource", "right_class": "class",
    "right_kind": "kind",
}  # fmt: skip


def main() -> int:
    """Tune on the development seeds, measure, print."""
    options = _options()
    cache = options.cache or Path(tempfile.gettempdir()) / "egress-sentinel-incidents"
    cache.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {}
    for detector in options.detector or DETECTORS:
        found = {
            name: [
                (case, alerts_by_setting(detector, case, cache))
                for case in (generated_case(seed, cache) for seed in SEEDS[name][: options.cases])
            ]
            for name in {"dev", options.seeds}
        }
        choice = tune(found["dev"])
        scores = apply(choice, found[options.seeds])
        frontier = {budget: total(apply(tune(found["dev"], budget), found[options.seeds])) for budget in BUDGETS}
        results[detector] = _result(choice, scores, frontier)
        _print(detector, results[detector], header=len(results) == 1)
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents", description=__doc__)
    parser.add_argument("--seeds", choices=sorted(SEEDS), default="reported", help="what to measure on")
    parser.add_argument("--cases", type=int, help="take that many seeds of each kind only")
    parser.add_argument("--quick", action="store_const", const=2, dest="cases", help="two seeds of each kind")
    parser.add_argument("--detector", action="append", choices=DETECTORS, help="this one only; may be repeated")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--cache", type=Path, help="where bills, features and models are kept")
    return parser.parse_args()


def _result(choice: Choice, scores: list[Score], frontier: dict[float, Score]) -> dict[str, Any]:
    whole = total(scores)
    return {
        "budget": BUDGET,
        "setting": list(choice.setting),
        "threshold": choice.threshold if np.isfinite(choice.threshold) else None,
        "cases": len(scores),
        "incidents": whole.incidents,
        **whole.figures(),
        "f1_by_case": [score.f1 for score in scores],
        "false_by": whole.false_by,
        "by_kind_and_size": {f"{kind} {size}": counts for (kind, size), counts in sorted(whole.by.items())},
        "frontier": {str(budget): score.figures() for budget, score in frontier.items()},
    }


def _print(detector: str, result: dict[str, Any], *, header: bool) -> None:
    if header:
        print(f"{'':18}" + "".join(f"{title:>14}" for title in COLUMNS.values()) + f"{'F1 spread':>14}")
    values = ["-" if result[name] is None else f"{result[name]:.2f}" for name in COLUMNS]
    print(f"{detector:18}" + "".join(f"{value:>14}" for value in values) + f"{np.std(result['f1_by_case']):>14.2f}")


if __name__ == "__main__":
    sys.exit(main())
