"""Generates a bill with known incidents, to try all steps without an AWS account."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import numpy as np

from egress_sentinel.demo.accounts import pick_accounts, usual_streams
from egress_sentinel.demo.incidents import Stage, add_incidents, label
from egress_sentinel.demo.legacy_cur import injected_cost, price, write_months
from egress_sentinel.demo.oddities import add_oddities
from egress_sentinel.demo.traffic import Clock, simulate
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["DemoBill", "write_demo_bill"]

MIN_DAYS = 28


@dataclass(frozen=True)
class DemoBill:
    """The generated bill.

    Attributes
    ----------
    files : list of Path
        One parquet file for each billing month, oldest first.
    labels : Path
        JSON list of the labelled incidents, in order of their first hours.
    lines : int
        Lines in all files together.
    incidents : int
        Number of labelled incidents.
    score_from : datetime
        The start (UTC) of the last 14 days. All incidents are in these days.
    """

    files: list[Path]
    labels: Path
    lines: int
    incidents: int
    score_from: datetime


def write_demo_bill(
    output_dir: Path,
    *,
    days: int = 60,
    seed: int = 7,
    end: date = date(2026, 10, 30),
    with_incidents: bool = True,
) -> DemoBill:
    """Write an hourly legacy Cost and Usage Report of five accounts, and the labels of its incidents.

    The same arguments always give the same bytes. Without incidents, all other lines are unchanged.

    Parameters
    ----------
    output_dir : Path
        The folder for `cur/year=Y/month=M/demo-00001.snappy.parquet` and `labels.json`.
    days : int
        Whole days, at least 28: two weeks of history before the two scored weeks.
    seed : int
        Another seed gives other times, sizes and ids.
    end : date
        The last day (UTC). Its month is still open.
    with_incidents : bool
        False leaves the seven incidents out. The list of labels is then empty.

    Raises
    ------
    UserError
        `days` or `seed` is too small.
    """
    if days < MIN_DAYS:
        raise UserError(f"a demo bill of {days} days is too short; {MIN_DAYS} days or more are needed")
    if seed < 0:
        raise UserError(f"the seed {seed} is negative; 0 or more is needed")
    clock = Clock.ending(end, days)
    usual, odd, incident = (np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(3))
    accounts = pick_accounts(usual)
    streams = usual_streams(accounts, usual)
    simulate(streams, clock, usual)
    add_oddities(Stage(clock, odd, streams, accounts))
    incidents = add_incidents(Stage(clock, incident, streams, accounts)) if with_incidents else []
    lines = price(streams, clock)
    files = write_months(output_dir / "cur", streams, lines, clock, accounts)
    cost_usd = injected_cost(streams, lines)
    labels = _write_labels(output_dir / "labels.json", [label(each, clock, cost_usd) for each in incidents])
    return DemoBill(files, labels, len(lines.hour), len(incidents), clock.at(clock.score_from_hour))


def _write_labels(file: Path, labels: list[dict[str, object]]) -> Path:
    beside = file.with_name(f".{file.name}.part")
    beside.write_text(json.dumps(labels, indent=2) + "\n", encoding="utf-8")
    return beside.replace(file)
