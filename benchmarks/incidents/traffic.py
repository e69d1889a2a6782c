"""Base traffic of generated accounts: a bill without incidents."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.incidents.bill import PREFIXES, Bill, Flow, usage_type, utc

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.incidents.bill import Floats

DAYS, TRAINING_DAYS = 70, 35
WEEK = 168
HOMES = ("us-east-1", "eu-west-1", "us-west-2", "eu-central-1", "us-east-2")
# Both starts have a change of the clocks (Europe's and America's) and a new month among the scored days.
STARTS = ("2026-02-02", "2026-09-14")
# GB an hour of a typical line.
ACCOUNT_SIZES = (0.3, 3.0, 20.0)
ZONES = {"us": "America/New_York", "eu": "Europe/Berlin"}


class Shaper:
    """Makes hourly courses for one bill."""

    def __init__(self, bill: Bill, rng: np.random.Generator) -> None:
        self.bill = bill
        self.rng = rng
        self.index = pd.date_range(bill.start, periods=bill.hours, freq="h")

    def local(self, region: str) -> pd.DatetimeIndex:
        """Return the wall-clock times of the people in a region; they follow summer time."""
        return self.index.tz_convert(ZONES.get(region[:2], "UTC"))

    def people(self, region: str, mean_gb: float) -> Floats:
        """Return traffic of people: day and week, growth, correlated noise, now and then a burst."""
        rng, local = self.rng, self.local(region)
        peak, depth = rng.normal(15, 3), rng.uniform(0.2, 0.85)
        day = 1 + depth * np.cos((local.hour.to_numpy() - peak) * 2 * np.pi / 24)
        day += rng.uniform(0, 0.3) * np.cos((local.hour.to_numpy() - rng.uniform(0, 24)) * 4 * np.pi / 24)
        week = np.where(local.day_of_week.to_numpy() >= 5, rng.uniform(0.25, 1.2), 1.0)
        weeks = np.arange(self.bill.hours) / WEEK
        level = np.maximum(day, 0.05) * week * self.growth(weeks) * self.noise(rng.uniform(0.06, 0.3)) * self.bursts()
        return np.asarray(mean_gb * level / level.mean())

    def growth(self, weeks: Floats) -> Floats:
        """Return the growth of a line over the weeks."""
        return np.asarray(np.exp(self.rng.normal(0.01, 0.025) * weeks))

    def noise(self, sigma: float) -> Floats:
        """Return correlated lognormal noise around 1, with a share that is new each hour."""
        steps = self.rng.normal(0, sigma, self.bill.hours)
        slow = pd.Series(steps).ewm(alpha=self.rng.uniform(0.05, 0.5)).mean().to_numpy() * 1.5
        return np.asarray(np.exp(0.6 * slow + 0.6 * self.rng.normal(0, sigma, self.bill.hours)))

    def bursts(self) -> Floats:
        """Return 1 with the ordinary bursts of a line on top; some lines have them all the time, some never."""
        level = np.ones(self.bill.hours)
        weekly = self.rng.gamma(0.6, 1.0)
        for _ in range(self.rng.poisson(weekly * self.bill.hours / WEEK)):
            at, long = int(self.rng.integers(self.bill.hours)), 1 + int(self.rng.exponential(4))
            level[at : at + long] *= 1 + min(self.rng.pareto(2.2), 4.0)
        return level

    def batch(self, region: str, gb_a_run: float, weekdays: tuple[int, ...], hour: int, long: int) -> Floats:
        """Return a job that runs at the same local hour of some weekdays."""
        rng, local = self.rng, self.local(region)
        runs = np.isin(local.day_of_week, weekdays) & ((local.hour.to_numpy() - hour) % 24 < long)
        size = rng.lognormal(0, rng.uniform(0.05, 0.35), self.bill.hours // 24 + 2)
        return np.asarray(np.where(runs, gb_a_run / long * size[np.arange(self.bill.hours) // 24], 0.0))

    def irregular(self, gb_a_run: float, runs_a_week: float) -> Floats:
        """Return runs of a few hours at any time, with random sizes."""
        course = np.zeros(self.bill.hours)
        for at in self.rng.integers(0, self.bill.hours, self.rng.poisson(runs_a_week * self.bill.hours / WEEK)):
            long = int(self.rng.integers(1, 7))
            course[at : at + long] += gb_a_run / long * self.rng.lognormal(0, 0.5)
        return course

    def sparse(self, runs: float, gb: float) -> Floats:
        """Return a course with traffic in only a few hours."""
        course = np.zeros(self.bill.hours)
        first = int(self.rng.integers(self.bill.hours)) if self.rng.random() < 0.6 else 0
        at = self.rng.integers(first, self.bill.hours, max(1, self.rng.poisson(runs)))
        course[at] = gb * self.rng.lognormal(0, 1.2, len(at))
        return course


def new_bill(
    seed: int,
    days: int | None = None,
    sizes: Sequence[float] = (),
    shaped_by: type[Shaper] = Shaper,
    stream: int = 20_261_125,
) -> tuple[Bill, np.random.Generator, Shaper]:
    """Return a bill with the base traffic of its accounts, and the generator and shaper to draw more from its seed."""
    rng = np.random.default_rng([stream, seed])
    bill = Bill(utc(STARTS[int(rng.integers(2))]), (days or DAYS) * 24, str(rng.integers(10**11, 10**12)))
    shaper = shaped_by(bill, rng)
    for size in sizes or ACCOUNT_SIZES:
        add_account(bill, shaper, str(rng.integers(10**11, 10**12)), size * rng.lognormal(0, 0.3))
    return bill, rng, shaper


def add_account(bill: Bill, shaper: Shaper, account: str, size: float) -> None:
    """Add an account with two regions: buckets, instances, gateways, zone pairs, jobs and lines with rare traffic."""
    rng = shaper.rng
    homes = list(rng.choice(HOMES, 2, replace=False))
    for region, share in zip(homes, (1.0, 0.4), strict=True):
        scale = size * share
        for _ in range(int(rng.integers(2, 5))):
            bucket(bill, account, region, shaper.people(region, scale * rng.lognormal(1.0, 0.8)), rng)
        for _ in range(int(rng.integers(2, 4))):
            instance(bill, account, region, shaper.people(region, scale * rng.lognormal(0.3, 0.8)), rng)
        for _ in range(int(rng.integers(1, 3))):
            course = shaper.people(region, scale * rng.lognormal(1.2, 0.6))
            nightly = shaper.batch(region, scale * rng.uniform(5, 40), (0, 1, 2, 3, 4), int(rng.integers(0, 6)), 3)
            nat_gateway(bill, account, region, course + nightly, rng)
        for _ in range(int(rng.integers(2, 5))):
            zone_pair(bill, account, region, shaper.people(region, scale * rng.lognormal(2.0, 0.9)), rng)
        _batch_jobs(bill, shaper, account, region, scale)
    for _ in range(60):
        _sparse_flow(bill, shaper, account, homes)


def _batch_jobs(bill: Bill, shaper: Shaper, account: str, region: str, scale: float) -> None:
    rng = shaper.rng
    other = str(rng.choice([name for name in HOMES if name != region]))
    nightly = shaper.batch(region, scale * rng.uniform(20, 150), tuple(range(7)), int(rng.integers(0, 6)), 2)
    replication(bill, account, region, other, nightly, rng).job = "nightly job"
    weekly = shaper.batch(region, scale * rng.uniform(40, 200), (int(rng.integers(7)),), int(rng.integers(0, 24)), 4)
    instance(bill, account, region, weekly, rng).job = "weekly job"
    # Jobs that a person starts about once a week, at any time, since before the bill.
    irregular = shaper.irregular(scale * rng.uniform(15, 120), float(rng.uniform(0.5, 2.5)))
    bucket(bill, account, region, irregular, rng).job = "irregular job"
    # People who fetch data when they need it: without a rhythm, for a few dollars at most.
    at_hand = shaper.sparse(rng.uniform(8, 40), min(scale * rng.uniform(1, 8), 12.0))
    instance(bill, account, region, at_hand, rng).job = "fetched by hand"


def _sparse_flow(bill: Bill, shaper: Shaper, account: str, homes: list[str]) -> None:
    rng = shaper.rng
    course = shaper.sparse(rng.uniform(1, 12), 10 ** rng.uniform(-6, -2))
    home = homes[int(rng.integers(2))]
    if rng.random() < 0.5:
        other = str(rng.choice([name for name in PREFIXES if name != home]))
        flow = replication(bill, account, home, other, course, rng)
        flow.operation = str(rng.choice(["ReadACL", "ReadLocation", "ListAllMyBuckets"]))
    else:
        bucket(bill, account, home, course, rng)


def name(rng: np.random.Generator, kind: str) -> str:
    """Return a new resource id of a kind: i, nat, bucket."""
    digits = "".join(rng.choice(list("0123456789abcdef"), 17))
    return f"data-{digits[:9]}" if kind == "bucket" else f"{kind}-{digits}"


def bucket(bill: Bill, account: str, region: str, gb: Floats, rng: np.random.Generator) -> Flow:
    """Add a bucket that sends to the internet."""
    kind = usage_type(region, "DataTransfer-Out-Bytes")
    flow = Flow(account, region, "AmazonS3", kind, "GetObject", name(rng, "bucket"), "internet", gb)
    bill.flows.append(flow)
    return flow


def instance(
    bill: Bill, account: str, region: str, gb: Floats, rng: np.random.Generator, resource: str | None = None
) -> Flow:
    """Add an instance that sends to the internet, and the free line of what comes back."""
    own = resource or name(rng, "i")
    both = [
        Flow(account, region, "AmazonEC2", usage_type(region, kind), "RunInstances", own, tariff, course)
        for kind, tariff, course in (
            ("DataTransfer-Out-Bytes", "internet", gb),
            ("DataTransfer-In-Bytes", "free", gb * 0.07),
        )
    ]
    bill.flows.extend(both)
    return both[0]


def nat_gateway(bill: Bill, account: str, region: str, gb: Floats, rng: np.random.Generator) -> Flow:
    """Add a NAT gateway and the bytes that it processes."""
    own = f"arn:aws:ec2:{region}:{account}:natgateway/{name(rng, 'nat')}"
    kind = usage_type(region, "NatGateway-Bytes")
    flow = Flow(account, region, "AmazonEC2", kind, "NatGateway", own, "nat", gb)
    bill.flows.append(flow)
    return flow


def zone_pair(bill: Bill, account: str, region: str, gb: Floats, rng: np.random.Generator) -> Flow:
    """Add an instance that talks across zones: a line in and a line out, the same usage type."""
    own, kind = name(rng, "i"), usage_type(region, "DataTransfer-Regional-Bytes")
    for operation, share in (("InterZone-Out", 1.0), ("InterZone-In", rng.uniform(0.3, 1.2))):
        bill.flows.append(Flow(account, region, "AmazonEC2", kind, operation, own, "zone", gb * share))
    return bill.flows[-2]


def replication(
    bill: Bill, account: str, region: str, other: str, gb: Floats, rng: np.random.Generator, source: str | None = None
) -> Flow:
    """Add a bucket that sends to another region."""
    ends = [PREFIXES[end] or "USE1" for end in (region, other)]
    kind = f"{ends[0]}-{ends[1]}-AWS-Out-Bytes"
    own = source or name(rng, "bucket")
    flow = Flow(account, region, "AmazonS3", kind, "PutObjectForRepl", own, "region", gb)
    bill.flows.append(flow)
    return flow
