"""A replay with feedback: what people say of the first half's alerts, and what becomes of the second half.

    python -m benchmarks.incidents.feedback --seeds dev --cases 2

Each alert of the first half is answered by the truth: `true` where it belongs to an incident, `planned` where it falls
on something ordinary that the account's people know of, `false` otherwise. At the half the model is trained again, with
the judged hours left out, and the second half is decided with the verdicts in the alerts table, as `egress-sentinel
feedback` leaves them. Beside it the same without a verdict: the same alerts until then, trained again on all hours.

The policy is the one that ships, with no budget: verdicts are for people who get too many alerts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.incidents.cases import generated_case, real_case
from benchmarks.incidents.detectors import in_process, ours
from benchmarks.incidents.score import belongs, is_about, score
from benchmarks.incidents.seeds import SEEDS
from egress_sentinel.feedback import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from benchmarks.incidents.truth import Case

REAL_BILLS = Path(__file__).resolve().parents[3] / "shared" / "data" / "cur_legacy"


@dataclass(frozen=True)
class Half:
    """What the second half of a case came to: false alerts, incidents that began in it, and those of them found."""

    false: int = 0
    incidents: int = 0
    found: int = 0

    def __add__(self, other: Half) -> Half:
        return Half(self.false + other.false, self.incidents + other.incidents, self.found + other.found)


def replayed(case: Case, cache: Path) -> dict[str, Half]:
    """Return the second half "without" and "with" verdicts on the alerts of the first."""
    features, half = ours.features_of(case, cache), (case.train_hours + case.hours) // 2
    start, middle, end = (ours.moment(case, hour) for hour in (case.train_hours, half, case.hours))
    first_model = ours.model_of(case, features, cache)
    halves = {}
    for name in ("without", "with"):
        with in_process.account(features, start, ours.POLICY) as account:
            account.run(first_model, start, middle)
            before = account.records()
            verdicts = verdicts_of(case, before) if name == "with" else []
            account.judge(verdicts)
            account.run(ours.model_of(case, features, cache, half, verdicts), middle, end)
            halves[name] = second_half(case, half, before, account.records())
    return halves


def verdicts_of(case: Case, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return what people who know the truth say of alerts."""
    return [judge(record, _verdict(case, record), now=case.start) for record in records]


def _verdict(case: Case, record: Mapping[str, Any]) -> str:
    alert = ours.alert_of(case, record)
    if any(belongs(alert, incident) for incident in case.incidents):
        return "true"
    return "planned" if any(is_about(alert, event) for event in case.ordinary) else "false"


def second_half(
    case: Case, half: int, before: Sequence[Mapping[str, Any]], records: Sequence[Mapping[str, Any]]
) -> Half:
    """Score what was told after the half, given the alerts that stood at it."""
    known = {record["alert_id"] for record in before}
    told = [record for record in records if not record["quieted_by"] or record["alert_id"] in known]
    whole, first = (score(case, [ours.alert_of(case, record) for record in some]) for some in (told, before))
    late = [incident for incident in case.incidents if incident.catchable and incident.start >= half]
    late_alerts = [ours.alert_of(case, record) for record in told]
    found = sum(any(belongs(alert, incident) for alert in late_alerts) for incident in late)
    return Half(whole.false - first.false, len(late), found)


def main() -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents.feedback", description="With feedback.")
    parser.add_argument("--seeds", choices=sorted(SEEDS), default="reported")
    parser.add_argument("--cases", type=int, help="take that many seeds of each kind only")
    parser.add_argument("--real", type=Path, default=REAL_BILLS, help="a folder with a legacy CUR in parquet")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "egress-sentinel-incidents")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    seeds = SEEDS[options.seeds][: options.cases]
    bases = {"generated": [generated_case(seed, options.cache) for seed in seeds]}
    if any(options.real.glob("*.parquet")):
        bases["real, rescaled"] = [real_case(seed, options.cache, options.real) for seed in seeds]
    figures: dict[str, dict[str, dict[str, int]]] = {}
    for base, cases in bases.items():
        halves = [replayed(case, options.cache) for case in cases]
        figures[base] = {name: vars(sum((half[name] for half in halves), Half())) for name in ("without", "with")}
        for name, half in figures[base].items():
            print(
                f"{base}, {name} feedback: {half['false']} false alerts, {half['found']} of {half['incidents']} found"
            )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
