"""`python -m benchmarks.incidents`: the table."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.incidents import publishing
from benchmarks.incidents.alert import above
from benchmarks.incidents.bills import BILLS, HOURLY, OF_A_REAL_BILL, REAL_BILLS, TITLES, TUNED_ON
from benchmarks.incidents.evaluation import AS_IT_COMES, BUDGET, DETECTORS, alerts_by_setting, tuned
from benchmarks.incidents.frontier import draw
from benchmarks.incidents.measuring import measured, measured_as_it_comes
from benchmarks.incidents.report import text_tables
from benchmarks.incidents.score import explain
from benchmarks.incidents.seeds import SEEDS

if TYPE_CHECKING:
    from benchmarks.incidents.truth import Case


def main() -> int:
    """Tune on the development seeds, measure, print; or write the data set, or score alerts on it."""
    if sys.argv[1:] and sys.argv[1] in publishing.COMMANDS:
        return publishing.main(sys.argv[1], sys.argv[2:])
    options = _options()
    cache = options.cache or Path(tempfile.gettempdir()) / "egress-sentinel-incidents"
    cache.mkdir(parents=True, exist_ok=True)
    cases = _cases(options, cache)
    results: dict[str, Any] = {}
    for detector in options.detector or [name for name in DETECTORS if name in AS_IT_COMES or not options.as_it_comes]:
        print(f"{detector} ...", file=sys.stderr, flush=True)
        results[detector] = _of_detector(detector, cases, options, cache)
    print(text_tables(results))
    if options.json:
        options.json.write_text(json.dumps({"seeds": options.seeds, "detectors": results}, indent=1) + "\n")
    if options.picture:
        draw(results, options.picture)
    return 0


def _of_detector(
    detector: str, cases: dict[tuple[str, str], list[Case]], options: argparse.Namespace, cache: Path
) -> dict[str, Any]:
    """Return the figures of a detector for each kind of bill; with `--explain` print its hits and misses."""
    found = {key: [(case, alerts_by_setting(detector, case, cache)) for case in group] for key, group in cases.items()}
    dev = [one for key, group in found.items() if _is_for_tuning(*key) for one in group]
    groups = {
        TITLES.get(bills, bills): group
        for (bills, seeds), group in found.items()
        if seeds == options.seeds and bills in options.bills
    }
    as_it_comes = AS_IT_COMES.get(detector)
    if options.explain:
        choice = as_it_comes if options.as_it_comes and as_it_comes else tuned(dev)[BUDGET]
        for case, by in (one for group in groups.values() for one in group):
            print("\n".join(explain(case, above(by[choice.setting], choice.threshold))))
    if options.as_it_comes and as_it_comes:
        return measured_as_it_comes(as_it_comes, groups)
    return measured(dev, groups, as_it_comes)


def _is_for_tuning(bills: str, seeds: str) -> bool:
    return seeds == "dev" and bills in TUNED_ON


def _cases(options: argparse.Namespace, cache: Path) -> dict[tuple[str, str], list[Case]]:
    """Return the cases by kind of bill and seeds, those that detectors are tuned on among them."""
    wanted = {(bills, options.seeds) for bills in options.bills}
    if not options.as_it_comes:
        wanted |= {(bills, "dev") for bills in TUNED_ON}
    has_real = any(options.real.glob("*.parquet"))
    if not has_real and any(bills in OF_A_REAL_BILL for bills, _ in wanted):
        print(f"bills with real base traffic are skipped: there is no legacy CUR in {options.real}", file=sys.stderr)
    return {
        (bills, seeds): [make(seed, cache, options.real) for seed in SEEDS[seeds][: options.cases]]
        for bills, make in BILLS.items()
        for seeds in SEEDS
        if (bills, seeds) in wanted and (has_real or bills not in OF_A_REAL_BILL)
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents", description="Labelled incidents, found.")
    parser.add_argument("--seeds", choices=sorted(SEEDS), default="check", help="what to measure on")
    parser.add_argument("--cases", type=int, help="take that many seeds of each kind only")
    parser.add_argument("--quick", action="store_const", const=2, dest="cases", help="two seeds of each kind")
    parser.add_argument("--bills", nargs="+", choices=BILLS, default=list(HOURLY), help="which kinds of bills")
    parser.add_argument(
        "--as-it-comes", action="store_true", help="no budget and no tuning: what each detector ships with"
    )
    parser.add_argument("--real", type=Path, default=REAL_BILLS, help="a folder with a legacy CUR in parquet")
    parser.add_argument("--detector", action="append", choices=DETECTORS, help="this one only; may be repeated")
    parser.add_argument("--explain", action="store_true", help="name each incident and each false alert")
    parser.add_argument("--json", type=Path, help="write the figures there")
    parser.add_argument("--picture", type=Path, help="draw the frontier there, as .png or .svg")
    parser.add_argument("--cache", type=Path, help="where bills, features, models and scores are kept")
    options = parser.parse_args()
    if options.as_it_comes and (tuned_alone := [d for d in options.detector or () if d not in AS_IT_COMES]):
        parser.error(f"{tuned_alone[0]} has no setting that it ships with; leave --as-it-comes out")
    if options.as_it_comes and options.picture:
        parser.error("the picture shows budgets; leave --as-it-comes or --picture out")
    return options


if __name__ == "__main__":
    sys.exit(main())
