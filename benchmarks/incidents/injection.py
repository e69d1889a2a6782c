"""Injects incidents into a bill: their place, size and course, and the truth about them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.incidents import traffic
from benchmarks.incidents.bill import PREFIXES, Bill, Flow, injected_usd
from benchmarks.incidents.truth import Incident

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from benchmarks.incidents.bill import Floats

Sizes = dict[str, tuple[tuple[float, float], tuple[float, float]]]
# Size to ranges of dollars per day and of multiples of the line's usual traffic. If both ranges cannot hold, the
# incident gets at least its smallest multiple. `faint` incidents are below every floor.
SIZES: Sizes = {
    "large": ((150.0, 800.0), (5.0, 20.0)),
    "medium": ((40.0, 150.0), (2.0, 5.0)),
    "small": ((12.0, 40.0), (0.8, 2.0)),
    "faint": ((1.0, 3.5), (0.5, 3.0)),
}
APART_HOURS = 72


@dataclass
class Scene:
    """The bill into which incidents are put, and the flows and hours that are already in use.

    `used` are the ids of flows with an incident or an ordinary event. `busy` are the hours at which one starts in an
    account and region. `scale` is the size of ordinary jobs relative to those of a customer of usual size, and `sizes`
    are the sizes of incidents.
    """

    bill: Bill
    rng: np.random.Generator
    train_hours: int
    used: set[int] = field(default_factory=set)
    busy: dict[tuple[str, str], list[int]] = field(default_factory=dict)
    scale: float = 1.0
    sizes: Sizes = field(default_factory=lambda: SIZES)

    def normal(self, flow: Flow) -> float:
        """Return the flow's usual GB an hour: the mean of the training weeks."""
        return float(flow.gb[: self.train_hours].mean())

    def candidates(self, name: str, product: str = "") -> list[Flow]:
        """Return unused flows by their kind of usage and product; only those with traffic in the training weeks."""
        return [
            flow
            for flow in self.bill.flows
            if flow.usage_type.endswith(name)
            and flow.product.startswith(product)
            and id(flow) not in self.used
            and flow.resource
            and self.normal(flow) > 0
        ]

    def pick(self, flows: list[Flow], usd_per_day: float, ratio: float) -> Flow:
        """Return the flow whose usual traffic is nearest to the wanted dollars over the wanted multiple."""
        wanted = usd_per_day / ratio / 24
        misfit = [
            abs(np.log(max(self.normal(flow) * flow.list_price, 1e-6) / wanted)) + self.rng.uniform(0, 0.5)
            for flow in flows
        ]
        return flows[int(np.argmin(misfit))]

    def hour(self, account: str, region: str, fits: Callable[[int], bool] = lambda _hour: True, tail: int = 48) -> int:
        """Return a free hour of the scored weeks, `tail` hours before the end at least, and take it.

        Raises
        ------
        LookupError
            None is left.
        """
        first, last = self.train_hours + 6, self.bill.hours - tail
        taken = self.busy.setdefault((account, region), [])
        free = [h for h in range(first, last) if fits(h) and all(abs(h - t) >= APART_HOURS for t in taken)]
        if not free:
            raise LookupError(f"no free hour in {account} {region}")
        taken.append(int(self.rng.choice(free)))
        return taken[-1]

    def unused_region(self, account: str) -> str:
        """Return a region in which the account is not billed for anything."""
        known = {flow.region for flow in self.bill.flows if flow.account == account and flow.tariff != "free"}
        return str(self.rng.choice([name for name in PREFIXES if name not in known]))

    def weekday(self, hour: int) -> int:
        """Return 0 for Monday."""
        return self.bill.at(hour).weekday()

    def course(self, start: int, levels: Floats) -> Floats:
        """Lay levels from an hour on, with a little noise; what lies beyond the end is cut off."""
        course = np.zeros(self.bill.hours)
        levels = levels[: self.bill.hours - start]
        course[start : start + len(levels)] = levels * self.rng.lognormal(0, 0.08, len(levels))
        return course


@dataclass
class Wish:
    """How large an incident is to be: dollars a day and multiples of the usual."""

    size: str
    usd_per_day: float
    ratio: float

    def gb_an_hour(self, scene: Scene, flow: Flow, price: float | None = None) -> float:
        """Return the mean GB an hour that make the dollars, within the multiples as far as the dollars allow it."""
        rate = price or flow.list_price
        (least_usd, _), (least, most) = scene.sizes[self.size]
        wanted = min(self.usd_per_day / 24 / rate, max(most * scene.normal(flow), least_usd / 24 / rate))
        return max(wanted, least * scene.normal(flow))


def inject(scene: Scene, kind: str, size: str, number: int) -> None:
    """Put one incident into the bill; its truth is read from the flows afterwards.

    Raises
    ------
    LookupError
        There is no line or no hour left for it.
    """
    dollars, multiples = scene.sizes[size]
    rng = scene.rng
    wish = Wish(size, float(np.exp(rng.uniform(*np.log(dollars)))), float(np.exp(rng.uniform(*np.log(multiples)))))
    KINDS[kind](scene, wish, number)
    scene.used |= {id(flow) for flow in scene.bill.flows if number in flow.injected}


def _chosen(scene: Scene, wish: Wish, name: str, product: str = "") -> Flow:
    """Pick a line of a kind; where the bill has none of the product, of any; where it has no NAT gateway, a new one."""
    flows = scene.candidates(name, product) or scene.candidates(name)
    if not flows and name.startswith("Nat"):
        like = scene.candidates("DataTransfer-Out-Bytes", "AmazonEC2")[0]
        return traffic.nat_gateway(scene.bill, like.account, like.region, np.zeros(scene.bill.hours), scene.rng)
    if not flows:
        raise LookupError(f"no line of {name} is left")
    return scene.pick(flows, wish.usd_per_day, wish.ratio)


def _siblings(scene: Scene, flow: Flow) -> list[Flow]:
    """Return the priced flows of the same resource, the flow itself first."""
    return [flow] + [
        other
        for other in scene.bill.flows
        if other is not flow and other.resource == flow.resource and other.tariff == flow.tariff
    ]


def _s3_through_nat(scene: Scene, wish: Wish, number: int) -> None:
    """Let a batch job read S3 through a NAT gateway: every hour from a deploy on, or some hours of each night."""
    rng, flow = scene.rng, _chosen(scene, wish, "NatGateway-Bytes")
    start = scene.hour(flow.account, flow.region)
    hours = np.arange(int(rng.integers(60, 240)))
    shape = np.ones(len(hours)) if rng.random() < 0.6 else np.where(hours % 24 < 5, 24 / 5, 0.0)
    flow.inject(number, scene.course(start, wish.gb_an_hour(scene, flow) * shape))


def _image_pulls(scene: Scene, wish: Wish, number: int) -> None:
    """Restart containers, which pull their images through NAT again: a sawtooth."""
    rng, flow = scene.rng, _chosen(scene, wish, "NatGateway-Bytes")
    start, period = scene.hour(flow.account, flow.region), int(rng.integers(2, 8))
    tooth = np.exp(-np.arange(period) / rng.uniform(0.4, 1.5))
    shape = np.tile(tooth / tooth.mean(), 240)[: int(rng.integers(72, 240))]
    flow.inject(number, scene.course(start, wish.gb_an_hour(scene, flow) * shape))


def _zone_chatter(scene: Scene, wish: Wish, number: int) -> None:
    """Talk to another zone after a deploy in working hours (or creeping in over two days); in = out."""
    rng, flow = scene.rng, _chosen(scene, wish, "Regional-Bytes")
    lines = _siblings(scene, flow)
    start = scene.hour(flow.account, flow.region, lambda h: scene.weekday(h) < 5 and 8 <= scene.bill.at(h).hour < 18)
    long = int(rng.integers(72, 260))
    ramp = np.minimum(1, np.arange(1, long + 1) / (1 if rng.random() < 0.65 else 48))
    level = wish.gb_an_hour(scene, flow, flow.list_price * len(lines))
    for line in lines:
        line.inject(number, scene.course(start, level * ramp))


def _hot_link(scene: Scene, wish: Wish, number: int) -> None:
    """Link an object from outside: a ramp to a plateau that breathes by day."""
    rng, flow = scene.rng, _chosen(scene, wish, "DataTransfer-Out-Bytes", "AmazonS3")
    start, hours = scene.hour(flow.account, flow.region), np.arange(int(rng.integers(40, 120)))
    ramp = 1 / (1 + np.exp(-(hours - rng.uniform(3, 14)) / rng.uniform(0.8, 3)))
    shape = ramp * (1 + 0.3 * np.sin(hours * 2 * np.pi / 24))
    flow.inject(number, scene.course(start, wish.gb_an_hour(scene, flow) * shape))


def _cdn_miss(scene: Scene, wish: Wish, number: int) -> None:
    """Leave a large file uncached: spikes from one bucket, again and again."""
    rng, flow = scene.rng, _chosen(scene, wish, "DataTransfer-Out-Bytes", "AmazonS3")
    start, long = scene.hour(flow.account, flow.region), int(rng.integers(72, 192))
    spikes = rng.random(long) < rng.uniform(0.1, 0.3)
    spikes[0] = True
    shape = np.where(spikes, rng.lognormal(0, 0.4, long), 0.0)
    flow.inject(number, scene.course(start, wish.gb_an_hour(scene, flow) * shape / shape.mean()))


def _log_loop(scene: Scene, wish: Wish, number: int) -> None:
    """Log about logs: doubling until something is full, through an instance and its NAT gateway."""
    rng, flow = scene.rng, _chosen(scene, wish, "DataTransfer-Out-Bytes", "AmazonEC2")
    gateways = [
        other
        for other in scene.candidates("NatGateway-Bytes")
        if (other.account, other.region) == (flow.account, flow.region)
    ]
    start, hours = scene.hour(flow.account, flow.region), np.arange(int(rng.integers(30, 80)))
    full = 2 * wish.gb_an_hour(scene, flow)
    levels = np.minimum(full / 2 ** rng.uniform(6, 9) * 2 ** (hours / rng.uniform(1.5, 3.5)), full)
    course = scene.course(start, levels)
    for line in [flow, *gateways[:1]]:
        line.inject(number, course)


def _new_replica(scene: Scene, wish: Wish, number: int) -> None:
    """Replicate to a region that was never used: backfill, then every new object."""
    rng, source = scene.rng, _chosen(scene, wish, "DataTransfer-Out-Bytes", "AmazonS3")
    pairs = {flow.usage_type for flow in scene.bill.flows}
    ends = [
        end
        for end, prefix in PREFIXES.items()
        if prefix and end != source.region and not any(f"-{prefix}-" in kind for kind in pairs)
    ]
    other = str(rng.choice(ends or ["ap-northeast-1"]))
    start = scene.hour(source.account, source.region)
    zeros = np.zeros(scene.bill.hours)
    flow = traffic.replication(scene.bill, source.account, source.region, other, zeros, rng, source.resource)
    level = wish.usd_per_day / 24 / flow.list_price
    hours = np.arange(int(rng.integers(60, 240)))
    shape = np.where(hours < int(rng.integers(10, 36)), rng.uniform(3, 8), 1.0)
    flow.inject(number, scene.course(start, level * shape))
    scene.used.add(id(source))


def _exfiltration(scene: Scene, wish: Wish, number: int) -> None:
    """Send data away in some hours of a night or of a weekend; the size's dollars a day are its total."""
    rng, flow = scene.rng, _chosen(scene, wish, "DataTransfer-Out-Bytes", "AmazonEC2")
    start = scene.hour(flow.account, flow.region, lambda h: scene.weekday(h) >= 5 or scene.bill.at(h).hour < 5)
    course = np.hanning(int(rng.integers(3, 9)) + 2)[1:-1]
    total = max(wish.usd_per_day / flow.list_price, scene.sizes[wish.size][1][0] * scene.normal(flow) * len(course))
    flow.inject(number, scene.course(start, total * course / course.sum()))


def _slow_exfiltration(scene: Scene, wish: Wish, number: int) -> None:
    """Send low and slow: a trickle of a third of the size's dollars a day and a fourth of its multiple."""
    rng = scene.rng
    small = Wish(wish.size, wish.usd_per_day / 3, wish.ratio / 4)
    flow = _chosen(scene, small, "DataTransfer-Out-Bytes", "AmazonEC2")
    start = scene.hour(flow.account, flow.region, tail=150)
    hours = np.arange(int(rng.integers(120, 330)))
    shape = np.ones(len(hours)) if rng.random() < 0.5 else np.where((hours + start) % 24 < 8, 3.0, 0.0)
    level = max(small.usd_per_day / 24 / flow.list_price, scene.sizes[wish.size][1][0] / 4 * scene.normal(flow))
    flow.inject(number, scene.course(start, level * shape))


def _leaked_key(scene: Scene, wish: Wish, number: int) -> None:
    """Start new instances in a region that the account never used, from a Friday night or a weekend on."""
    rng, bill = scene.rng, scene.bill
    account = str(rng.choice(sorted({flow.account for flow in bill.flows})))
    region = scene.unused_region(account)
    start = scene.hour(
        account, region, lambda h: scene.weekday(h) == 5 or (scene.weekday(h) == 4 and bill.at(h).hour > 18)
    )
    long, count = int(rng.integers(20, 72)), int(rng.integers(1, 4))
    for index in range(count):
        flow = traffic.instance(bill, account, region, np.zeros(bill.hours), rng)
        level = wish.usd_per_day / 24 / flow.list_price / count
        flow.inject(number, scene.course(start + 2 * index, np.full(long, level)))


KINDS: dict[str, Callable[[Scene, Wish, int], None]] = {
    "s3_through_nat": _s3_through_nat,
    "image_pulls": _image_pulls,
    "zone_chatter": _zone_chatter,
    "hot_link": _hot_link,
    "cdn_miss": _cdn_miss,
    "log_loop": _log_loop,
    "new_replica": _new_replica,
    "exfiltration": _exfiltration,
    "slow_exfiltration": _slow_exfiltration,
    "leaked_key": _leaked_key,
}


def truth(scene: Scene, lines: pd.DataFrame, number: int, kind: str, size: str) -> Incident:
    """Read an incident's truth off the priced bill."""
    flows = [flow for flow in scene.bill.flows if number in flow.injected and flow.tariff != "free"]
    gb = np.sum([flow.injected[number] for flow in flows], axis=0)
    hit = np.flatnonzero(gb)
    start, end = int(hit[0]), int(hit[-1])
    usual = sum(scene.normal(flow) for flow in flows)
    return Incident(
        number=number,
        kind=kind,
        size=size,
        accounts=tuple(dict.fromkeys(flow.account for flow in flows)),
        regions=tuple(dict.fromkeys(flow.region for flow in flows)),
        resources=tuple(dict.fromkeys(flow.resource for flow in flows)),
        usage_types=tuple(dict.fromkeys(flow.usage_type for flow in flows)),
        start=start,
        end=end,
        usd=injected_usd(scene.bill, lines, number),
        gb=gb,
        ratio=float(gb.sum() / (end - start + 1) / usual) if usual else float("inf"),
    )
