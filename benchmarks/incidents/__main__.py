"""`python -m benchmarks.incidents`: the table."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.incidents.alert import above
from benchmarks.incidents.cases import generated_case, real_case
from benchmarks.incidents.evaluation import BUDGET, DETECTORS, Choice, alerts_by_setting, apply, tuned
from benchmarks.incidents.frontier import curve, draw
from benchmarks.incidents.report import text_tables
from benchmarks.incidents.score import Score, explain, total
from benchmarks.incidents.seeds import SEEDS

if TYPE_CHECKING:
    from benchmarks.incidents.evaluation import Found
    from benchmarks.incidents.truth import Case

BUDGETS = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
REAL_BILLS = Path(__file__).resolve().parents[3] / "shared" / "data" / "cur_legacy"


def main() -> int:
    """Tune on the development seeds, measure, print."""
    options = _options()
    cache = options.cache or Path(tempfile.gettempdir()) / "egress-sentinel-incidents"
    cache.mkdir(parents=True, exist_ok=True)
    cases = _cases(options, cache)
    results: dict[str, Any] = {}
    for detector in options.detector or DETECTORS:
        print(f"{detector} ...", file=sys.stderr, flush=True)
        found = {
            case.name: (case, alerts_by_setting(detector, case, cache)) for group in cases.values() for case in group
        }
        dev = [found[case.name] for (_, seeds), group in cases.items() if seeds == "dev" for case in group]
        groups = {
            base: [found[case.name] for case in group]
            for (base, seeds), group in cases.items()
            if seeds == options.seeds
        }
        results[detector] = measured(dev, groups)
        if options.explain:
            choice = tuned(dev)[BUDGET]
            for case, by in (one for group in groups.values() for one in group):
                print("\n".join(explain(case, above(by[choice.setting], choice.threshold))))
    print(text_tables(results))
    if options.json:
        options.json.write_text(json.dumps({"seeds": options.seeds, "detectors": results}, indent=1) + "\n")
    if options.picture:
        draw(results, options.picture)
    return 0


def measured(dev: Found, groups: dict[str, Found]) -> dict[str, Any]:
    """Tune on `dev` (all base traffic together: one product, one setting) and return the figures of each group."""
    choices = tuned(dev, BUDGETS)
    return {
        base: _result(
            choices[BUDGET],
            apply(choices[BUDGET], found),
            {budget: total(apply(choice, found)) for budget, choice in choices.items()},
        )
        | {"curve": curve(found, choices[BUDGET].setting)}
        for base, found in groups.items()
    }


def _cases(options: argparse.Namespace, cache: Path) -> dict[tuple[str, str], list[Case]]:
    """Return the cases by base traffic and seeds; development seeds are always among them."""
    kinds = [seeds for seeds in SEEDS if seeds in {"dev", options.seeds}]
    cases = {
        ("generated", seeds): [generated_case(seed, cache) for seed in SEEDS[seeds][: options.cases]] for seeds in kinds
    }
    if options.base == "generated":
        return cases
    if not any(options.real.glob("*.parquet")):
        print(f"the half with real base traffic is skipped: there is no legacy CUR in {options.real}", file=sys.stderr)
        return cases
    for seeds in kinds:
        chosen = SEEDS[seeds][: options.cases]
        cases["real, rescaled", seeds] = [real_case(seed, cache, options.real) for seed in chosen]
    return cases


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents", description="Labelled incidents, found.")
    parser.add_argument("--seeds", choices=sorted(SEEDS), default="reported", help="what to measure on")
    parser.add_argument("--cases", type=int, help="take that many seeds of each kind only")
    parser.add_argument("--quick", action="store_const", const=2, dest="cases", help="two seeds of each kind")
    parser.add_argument("--base", choices=("all", "generated"), default="all", help="which base traffic")
    parser.add_argument("--real", type=Path, default=REAL_BILLS, help="a folder with a legacy CUR in parquet")
    parser.add_argument("--detector", action="append", choices=DETECTORS, help="this one only; may be repeated")
    parser.add_argument("--explain", action="store_true", help="name each incident and each false alert")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--picture", type=Path, help="draw the frontier there, as .png or .svg")
    parser.add_argument("--cache", type=Path, help="where bills, features, models and scores are kept")
    return parser.parse_args()


def _result(choice: Choice, scores: list[Score], frontier: dict[float, Score]) -> dict[str, Any]:
    whole = total(scores)
    return {
        "budget": BUDGET,
        "setting": list(choice.setting),
        "threshold": choice.threshold if np.isfinite(choice.threshold) else None,
        "cases": len(scores),
        "incidents": whole.incidents,
        "account_months": whole.account_months,
        **whole.figures(),
        "f1_by_case": [score.f1 for score in scores],
        "false_by": whole.false_by,
        "by_kind_and_size": {f"{kind} {size}": counts for (kind, size), counts in sorted(whole.by.items())},
        "frontier": {str(budget): score.figures() for budget, score in frontier.items()},
    }


if __name__ == "__main__":
    sys.exit(main())
