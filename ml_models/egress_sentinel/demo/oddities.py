"""Unusual lines that are not incidents. They are in the scored weeks and have no labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from egress_sentinel.demo.places import REGIONS
from egress_sentinel.demo.traffic import Stream, find

if TYPE_CHECKING:
    from egress_sentinel.demo.incidents import Stage
    from egress_sentinel.demo.workloads import Place


def add_oddities(stage: Stage) -> None:
    """Add a small burst, a free burst, a renamed type, 20 new types, a new region, a credit and a refund.

    The ordinary traffic already has steps between tiers, the end of the free tier, a new month and weekly backups.
    """
    _small_burst(stage)
    _free_burst(stage)
    _renamed_usage_type(stage)
    _new_types_in_all_regions(stage)
    _quiet_region(stage)
    _credit_and_refund(stage)
    _late_cloudfront(stage)


def _small_burst(stage: Stage) -> None:
    line = find(stage.streams, "small_burst")[0]
    start = stage.day(3, 10)
    line.usage[start : start + 2] += np.round(stage.rng.uniform(1.0, 2.5, 2), 9)


def _free_burst(stage: Stage) -> None:
    """Add a burst that occurred in a real bill: 3.46 GB in one hour, at $0 in the free tier."""
    line = find(stage.streams, "free_tier")[0]
    line.usage[stage.day(2, 11)] += 3.46


def _renamed_usage_type(stage: Stage) -> None:
    """Continue one resource's lines under AWS's newer name of traffic between zones."""
    start = stage.day(4, 9)
    for line in find(stage.streams, "renamed"):
        way = line.operation.removeprefix("InterZone-")
        fields = {name: value for name, value in vars(line).items() if name not in ("usage", "usage_type")}
        renamed = Stream(**fields, usage_type=f"DataTransfer-xAZ-{way}-Bytes")
        renamed.usage = np.where(np.arange(stage.clock.hours) < start, 0.0, line.usage)
        line.usage = line.usage - renamed.usage
        stage.streams.append(renamed)


def _new_types_in_all_regions(stage: Stage) -> None:
    """Add calls of an inventory tool to 20 regions on one day, all in the free tier."""
    start = stage.day(2, 11)
    hours = slice(start, start + 3)
    for name in [name for name in REGIONS if name != "us-east-1"]:
        place = stage.place("security-sandbox", name)
        (line, _) = stage.add(place.internet("AmazonEC2", "DescribeInstances", "", 0.0))
        line.usage[hours] = np.round(stage.rng.uniform(1e-6, 9e-6, 3), 9)


def _quiet_region(stage: Stage) -> None:
    start = stage.day(1, 8)
    place = stage.place("data-platform", "ca-central-1")
    instance = place.instance()
    (line, back, box) = stage.add(
        [*place.internet("AmazonEC2", "RunInstances", instance, 0.0), place.box(instance, "t3.micro", 0.0116)]
    )
    line.usage[start:] = np.round(stage.rng.lognormal(np.log(0.003), 0.5, stage.clock.hours - start), 9)
    back.usage[start:] = np.round(0.3 * line.usage[start:], 9)
    box.usage[start:] = 1.0


def _credit_and_refund(stage: Stage) -> None:
    """Add a credit and a refund, one hour each. Their usage is 0 and their cost negative."""
    for kind, account, usd in (("Credit", "web-shop", 120.0), ("Refund", "data-platform", 35.0)):
        place: Place = stage.place(account, "us-east-1")
        amount = -round(place.vary(usd), 2)
        line = place.stream(
            "AmazonEC2", "DataTransfer-Out-Bytes", "RunInstances", "", base=0.0, rates=(amount,), line_type=kind,
            description=f"{kind} for data transfer", unit="",
        )  # fmt: skip
        stage.add([line])
        line.usage[stage.day(1, 12)] = 1.0


def _late_cloudfront(stage: Stage) -> None:
    """Remove CloudFront's lines of the last hours, since they arrive later than other lines."""
    for line in stage.streams:
        if line.service == "AmazonCloudFront":
            line.usage[-3:] = 0.0
