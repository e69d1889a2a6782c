"""A replay with feedback: people's verdicts on the first half's alerts, and their effect on the second half.

    python -m benchmarks.incidents.feedback --seeds dev --cases 2 --bills recurring

The truth gives a verdict on each alert of the first half:

- `true` if the alert belongs to an incident
- `planned` if it falls on an ordinary event that the account's people know of
- the verdict in `recurring.py` if it falls on a cause that comes again
- `false` otherwise

At the half the model is trained again without the judged hours. The second half is decided with the verdicts in the
alerts table, as `egress-sentinel feedback` writes them. The comparison has no verdicts: its first half is the same, and
it is trained again on all hours.

The policy is the default one, without a budget: verdicts are for people who get too many alerts.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from statistics import mean, pstdev
from typing import TYPE_CHECKING, Any

from benchmarks.incidents import recurring
from benchmarks.incidents.bills import REAL_BILLS
from benchmarks.incidents.cases import generated_case, real_case
from benchmarks.incidents.detectors import in_process, ours
from benchmarks.incidents.recurring import recurring_case
from benchmarks.incidents.score import belongs, is_about, score
from benchmarks.incidents.seeds import SEEDS
from egress_alerts.policy import Policy
from egress_sentinel.pipeline.feedback import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from benchmarks.incidents.alert import Alert
    from benchmarks.incidents.truth import Case

BILLS = ("recurring", "generated", "real")


@dataclass(frozen=True)
class Half:
    """The result of the second half of a case.

    Attributes
    ----------
    false, recurring : int
        False alerts, and those of them that fall on a cause that comes again (`recurring.py`).
    incidents, found : int
        Catchable incidents that began in it, and those of them with an alert in time.
    known, known_found : int
        Of these, the ones on the resource of a cause that comes again.
    suppressed : int
        Alerts that a verdict suppressed.
    """

    false: int = 0
    recurring: int = 0
    incidents: int = 0
    found: int = 0
    known: int = 0
    known_found: int = 0
    suppressed: int = 0

    def __add__(self, other: Half) -> Half:
        return Half(*(one + two for one, two in zip(astuple(self), astuple(other), strict=True)))


def replayed(case: Case, cache: Path) -> dict[str, Half]:
    """Return the second half "without" and "with" verdicts on the alerts of the first."""
    features, half = ours.features_of(case, cache), (case.train_hours + case.hours) // 2
    start, middle = ours.moment(case, case.train_hours), ours.moment(case, half)
    first_model = ours.model_of(case, features, cache)
    halves = {}
    for name in ("without", "with"):
        account = in_process.Account(features, start, Policy.from_values(ours.POLICY))
        account.run(first_model, start, middle)
        before = account.records()
        verdicts = verdicts_of(case, before) if name == "with" else []
        account.judge(verdicts)
        model = ours.model_of(case, features, cache, half, verdicts)
        told = {str(record["alert_id"]): case.train_hours for record in before}
        told = _told(case, account, model, half, 24 if verdicts else case.hours) | told
        halves[name] = second_half(case, before, account.records(), told)
    return halves


def _told(case: Case, account: in_process.Account, model: Path, half: int, step: int) -> dict[str, int]:
    """Score the second half, `step` hours at a time; return from which hour on people knew of an alert, by its id.

    A suppressed alert that outgrows its verdict is notified on that day: with verdicts the days go one by one.
    """
    told: dict[str, int] = {}
    for start in range(half, case.hours, step):
        account.run(model, ours.moment(case, start), ours.moment(case, min(start + step, case.hours)))
        for record in account.records():
            if not record["suppressed_by"]:
                told.setdefault(record["alert_id"], start)
    return told


def verdicts_of(case: Case, records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the verdicts of people who know the truth."""
    return [judge(record, _verdict(case, record), now=case.start) for record in records]


def _verdict(case: Case, record: Mapping[str, Any]) -> str:
    alert = ours.alert_of(case, record)
    if any(belongs(alert, incident) for incident in case.incidents):
        return "true"
    events = [event for event in case.ordinary if is_about(alert, event)]
    return recurring.VERDICTS.get(events[0].kind, "planned") if events else "false"


def second_half(
    case: Case, before: Sequence[Mapping[str, Any]], records: Iterable[Mapping[str, Any]], told: Mapping[str, int]
) -> Half:
    """Score the notifications after the half, given the alerts until then and the hour of each one's notification."""
    records, half = list(records), (case.train_hours + case.hours) // 2
    alerts = [_from(ours.alert_of(case, r), told[r["alert_id"]]) for r in records if r["alert_id"] in told]
    whole, first = (score(case, some) for some in (alerts, [ours.alert_of(case, record) for record in before]))
    late = [incident for incident in case.incidents if incident.catchable and incident.start >= half]
    found = [incident for incident in late if any(belongs(alert, incident) for alert in alerts)]
    return Half(
        false=whole.false - first.false,
        recurring=sum(whole.false_by.get(kind, 0) - first.false_by.get(kind, 0) for kind in recurring.VERDICTS),
        incidents=len(late),
        found=len(found),
        known=sum(incident.size == recurring.KNOWN for incident in late),
        known_found=sum(incident.size == recurring.KNOWN for incident in found),
        suppressed=len(records) - len(alerts),
    )


def _from(alert: Alert, hour: int) -> Alert:
    """Return an alert as of the hour of its notification, or of its detection if that is later."""
    course = [step for step in alert.course if step[0] >= hour] or [(hour, alert.rank)]
    return replace(alert, course=tuple(course))


def main() -> int:
    """Print a line for each bill and the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incidents.feedback", description="With feedback.")
    parser.add_argument("--seeds", choices=sorted(SEEDS), default="check")
    parser.add_argument("--cases", type=int, help="take that many seeds of each kind only")
    parser.add_argument("--bills", nargs="+", choices=BILLS, default=list(BILLS), help="which kinds")
    parser.add_argument("--real", type=Path, default=REAL_BILLS, help="a folder with a legacy CUR in parquet")
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "egress-sentinel-incidents")
    parser.add_argument("--json", type=Path, help="write the figures there")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    make: dict[str, Callable[[int], Case]] = {
        "recurring": lambda seed: recurring_case(seed, options.cache),
        "generated": lambda seed: generated_case(seed, options.cache),
        "real": lambda seed: real_case(seed, options.cache, options.real),
    }
    figures: dict[str, dict[str, list[dict[str, int]]]] = {}
    for bills in options.bills:
        if bills == "real" and not any(options.real.glob("*.parquet")):
            continue
        halves: dict[str, list[Half]] = {"without": [], "with": []}
        for seed in SEEDS[options.seeds][: options.cases]:
            for name, half in replayed(make[bills](seed), options.cache).items():
                halves[name].append(half)
                print(f"{bills} {seed}, {name} verdicts: {half}", flush=True)
        for name, some in halves.items():
            print(f"{bills}, {name} verdicts: {_summary(some)}")
        figures[bills] = {name: [asdict(half) for half in some] for name, some in halves.items()}
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1) + "\n")
    return 0


def _summary(halves: Sequence[Half]) -> str:
    whole, false = sum(halves, Half()), [half.false for half in halves]
    return (
        f"{whole.false} false alerts in {len(false)} bills ({mean(false):.1f} ± {pstdev(false):.1f}), "
        f"{whole.recurring} of them on causes that come again; {whole.found} of {whole.incidents} incidents found, "
        f"{whole.known_found} of {whole.known} on the resources of such causes; {whole.suppressed} alerts suppressed"
    )


if __name__ == "__main__":
    sys.exit(main())
