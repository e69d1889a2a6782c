"""Hard negatives: what makes a bill jump although nothing is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.incidents import traffic
from benchmarks.incidents.bill import Flow, usage_type
from benchmarks.incidents.truth import Ordinary

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.incidents.injection import Scene


def add_ordinary(scene: Scene) -> list[Ordinary]:
    """Put one of each into the bill (tiers, the new month and the weekly and daily cycle are in every bill)."""
    events: list[Ordinary] = []
    for add in ADD:
        events += add(scene)
    return events


def _event(kind: str, flows: list[Flow], start: int, end: int, *, is_announced: bool = False) -> Ordinary:
    return Ordinary(
        kind,
        flows[0].account,
        tuple(dict.fromkeys(flow.region for flow in flows)),
        tuple(dict.fromkeys(flow.resource for flow in flows)),
        start,
        end,
        is_announced,
    )


def _any(scene: Scene, name: str, product: str = "", least_gb: float = 0.2) -> Flow | None:
    flows = [flow for flow in scene.candidates(name, product) if scene.normal(flow) > least_gb]
    if not flows:
        return None
    flow = flows[int(scene.rng.integers(len(flows)))]
    scene.used.add(id(flow))
    return flow


def _migration(scene: Scene) -> list[Ordinary]:
    """Move something once, as planned and announced in the calendar."""
    flow = _any(scene, "DataTransfer-Out-Bytes", "AmazonEC2")
    if flow is None:
        return []
    start, long = scene.hour(flow.account, flow.region), int(scene.rng.integers(12, 40))
    flow.gb = flow.gb + scene.course(start, np.full(long, max(8 * scene.normal(flow), 30.0 * scene.scale)))
    return [_event("planned migration", [flow], start, start + long, is_announced=True)]


def _summer_time(scene: Scene) -> list[Ordinary]:
    """Run a job at a fixed local time, with sharp edges: it moves by an hour when the clocks change."""
    events = []
    shaper = traffic.Shaper(scene.bill, scene.rng)
    for region in ("us-east-1", "eu-central-1"):
        account = str(scene.rng.choice(sorted({flow.account for flow in scene.bill.flows})))
        gb = scene.rng.uniform(10, 60) * scene.scale
        course = shaper.batch(region, gb, tuple(range(7)), int(scene.rng.integers(1, 22)), 1)
        flow = traffic.bucket(scene.bill, account, region, course, scene.rng)
        scene.used.add(id(flow))
        local = shaper.local(region)
        offset = np.array([moment.utcoffset().total_seconds() for moment in local])
        change = np.flatnonzero(np.diff(offset)) + 1
        events += [_event("change of the clocks", [flow], int(at), int(at) + 168) for at in change]
    return events


def _quiet_region(scene: Scene) -> list[Ordinary]:
    """Let an account start to use another region, with next to nothing."""
    rng, bill = scene.rng, scene.bill
    account = str(rng.choice(sorted({flow.account for flow in bill.flows})))
    region = scene.unused_region(account)
    start = scene.hour(account, region)
    rest = bill.hours - start
    flow = traffic.instance(bill, account, region, scene.course(start, rng.gamma(0.3, 0.08, rest)), rng)
    scene.used.add(id(flow))
    return [_event("quiet new region", [flow], start, bill.hours)]


def _split(scene: Scene) -> list[Ordinary]:
    """Replace a resource by two that share its traffic."""
    flow = _any(scene, "DataTransfer-Out-Bytes", "AmazonEC2")
    if flow is None:
        return []
    start = scene.hour(flow.account, flow.region)
    after = np.arange(scene.bill.hours) >= start
    share = scene.rng.uniform(0.35, 0.65)
    new = [
        traffic.instance(scene.bill, flow.account, flow.region, np.where(after, flow.gb * part, 0.0), scene.rng)
        for part in (share, 1 - share)
    ]
    flow.gb = np.where(after, 0.0, flow.gb)
    scene.used |= {id(one) for one in new}
    return [_event("split resource", [flow, *new], start, start + 168)]


def _merge(scene: Scene) -> list[Ordinary]:
    """Let a bucket take over what another one of the account sent."""
    flow = _any(scene, "DataTransfer-Out-Bytes", "AmazonS3")
    if flow is None:
        return []
    others = [
        one
        for one in scene.candidates("DataTransfer-Out-Bytes", "AmazonS3")
        if (one.account, one.region) == (flow.account, flow.region) and scene.normal(one) > 0.2
    ]
    if not others:
        return []
    other = others[0]
    start = scene.hour(flow.account, flow.region)
    after = np.arange(scene.bill.hours) >= start
    flow.gb = flow.gb + np.where(after, other.gb, 0.0)
    other.gb = np.where(after, 0.0, other.gb)
    scene.used.add(id(other))
    return [_event("merged resource", [flow, other], start, start + 168)]


def _renamed(scene: Scene) -> list[Ordinary]:
    """Give the usage type of cross-zone traffic its new name; the bytes stay the same."""
    flow = _any(scene, "DataTransfer-Regional-Bytes")
    if flow is None:
        return []
    start = scene.hour(flow.account, flow.region)
    after = np.arange(scene.bill.hours) >= start
    pair = [one for one in scene.bill.flows if one.resource == flow.resource]
    for one in pair:
        way = "Out" if one.operation.endswith("Out") else "In"
        kind = usage_type(one.region, f"DataTransfer-xAZ-{way}-Bytes")
        new = Flow(one.account, one.region, one.product, kind, one.operation, one.resource, "zone", one.gb * after)
        one.gb = one.gb * ~after
        scene.bill.flows.append(new)
        scene.used |= {id(one), id(new)}
    return [_event("renamed usage type", pair, start, start + 168)]


def _month_end(scene: Scene) -> list[Ordinary]:
    """Run a job on the last day of each month; the training weeks hold one such day."""
    flow = _any(scene, "DataTransfer-Out-Bytes", "AmazonS3")
    if flow is None:
        return []
    moments = [scene.bill.at(hour) for hour in range(scene.bill.hours)]
    last_day = np.array([scene.bill.at(h + 24).day == 1 for h in range(scene.bill.hours)])
    working = np.array([6 <= moment.hour < 18 for moment in moments])
    flow.gb = flow.gb + np.where(last_day & working, max(2.5 * scene.normal(flow), 4.0 * scene.scale), 0.0)
    days = np.flatnonzero(last_day & working)
    starts = days[np.diff(days, prepend=-99) > 1]
    return [_event("job at the end of the month", [flow], int(at), int(at) + 12) for at in starts]


def _credits(scene: Scene) -> list[Ordinary]:
    """Give credits and refunds: dollars without bytes."""
    events = []
    for kind in ("Credit", "Refund"):
        flow = _any(scene, "DataTransfer-Out-Bytes")
        if flow is None:
            continue
        hour = int(scene.rng.integers(scene.train_hours, scene.bill.hours - 48))
        scene.bill.adjustments.append((hour, flow, kind, -float(np.round(scene.rng.uniform(20, 400), 2))))
        events.append(_event(kind.lower(), [flow], hour, hour + 1))
    return events


def _partial_last_day(scene: Scene) -> list[Ordinary]:
    """End the bill within a day, and its last hours are not complete."""
    cut = int(scene.rng.integers(1, 23))
    late = scene.rng.uniform(0.2, 0.9, 6)
    for flow in scene.bill.flows:
        flow.gb[-cut:] = 0.0
        flow.gb[-cut - 6 : -cut] *= late
        for injected in flow.injected.values():
            injected[-cut:] = 0.0
            injected[-cut - 6 : -cut] *= late
    accounts = sorted({flow.account for flow in scene.bill.flows})
    last = scene.bill.hours - cut - 6
    return [Ordinary("partial last day", account, (), (), last, scene.bill.hours) for account in accounts]


def what_goes_on(scene: Scene) -> list[Ordinary]:
    """Name what every bill has anyway: jobs, and the first days of a month, in which tiers begin anew."""
    hours = range(scene.bill.hours)
    starts = [hour for hour in hours if (scene.bill.at(hour).day, scene.bill.at(hour).hour) == (1, 0)]
    accounts = sorted({flow.account for flow in scene.bill.flows})
    return [
        *(_event(flow.job, [flow], 0, scene.bill.hours) for flow in scene.bill.flows if flow.job),
        *(Ordinary("new month", account, (), (), at, at + 72) for at in starts for account in accounts),
    ]


ADD: tuple[Callable[[Scene], list[Ordinary]], ...] = (
    _migration,
    _summer_time,
    _quiet_region,
    _split,
    _merge,
    _renamed,
    _month_end,
    _credits,
)
finish_bill = _partial_last_day
