"""Base traffic from a real bill: its series are rescaled, shifted by whole weeks and renamed.

The sample bill is of a workshop's accounts and has almost no costs. So each series is multiplied by its own factor.
Series with traffic most of the time become lines of a working company. Series with traffic now and then stay small. The
times, the senders and the variation of the traffic are those of the bill.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from benchmarks.incidents.bill import PREFIXES, Bill, Flow, utc

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.incidents.bill import Floats

WEEKS, TRAINING_DAYS = 8, 28
START = "2018-10-01"  # a Monday
STEADY_SHARE = 0.2  # of hours: a series with traffic in more of them becomes a working line
COLUMNS = [
    "line_item_usage_account_id", "line_item_product_code", "line_item_usage_type", "line_item_operation",
    "line_item_resource_id",
]  # fmt: skip
REGIONS = {prefix or "USE1": region for region, prefix in PREFIXES.items()}


def read_series(folder: Path) -> pd.DataFrame:
    """Read the data-transfer series of a legacy CUR in parquet: a row for each, its hourly GB in the columns 0, 1, ...

    Raises
    ------
    FileNotFoundError
        There are no parquet files.
    """
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise FileNotFoundError(f"there is no legacy CUR in parquet in {folder}")
    wanted = [*COLUMNS, "line_item_usage_start_date", "line_item_usage_amount"]
    lines = pd.concat([pd.read_parquet(file, columns=wanted) for file in files])
    lines = lines[lines["line_item_usage_type"].str.contains(r"(?:In|Out|Regional|NatGateway)-Bytes$")]
    lines["hour"] = (lines["line_item_usage_start_date"] - pd.Timestamp(START, tz="UTC")) // pd.Timedelta(hours=1)
    lines = lines[(lines["hour"] >= 0) & (lines["hour"] < WEEKS * 168)]
    table = lines.pivot_table(index=COLUMNS, columns="hour", values="line_item_usage_amount", aggfunc="sum")
    return table.reindex(columns=range(WEEKS * 168)).fillna(0.0).sort_index()


def real_bill(series: pd.DataFrame, seed: int) -> tuple[Bill, np.random.Generator]:
    """Return a bill made of a real one's series."""
    rng = np.random.default_rng([20_181_001, seed])
    bill = Bill(utc(START), WEEKS * 168, str(rng.integers(10**11, 10**12)))
    shift = int(rng.integers(WEEKS)) * 168
    names: dict[str, str] = {}
    for (account, product, usage_type, operation, resource), course in zip(
        series.index, series.to_numpy(), strict=True
    ):
        gb = np.roll(course, shift)
        own = names.setdefault(f"{account}/{resource}", _renamed(resource, rng)) if resource else ""
        payer = names.setdefault(account, str(rng.integers(10**11, 10**12)))
        region, tariff = _region(usage_type), _tariff(usage_type)
        factor = _factor(gb, rng)
        bill.flows.append(Flow(payer, region, product, usage_type, operation, own, tariff, gb * factor))
    return bill, rng


def _factor(gb: Floats, rng: np.random.Generator) -> float:
    if (gb > 0).mean() >= STEADY_SHARE:
        return float(rng.lognormal(0.7, 1.2) / gb.mean())
    largest = 10 ** rng.uniform(-5, 0) if rng.random() < 0.9 else 10 ** rng.uniform(0.5, 2)
    return float(largest / max(gb.max(), 1e-12))


def _renamed(resource: str, rng: np.random.Generator) -> str:
    digits = "".join(rng.choice(list("0123456789abcdef"), 17))
    return f"i-{digits}" if resource.startswith("i-") else f"{resource[:3]}-{digits}"


def _region(usage_type: str) -> str:
    prefix = re.match(r"([A-Z]{2,4}\d?)-", usage_type)
    return REGIONS.get(prefix[1], "us-east-1") if prefix else "us-east-1"


def _tariff(usage_type: str) -> str:
    for pattern, tariff in (
        (r"In-Bytes$", "free"),
        (r"Regional-Bytes$", "zone"),
        (r"AWS-Out-Bytes$", "region"),
        (r"NatGateway-Bytes$", "nat"),
    ):
        if re.search(pattern, usage_type):
            return tariff
    return "internet"
