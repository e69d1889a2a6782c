"""Bills with crowds: many resources, regions or accounts share a cause, and each alone is too small to notice.

The base traffic is that of four accounts over ten weeks, from a separate random stream. These causes are injected into
it, each with one truth:

- `fleet`: the instances of a fleet rise together after a deploy;
- `rotating_ids`: the same, with instances that live for twelve hours and come back under another id;
- `key_in_many_regions`: one leaked key starts instances in regions that the account never used;
- `bucket_family`: a crawler reads many buckets of one application;
- `many_accounts`: one deployment in several accounts.

There are more hard negatives than in other bills: ordinary rotation of ids, ids that begin to rotate, and scaling out
by 20 %. Two unrelated incidents may also begin at once in one account and region, and each deserves a separate alert.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.incidents import cases, traffic
from benchmarks.incidents.bill import PREFIXES, Flow, usage_type
from benchmarks.incidents.injection import APART_HOURS, Scene, inject
from benchmarks.incidents.truth import Ordinary

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.incidents.bill import Bill, Floats
    from benchmarks.incidents.truth import Case

ACCOUNT_SIZES = (0.3, 1.0, 3.0, 10.0)
LIFE_HOURS = 12  # of an instance whose id rotates
USD_PER_DAY = (60.0, 1000.0)  # of a cause as a whole
TIMES_USUAL = (1.0, 4.0)  # what comes on top, in multiples of what the crowd usually carries
LARGE_USD_PER_DAY = 150.0
LASTS_HOURS = (60, 160)
MORE = 2  # causes beside one of each kind
AT_ONCE = "two_at_once"
# Kinds of incidents that need lines of different kinds: two of them can begin at once in one place.
PAIRS = (("s3_through_nat", "hot_link"), ("image_pulls", "cdn_miss"), ("s3_through_nat", "exfiltration"))
# In the words of signatures of a single resource these are right as well.
ALSO = {
    "fleet": ("log_loop",),
    # A fleet whose ids rotate is a fleet: the rotation is no cause.
    "rotating_ids": ("fleet", "log_loop"),
    "key_in_many_regions": ("leaked_key",),
    "bucket_family": ("hot_link",),
    "many_accounts": ("log_loop",),
}


def crowd_case(seed: int, folder: Path) -> Case:
    """Return the case of a seed; the same seed gives the same bytes."""
    source = hashlib.sha256(cases._source().encode() + Path(__file__).read_bytes()).hexdigest()[:10]
    return cases._kept(folder / f"crowds-{seed}-{source}", lambda home: _generate(seed, home))


def _generate(seed: int, home: Path) -> Case:
    bill, rng, _ = traffic.new_bill(seed, sizes=ACCOUNT_SIZES, stream=20_261_130)
    scene = Scene(bill, np.random.default_rng([20_261_201, seed]), traffic.TRAINING_DAYS * 24)
    stage = _Stage(scene, traffic.Shaper(bill, scene.rng), sorted({flow.account for flow in bill.flows}))
    kinds = [*KINDS, *scene.rng.choice(list(KINDS), MORE)]
    for kind in scene.rng.permutation(kinds):
        KINDS[str(kind)](stage, str(kind))
    _two_at_once(stage)
    ordinary = [*_rotation(stage), *_rotation_begins(stage), *_scaling_out(stage)]
    scene.rng = rng
    case = cases._finished("crowds", seed, scene, home, [], placed=[(one.kind, one.size) for one in stage.causes])
    incidents = [
        replace(
            incident,
            also=ALSO.get(cause.kind, ()),
            ratio=incident.ratio
            if cause.usual_gb is None
            else float(incident.gb.sum() / (incident.end - incident.start + 1) / cause.usual_gb),
        )
        for incident, cause in zip(case.incidents, stage.causes, strict=True)
    ]
    return replace(case, incidents=tuple(incidents), ordinary=(*ordinary, *case.ordinary))


@dataclass
class _Cause:
    """A cause in the bill: its kind, its size, and the GB an hour that its crowd usually carries, if it is one."""

    kind: str
    size: str
    usual_gb: float | None = None


@dataclass
class _Stage:
    """The scene, who is on it, and the hours at which a cause begins, by account: causes are kept apart."""

    scene: Scene
    shaper: traffic.Shaper
    accounts: list[str]
    causes: list[_Cause] = field(default_factory=list)
    starts: dict[str, list[int]] = field(default_factory=dict)

    @property
    def bill(self) -> Bill:
        return self.scene.bill

    @property
    def rng(self) -> np.random.Generator:
        return self.scene.rng

    def place(self) -> tuple[str, str]:
        """Return an account and one of the regions in which it is at home."""
        account = str(self.rng.choice(self.accounts))
        return account, self.home(account)

    def home(self, account: str) -> str:
        """Return a region in which an account has buckets."""
        known = {flow.region for flow in self.bill.flows if flow.account == account and flow.product == "AmazonS3"}
        return str(self.rng.choice(sorted(known)))

    def begin(self, *accounts: str, tail: int = 72) -> int:
        """Return an hour of the scored weeks that is as far as possible from other causes of the accounts, and take it.

        An hour that is three days away from all of them is chosen where there is one.
        """
        taken = [start for account in accounts for start in self.starts.get(account, [])]
        hours = np.arange(self.scene.train_hours + 6, self.bill.hours - tail)
        far = np.min([np.abs(hours - start) for start in taken], axis=0) if taken else np.full(len(hours), APART_HOURS)
        free = hours[far >= min(APART_HOURS, far.max())]
        start = int(self.rng.choice(free))
        for account in accounts:
            self.starts.setdefault(account, []).append(start)
        return start

    def take(self, flows: list[Flow], start: int) -> None:
        """Keep other events away from lines, and from their places around an hour."""
        self.scene.used |= {id(flow) for flow in flows}
        for place in {(flow.account, flow.region) for flow in flows}:
            self.scene.busy.setdefault(place, []).append(start)

    def cause(self, kind: str, usd_per_day: float, usual_gb: float | None = None) -> int:
        """Note a cause and return its number."""
        self.causes.append(_Cause(kind, "large" if usd_per_day >= LARGE_USD_PER_DAY else "medium", usual_gb))
        return len(self.causes)

    def draw(self) -> tuple[float, float]:
        """Return a cause's dollars a day and its multiple of the usual."""
        usd, times = (np.exp(self.rng.uniform(*np.log(span))) for span in (USD_PER_DAY, TIMES_USUAL))
        return float(usd), float(times)

    def shares(self, gb: Floats, count: int) -> list[Floats]:
        """Divide a course among the members of a crowd, each with its share and noise."""
        weight = self.rng.lognormal(0, 0.3, count)
        return [gb * part * self.rng.lognormal(0, 0.15, len(gb)) for part in weight / weight.sum()]

    def rise(self, number: int, flows: list[Flow], start: int, times: float) -> None:
        """Let lines carry so many times their usual on top, from an hour on; each of them starts within two hours."""
        long = int(self.rng.integers(*LASTS_HOURS))
        hours = np.arange(self.bill.hours)
        for flow in flows:
            begins = start + int(self.rng.integers(0, 3))
            during = (hours >= begins) & (hours < start + long)
            more = np.where(during, flow.gb * times * self.rng.lognormal(0, 0.1, len(hours)), 0.0)
            if more.any():
                flow.inject(number, more)


def _fleet(stage: _Stage, kind: str) -> None:
    """Let each instance of a fleet send more."""
    account, region = stage.place()
    usd, times = stage.draw()
    usual = usd / 24 / 0.09 / times
    total = stage.shaper.people(region, usual)
    flows = [
        traffic.instance(stage.bill, account, region, gb, stage.rng)
        for gb in stage.shares(total, int(stage.rng.integers(24, 81)))
    ]
    start = stage.begin(account)
    stage.rise(stage.cause(kind, usd, usual), flows, start, times)
    stage.take(flows, start)


def _rotating_ids(stage: _Stage, kind: str) -> None:
    """Let each instance of a fleet send more whose ids are new every twelve hours."""
    account, region = stage.place()
    usd, times = stage.draw()
    usual = usd / 24 / 0.09 / times
    flows = _rotated(stage, account, region, stage.shaper.people(region, usual), int(stage.rng.integers(16, 41)))
    start = stage.begin(account)
    stage.rise(stage.cause(kind, usd, usual), flows, start, times)
    stage.take(flows, start)


def _rotated(stage: _Stage, account: str, region: str, total: Floats, count: int, first: int = 0) -> list[Flow]:
    """Add a fleet whose instances live for twelve hours from an hour on, one after the other in each place."""
    flows = []
    hours = np.arange(stage.bill.hours)
    kind = usage_type(region, "DataTransfer-Out-Bytes")
    for gb in stage.shares(total, count):
        generation = (hours - first + int(stage.rng.integers(LIFE_HOURS))) // LIFE_HOURS
        for number in np.unique(generation[hours >= first]):
            alive = np.where((generation == number) & (hours >= first), gb, 0.0)
            own = traffic.name(stage.rng, "i")
            flows.append(Flow(account, region, "AmazonEC2", kind, "RunInstances", own, "internet", alive))
    stage.bill.flows.extend(flows)
    return flows


def _key_in_many_regions(stage: _Stage, kind: str) -> None:
    """Start an instance in each of many regions that the account never used."""
    account = str(stage.rng.choice(stage.accounts))
    usd, _ = stage.draw()
    known = {flow.region for flow in stage.bill.flows if flow.account == account and flow.tariff != "free"}
    unused = [name for name in PREFIXES if name not in known]
    regions = stage.rng.choice(unused, min(int(stage.rng.integers(6, 13)), len(unused)), replace=False)
    start, long = stage.begin(account), int(stage.rng.integers(20, 72))
    number, flows = stage.cause(kind, usd), []
    for region, part in zip(regions, stage.rng.dirichlet(np.full(len(regions), 20.0)), strict=True):
        flow = traffic.instance(stage.bill, account, str(region), np.zeros(stage.bill.hours), stage.rng)
        level = np.full(long, usd * part / 24 / 0.09)
        flow.inject(number, stage.scene.course(start + int(stage.rng.integers(0, 3)), level))
        flows.append(flow)
    stage.take(flows, start)


def _bucket_family(stage: _Stage, kind: str) -> None:
    """Let a crawler read all buckets of an application, which have a name in common."""
    account, region = stage.place()
    usd, times = stage.draw()
    usual = usd / 24 / 0.09 / times
    total = stage.shaper.people(region, usual)
    family = traffic.name(stage.rng, "bucket")
    flows = []
    for number, gb in enumerate(stage.shares(total, int(stage.rng.integers(20, 61)))):
        flow = traffic.bucket(stage.bill, account, region, gb, stage.rng)
        flow.resource = f"{family}-{number:02d}"
        flows.append(flow)
    start = stage.begin(account)
    stage.rise(stage.cause(kind, usd, usual), flows, start, times)
    stage.take(flows, start)


def _many_accounts(stage: _Stage, kind: str) -> None:
    """Deploy one version in several accounts, whose instances send more from then on."""
    accounts = [str(one) for one in stage.rng.choice(stage.accounts, int(stage.rng.integers(3, 5)), replace=False)]
    usd, times = stage.draw()
    usual = usd / 24 / 0.09 / times
    flows = []
    for account in accounts:
        region = stage.home(account)
        total = stage.shaper.people(region, usual / len(accounts))
        flows += [
            traffic.instance(stage.bill, account, region, gb, stage.rng)
            for gb in stage.shares(total, int(stage.rng.integers(5, 13)))
        ]
    start = stage.begin(*accounts)
    stage.rise(stage.cause(kind, usd, usual), flows, start, times)
    stage.take(flows, start)


KINDS: dict[str, Callable[[_Stage, str], None]] = {
    "fleet": _fleet,
    "rotating_ids": _rotating_ids,
    "key_in_many_regions": _key_in_many_regions,
    "bucket_family": _bucket_family,
    "many_accounts": _many_accounts,
}


@dataclass
class _Place(Scene):
    """A scene with one account, one region and one hour."""

    account: str = ""
    region: str = ""
    start: int = 0

    def candidates(self, name: str, product: str = "") -> list[Flow]:
        found = super().candidates(name, product)
        return [flow for flow in found if (flow.account, flow.region) == (self.account, self.region)]

    def hour(self, *_: object, **__: object) -> int:
        return self.start + int(self.rng.integers(0, 3))


def _two_at_once(stage: _Stage) -> None:
    """Let two incidents that have nothing to do with each other begin at once in one account and region."""
    scene = stage.scene
    for _ in range(20):
        account, region = stage.place()
        place = _Place(scene.bill, scene.rng, scene.train_hours, scene.used, scene.busy, account=account, region=region)
        gateways, buckets = place.candidates("NatGateway-Bytes"), place.candidates("DataTransfer-Out-Bytes", "AmazonS3")
        if gateways and buckets and place.candidates("DataTransfer-Out-Bytes", "AmazonEC2"):
            break
    else:
        return
    place.start = stage.begin(account, tail=150)
    for kind in PAIRS[int(stage.rng.integers(len(PAIRS)))]:
        stage.causes.append(_Cause(kind, AT_ONCE))
        inject(place, kind, str(stage.rng.choice(["large", "medium"])), len(stage.causes))
    scene.busy.setdefault((account, region), []).append(place.start)


def _rotation(stage: _Stage) -> list[Ordinary]:
    """Run a fleet whose ids rotate all the time."""
    account, region = stage.place()
    total = stage.shaper.people(region, float(stage.rng.uniform(10, 60)))
    flows = _rotated(stage, account, region, total, int(stage.rng.integers(6, 13)))
    stage.scene.used |= {id(flow) for flow in flows}
    return [_event("ordinary rotation of ids", flows, 0, stage.bill.hours)]


def _rotation_begins(stage: _Stage) -> list[Ordinary]:
    """Move a fleet to autoscaling: the same traffic, under ids that rotate from an hour on."""
    account, region = stage.place()
    total = stage.shaper.people(region, float(stage.rng.uniform(10, 60)))
    start = stage.begin(account)
    before = np.arange(stage.bill.hours) < start
    fixed = [
        traffic.instance(stage.bill, account, region, gb * before, stage.rng)
        for gb in stage.shares(total, int(stage.rng.integers(4, 9)))
    ]
    rotated = _rotated(stage, account, region, total, len(fixed), first=start)
    stage.take([*fixed, *rotated], start)
    return [_event("ids begin to rotate", [*fixed, *rotated], start, stage.bill.hours)]


def _scaling_out(stage: _Stage) -> list[Ordinary]:
    """Add a fifth more instances to a fleet, which carry as much as the others, so that its traffic grows by 20 %."""
    account, region = stage.place()
    total = stage.shaper.people(region, float(stage.rng.uniform(20, 120)))
    start, count = stage.begin(account), 5 * int(stage.rng.integers(2, 7))
    after = np.arange(stage.bill.hours) >= start
    flows = [traffic.instance(stage.bill, account, region, gb, stage.rng) for gb in stage.shares(total, count)]
    flows += [
        traffic.instance(stage.bill, account, region, gb * after, stage.rng)
        for gb in stage.shares(0.2 * total, count // 5)
    ]
    stage.take(flows, start)
    return [_event("scaling out by 20 %", flows, start, start + 168)]


def _event(kind: str, flows: list[Flow], start: int, end: int) -> Ordinary:
    resources = tuple(dict.fromkeys(flow.resource for flow in flows))
    return Ordinary(kind, flows[0].account, (flows[0].region,), resources, start, end)
