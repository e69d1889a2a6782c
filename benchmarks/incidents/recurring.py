"""Bills in which ordinary causes come again: a partner who fetches, a job on demand, an export, a migration.

A generated bill covers twenty-one weeks, five of them for training, with incidents and hard negatives as in `cases`.
Harmless causes are injected before them, from a separate random stream. Each is large enough for an alert when it first
comes. It comes once or twice in the first half of the scored weeks and again in the second. Its time of day, length and
size differ each time. The second half also has two incidents on the resources of such causes. One is far larger. The
other is no larger in any hour but lasts for days. A verdict on the cause must hide neither.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.incidents import cases, injection, traffic
from benchmarks.incidents.bill import priced
from benchmarks.incidents.injection import KINDS, Scene, truth
from benchmarks.incidents.truth import Ordinary

if TYPE_CHECKING:
    from benchmarks.incidents.bill import Flow
    from benchmarks.incidents.truth import Case

TRAINING_DAYS, SCORED_DAYS = 35, 112
USD_EACH = (60.0, 240.0)
SIZE_SIGMA = 0.35  # of the logarithm: from one time to the next
TIMES_USUAL = 8.0  # the wanted dollars relative to the line's dollars in a day
LEAST_TIMES_LARGEST = 3.0  # the cause relative to the largest day above the line's mean in the training weeks


@dataclass(frozen=True)
class Cause:
    """A cause that comes again: its kind of line, the days in between, its hours, and people's verdict on it.

    `growth` is the size of each time relative to the one before.
    """

    kind: str
    usage: str
    product: str
    days_apart: tuple[float, float]
    hours: tuple[int, int]
    verdict: str
    growth: float = 1.0


CAUSES = (
    Cause("partner's fetch", "DataTransfer-Out-Bytes", "AmazonS3", (28, 60), (3, 13), "false"),
    Cause("job on demand", "DataTransfer-Out-Bytes", "AmazonEC2", (30, 70), (2, 9), "false"),
    Cause("monthly export", "DataTransfer-Out-Bytes", "AmazonS3", (29, 33), (4, 9), "planned"),
    Cause("quarterly close", "DataTransfer-Out-Bytes", "AmazonEC2", (85, 95), (5, 11), "planned"),
    Cause("migration in waves", "NatGateway-Bytes", "AmazonEC2", (10, 24), (12, 30), "planned", 1.4),
)
VERDICTS = {cause.kind: cause.verdict for cause in CAUSES}
TIMES_EACH = {"partner's fetch": 2, "job on demand": 2}  # of the others one a bill
LARGER, LONGER = "larger on a known resource", "longer on a known resource"
# A cause's alert is open for a week. The incident on its resource must not count as a continuation of it.
APART_HOURS = 9 * 24
FIRST_NUMBER = 901  # of the same bill's other incidents there are fewer
KNOWN = "known"  # the size of incidents on the resource of a cause


def recurring_case(seed: int, folder: Path) -> Case:
    """Return the case of a seed; the same seed gives the same bytes."""
    source = hashlib.sha256(cases._source().encode() + Path(__file__).read_bytes()).hexdigest()[:10]
    return cases._kept(folder / f"recurring-{seed}-{source}", lambda home: _generate(seed, home))


def _generate(seed: int, home: Path) -> Case:
    bill, rng, _ = traffic.new_bill(seed, TRAINING_DAYS + SCORED_DAYS)
    scene = Scene(bill, np.random.default_rng([20_261_129, seed]), TRAINING_DAYS * 24)
    comings = [_come_again(scene, cause) for cause in CAUSES for _ in range(TIMES_EACH.get(cause.kind, 1))]
    kinds = (LARGER, LONGER)
    chosen = scene.rng.choice(sum(TIMES_EACH.values()), len(kinds), replace=False)
    for number, (kind, index) in enumerate(zip(kinds, chosen, strict=True), FIRST_NUMBER):
        _inject(scene, comings[int(index)], number, kind)
    scene.rng = rng
    case = cases._finished("recurring", seed, scene, home, list(KINDS))
    lines = priced(bill)
    known = [truth(scene, lines, number, kind, KNOWN) for number, kind in enumerate(kinds, FIRST_NUMBER)]
    events = [event for coming in comings for event in coming.events()]
    return replace(case, incidents=(*case.incidents, *known), ordinary=(*events, *case.ordinary))


@dataclass
class _Coming:
    """A cause as it came: on which line, and each time's first hour, length in hours and GB an hour."""

    cause: Cause
    flow: Flow
    times: list[tuple[int, int, float]]

    def events(self) -> list[Ordinary]:
        about = (self.cause.kind, self.flow.account, (self.flow.region,), (self.flow.resource,))
        return [Ordinary(*about, start, start + long) for start, long, _ in self.times]


def _come_again(scene: Scene, cause: Cause) -> _Coming:
    rng = scene.rng
    usd = float(np.exp(rng.uniform(*np.log(USD_EACH))))
    lines = [flow for flow in scene.candidates(cause.usage, cause.product) if not flow.job]
    flow = scene.pick(lines, usd, TIMES_USUAL)
    scene.used |= {id(other) for other in scene.bill.flows if other.resource == flow.resource}
    least = LEAST_TIMES_LARGEST * _largest_day(scene, flow)
    times = []
    for number, start in enumerate(_starts(scene, cause)):
        long = int(rng.integers(*cause.hours))
        level = max(usd / flow.list_price, least) * cause.growth**number * rng.lognormal(0, SIZE_SIGMA) / long
        flow.gb = flow.gb + scene.course(start, np.full(long, level))
        times.append((start, long, level))
        scene.busy.setdefault((flow.account, flow.region), []).append(start)
    return _Coming(cause, flow, times)


def _largest_day(scene: Scene, flow: Flow) -> float:
    """Return the GB by which a line's largest day of the training weeks was above its mean."""
    above = np.concatenate([[0.0], np.cumsum(flow.gb[: scene.train_hours] - scene.normal(flow))])
    return float((above[24:] - above[:-24]).max())


def _starts(scene: Scene, cause: Cause) -> list[int]:
    """Draw when it comes, so that an incident on its resource has room in the second half."""
    while True:
        starts = _drawn_starts(scene, cause)
        if _free_hours(scene, starts) or cause.verdict == "planned":
            return starts


def _drawn_starts(scene: Scene, cause: Cause) -> list[int]:
    """Draw the last time in the first half, on from it until the end, and perhaps once before."""
    first, half, last = scene.train_hours + 48, _half(scene), scene.bill.hours - 120

    def gap() -> int:
        return int(24 * scene.rng.uniform(*cause.days_apart))

    to_next = gap()
    latest = max(half - 24 - int(scene.rng.uniform(0.05, 0.9) * to_next), first)
    latest = min(latest, last - to_next - 1)  # so that it comes again
    before, following = latest - gap(), latest + to_next
    starts = [before, latest] if before >= first else [latest]
    while following < last:
        starts.append(following)
        following += gap()
    return starts


def _free_hours(scene: Scene, starts: list[int]) -> list[int]:
    """Return the hours of the second half that are far enough from all of a cause's times."""
    hours = range(_half(scene) + 48, scene.bill.hours - 130)
    return [hour for hour in hours if all(abs(hour - start) > APART_HOURS for start in starts)]


def _half(scene: Scene) -> int:
    return (scene.train_hours + scene.bill.hours) // 2


def _inject(scene: Scene, coming: _Coming, number: int, kind: str) -> None:
    """Put an incident on a cause's resource.

    The larger one sends four to eight times as much as the cause ever did, in about as many hours; the longer one sends
    for days, in no hour as much as the cause in its largest.
    """
    rng, flow, busy = scene.rng, coming.flow, scene.busy[coming.flow.account, coming.flow.region]
    if kind == LARGER:
        long = int(rng.integers(6, 16))
        level = max(gb_an_hour * hours for _, hours, gb_an_hour in coming.times) * rng.uniform(4, 8) / long
    else:
        long = int(rng.integers(60, 120))
        level = max(gb_an_hour for _, _, gb_an_hour in coming.times) * rng.uniform(0.4, 0.8)
    free = _free_hours(scene, [start for start, _, _ in coming.times])
    alone = [hour for hour in free if all(abs(hour - start) > injection.APART_HOURS for start in busy)]
    start = int(rng.choice(alone or free))
    flow.inject(number, scene.course(start, np.full(long, level)))
    busy.append(start)
