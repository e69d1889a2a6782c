"""The seven incidents of the demo bill: their usage and their labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from egress_sentinel.demo.traffic import Clock, Floats, Stream, find
from egress_sentinel.demo.workloads import Place

if TYPE_CHECKING:
    from datetime import datetime

SATURDAY, MONDAY = 5, 0


@dataclass(frozen=True)
class Incident:
    """One labelled incident. Its name comes from the first stream."""

    name: str
    kind: str
    description: str
    streams: list[Stream]

    def hours(self) -> tuple[int, int]:
        """Return the first and the last hour (inclusive) with injected usage."""
        hit = np.flatnonzero(sum(stream.injected for stream in self.streams))
        return int(hit[0]), int(hit[-1])


@dataclass(frozen=True)
class Stage:
    """The bill's streams, clock and random numbers, from which incidents are generated."""

    clock: Clock
    rng: np.random.Generator
    streams: list[Stream]
    accounts: dict[str, str]

    def day(self, earliest: float, latest: float) -> int:
        """Return a random hour between these days of the two scored weeks."""
        first = self.clock.score_from_hour
        return int(self.rng.integers(first + int(earliest * 24), first + int(latest * 24)))

    def course(self, start: int, levels: Floats) -> Floats:
        """Return hourly levels with a little noise, starting at `start` and cut off at the bill's end."""
        excess = np.zeros(self.clock.hours)
        levels = levels[: self.clock.hours - start]
        excess[start : start + len(levels)] = levels * self.rng.lognormal(0.0, 0.06, len(levels))
        return excess

    def saturday(self, hour_of_day: int) -> int:
        """Return this hour of a Saturday in the scored weeks. The bill also has the following Sunday."""
        first = self.clock.first_hour(SATURDAY, hour_of_day, self.clock.score_from_hour)
        choices = [hour for hour in (first, first + 168) if hour + 40 < self.clock.hours]
        return int(self.rng.choice(choices))

    def place(self, account: str, region: str) -> Place:
        """Return the place in which new resources appear."""
        return Place(self.accounts[account], region, self.rng)

    def add(self, new: list[Stream]) -> list[Stream]:
        """Add new streams to the bill."""
        for stream in new:
            stream.usage = np.zeros(self.clock.hours)
            stream.injected = np.zeros(self.clock.hours)
        self.streams.extend(new)
        return new


def add_incidents(stage: Stage) -> list[Incident]:
    """Add the seven incidents to the streams. Return them in the order of their first hours."""
    incidents = [
        _hot_link(stage),
        _log_loop(stage),
        _nat_without_endpoint(stage),
        _cross_az_chatter(stage),
        _exfiltration(stage),
        _new_replica(stage),
        _leaked_key(stage),
    ]
    return sorted(incidents, key=Incident.hours)


def _hot_link(stage: Stage) -> Incident:
    """Ramp up to a plateau over hours, with a daily pattern."""
    rng, bucket = stage.rng, find(stage.streams, "hot_bucket")[0]
    hours = np.arange(int(rng.integers(60, 84)))
    plateau = rng.uniform(110, 190) / (1 + np.exp(-(hours - 6) / 1.5))
    bucket.inject(stage.course(stage.day(1, 3), plateau * (1 + 0.2 * np.sin(hours / 24 * 2 * np.pi))))
    return Incident(
        "hot-linked object",
        "s3_hot_link",
        "a large object in the bucket is linked from a busy site and is fetched from S3 directly",
        [bucket],
    )


def _log_loop(stage: Stage) -> Incident:
    """Double until the network card is saturated, then stop. Every byte passes the NAT gateway."""
    rng = stage.rng
    instance, gateway = find(stage.streams, "looping")[0], find(stage.streams, "loop_nat")[0]
    levels = np.minimum(0.05 * 2 ** (np.arange(int(rng.integers(34, 46))) / rng.uniform(1.8, 2.4)), rng.uniform(50, 80))
    excess = stage.course(stage.day(4, 6), levels)
    instance.inject(excess)
    gateway.inject(excess)
    return Incident(
        "log loop",
        "log_loop",
        "a log shipper sends its own errors in a loop from an instance to the internet through the NAT gateway",
        [instance, gateway],
    )


def _nat_without_endpoint(stage: Stage) -> Incident:
    """Spike in two nights, then run every hour. S3 traffic is free, so only the processing fee is in the bill."""
    rng, gateway = stage.rng, find(stage.streams, "batch_nat")[0]
    earliest = stage.day(4, 7)
    start = earliest + (1 - stage.clock.at(earliest).hour) % 24
    hours = np.arange(stage.clock.hours - start)
    spikes = np.where((hours % 24 < 5) & (hours < 48), rng.uniform(90, 150), 0.0)
    gateway.inject(stage.course(start, np.where(hours < 48, spikes, rng.uniform(35, 60))))
    return Incident(
        "S3 through the NAT gateway",
        "s3_through_nat",
        "a batch job reads S3 through the NAT gateway since its VPC has no gateway endpoint",
        [gateway],
    )


def _cross_az_chatter(stage: Stage) -> Incident:
    """Step up after a deployment on a working day. Each of two instances has a line in and a line out."""
    lines = find(stage.streams, "chatty")
    start = stage.clock.first_hour(int(stage.rng.integers(MONDAY, 4)), 14, stage.day(0, 3))
    levels = np.full(int(stage.rng.integers(90, 130)), stage.rng.uniform(70, 120))
    for line in lines:
        line.inject(stage.course(start, levels))
    return Incident(
        "cross-zone chatter",
        "cross_az_chatter",
        "since a deploy two instances in different availability zones talk to each other without a cache",
        lines,
    )


def _exfiltration(stage: Stage) -> Incident:
    """Send 80 to 150 GB in a few hours of a weekend night."""
    rng, instance = stage.rng, find(stage.streams, "exfiltrated")[0]
    course = np.asarray(np.hanning(int(rng.integers(4, 7)) + 2)[1:-1])
    start = stage.saturday(int(rng.integers(1, 4)))
    instance.inject(stage.course(start, course / course.sum() * rng.uniform(90, 140)))
    return Incident(
        "exfiltration",
        "exfiltration",
        "in a weekend night an instance that reads the data lake sends it to the internet",
        [instance],
    )


def _new_replica(stage: Stage) -> Incident:
    """Spike for the backfill to a new region, then continue with daily changes."""
    rng = stage.rng
    masters = find(stage.streams, "masters")[0]
    place = stage.place("prod-media", "us-east-1")
    (line,) = stage.add([place.inter_region("ap-south-1", "PutObjectForRepl", masters.resource_id, 0.0)])
    start = stage.day(7, 9)
    hours = np.arange(stage.clock.hours - start)
    backfill = hours < int(rng.integers(12, 20))
    line.inject(stage.course(start, np.where(backfill, rng.uniform(180, 320), rng.uniform(12, 22))))
    return Incident(
        "replication to a new region",
        "new_region_replication",
        "a replication rule to ap-south-1 was added: backfill of the whole bucket, then every new object",
        [line],
    )


def _leaked_key(stage: Stage) -> Incident:
    """Start on a Saturday evening in a new region, and stop on Monday morning."""
    rng = stage.rng
    place = stage.place("dev", str(rng.choice(["sa-east-1", "ap-northeast-2"])))
    instance = place.instance()
    start = stage.saturday(int(rng.integers(17, 22)))
    hours = int(rng.integers(30, 37))
    out, back = stage.add(place.internet("AmazonEC2", "RunInstances", instance, 0.0))
    (box,) = stage.add([place.box(instance, "c5.9xlarge", 2.358)])
    out.inject(stage.course(start, np.full(hours, rng.uniform(9, 18))))
    back.usage = np.asarray(np.round(out.usage * 0.05, 9))
    box.usage = np.where(out.usage > 0, 1.0, 0.0)
    return Incident(
        "leaked key",
        "leaked_key",
        "a large instance runs with a leaked access key, in a region that the account never used",
        [out],
    )


def label(incident: Incident, clock: Clock, cost_usd: dict[int, float]) -> dict[str, object]:
    """Return the label of an incident.

    Parameters
    ----------
    cost_usd : dict of int to float
        Dollars of the injected usage by `id` of the stream.
    """
    main = incident.streams[0]
    first, last = incident.hours()
    same_class = [stream for stream in incident.streams if stream.egress_class == main.egress_class]
    return {
        "name": incident.name,
        "kind": incident.kind,
        "account_id": main.account_id,
        "region": main.region,
        "service": main.service,
        "egress_class": main.egress_class,
        "resource_id": main.resource_id,
        "resource_ids": list(dict.fromkeys(stream.resource_id for stream in incident.streams)),
        "start_hour_utc": _iso(clock.at(first)),
        "end_hour_utc": _iso(clock.at(last)),
        "excess_gb": round(float(sum(stream.injected.sum() for stream in same_class)), 6),
        "excess_usd": round(sum(cost_usd[id(stream)] for stream in incident.streams), 6),
        "description": incident.description,
    }


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:00:00Z")
