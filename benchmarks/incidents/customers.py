"""Bills of customers who differ from the generated ones: steady, bursty, growing, two weeks old, expensive.

The kinds of incidents and the hard negatives are those of the generated bills. The base traffic differs and comes from
a separate random stream. An `expensive` customer has incidents of $20 to $200 per hour. They add 1 to 20 times the
usual traffic of a line, and show how soon large incidents are alerted.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.incidents import cases, traffic
from benchmarks.incidents.injection import KINDS, SIZES, Scene, Sizes

if TYPE_CHECKING:
    from benchmarks.incidents.bill import Floats
    from benchmarks.incidents.truth import Case


class _Quiet(traffic.Shaper):
    """Lines that hardly vary."""

    def noise(self, sigma: float) -> Floats:
        return super().noise(sigma / 3)

    def bursts(self) -> Floats:
        return np.ones(self.bill.hours)


class _Bursty(traffic.Shaper):
    """Lines that burst many times a week, up to thirteen times their level."""

    def bursts(self) -> Floats:
        level = np.ones(self.bill.hours)
        weekly = 4 + self.rng.gamma(2.0, 2.0)
        for _ in range(self.rng.poisson(weekly * self.bill.hours / traffic.WEEK)):
            at, long = int(self.rng.integers(self.bill.hours)), 1 + int(self.rng.exponential(5))
            level[at : at + long] *= 1 + min(self.rng.pareto(1.3), 12.0)
        return level


class _Growing(traffic.Shaper):
    """Lines that grow by about 12 % a week."""

    def growth(self, weeks: Floats) -> Floats:
        return np.asarray(np.exp(self.rng.normal(0.12, 0.04) * weeks))


@dataclass(frozen=True)
class _Customer:
    """Sizes of accounts (GB an hour of a typical line), jobs and incidents, how lines run, and days to learn from."""

    sizes: tuple[float, ...] = traffic.ACCOUNT_SIZES
    shaped_by: type[traffic.Shaper] = traffic.Shaper
    training_days: int = traffic.TRAINING_DAYS
    scale: float = 1.0
    incidents: Sizes = field(default_factory=lambda: SIZES)


EXPENSIVE: Sizes = {
    "large": ((2400.0, 4800.0), (1.0, 20.0)),
    "medium": ((1000.0, 2400.0), (1.0, 20.0)),
    "small": ((480.0, 1000.0), (1.0, 20.0)),
    "faint": SIZES["faint"],
}
CUSTOMERS = {
    "quiet": _Customer(sizes=(0.01, 0.02, 0.05), shaped_by=_Quiet, scale=0.02),
    "bursty": _Customer(shaped_by=_Bursty),
    "growing": _Customer(shaped_by=_Growing),
    "young": _Customer(training_days=14),
    "expensive": _Customer(sizes=(20.0, 100.0, 400.0), scale=20.0, incidents=EXPENSIVE),
}
SCORED_DAYS = 35


def customer_case(kind: str, seed: int, folder: Path) -> Case:
    """Return the case of a kind of customer and a seed; the same seed gives the same bytes."""
    source = hashlib.sha256(cases._source().encode() + Path(__file__).read_bytes()).hexdigest()[:10]
    return cases._kept(folder / f"{kind}-{seed}-{source}", lambda home: _generate(kind, seed, home))


def _generate(kind: str, seed: int, home: Path) -> Case:
    customer = CUSTOMERS[kind]
    days = customer.training_days + SCORED_DAYS
    stream = 20_261_210 + list(CUSTOMERS).index(kind)
    bill, rng, _ = traffic.new_bill(seed, days, customer.sizes, customer.shaped_by, stream)
    scene = Scene(bill, rng, customer.training_days * 24, scale=customer.scale, sizes=customer.incidents)
    return cases._finished(kind, seed, scene, home, list(KINDS))
