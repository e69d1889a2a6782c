"""A bill under construction: flows of GB by the hour, the incidents injected into them, and the priced export.

Prices are those of https://aws.amazon.com/ec2/pricing/on-demand/ and https://aws.amazon.com/vpc/pricing/ as of 2026,
rounded to one list for all regions.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

# Region to the prefix of its usage types; us-east-1 has none, except where two regions are named.
PREFIXES = {
    "us-east-1": "", "us-east-2": "USE2", "us-west-1": "USW1", "us-west-2": "USW2", "eu-west-1": "EU",
    "eu-west-2": "EUW2", "eu-central-1": "EUC1", "ap-southeast-1": "APS1", "ap-southeast-2": "APS2",
    "ap-northeast-1": "APN1", "ap-northeast-2": "APN2", "ap-south-1": "APS3", "sa-east-1": "SAE1",
    "ca-central-1": "CAN1", "eu-north-1": "EUN1", "eu-west-3": "EUW3", "ap-northeast-3": "APN3", "ap-east-1": "APE1",
    "me-south-1": "MES1", "af-south-1": "AFS1", "eu-south-1": "EUS1",
}  # fmt: skip
# Tariff to (GB in a payer's month up to which the rate holds, dollars a GB).
TARIFFS: dict[str, tuple[tuple[float, float], ...]] = {
    "internet": ((100.0, 0.0), (10_340.0, 0.09), (51_300.0, 0.085), (153_700.0, 0.07), (np.inf, 0.05)),
    "edge": ((1_024.0, 0.0), (10_240.0, 0.085), (np.inf, 0.08)),
    "zone": ((np.inf, 0.01),),
    "region": ((np.inf, 0.02),),
    "nat": ((np.inf, 0.045),),
    "free": ((np.inf, 0.0),),
}


@dataclass
class Flow:
    """One line of the bill that comes again each hour: who, what, and the GB of each hour.

    `gb` has the shape (hours,) and holds everything; `injected` holds the part of it that an incident put there, by
    the incident's number. `job` names a job that the line belongs to, such as "irregular job".
    """

    account: str
    region: str
    product: str
    usage_type: str
    operation: str
    resource: str
    tariff: str
    gb: Floats
    injected: dict[int, Floats] = field(default_factory=dict)
    job: str = ""

    def inject(self, number: int, gb: Floats) -> None:
        """Add an incident's GB."""
        self.gb = self.gb + gb
        self.injected[number] = self.injected.get(number, np.zeros(len(gb))) + gb

    @property
    def list_price(self) -> float:
        """Dollars a GB at the first rate that is not 0."""
        return next((rate for _, rate in TARIFFS[self.tariff] if rate > 0), 0.0)


@dataclass
class Bill:
    """Flows over the hours from `start` on, other lines that move only dollars, and where usage is not complete yet.

    `adjustments` are (hour, flow, line item type, dollars); `last_hour` is where the bill ends, exclusive.
    """

    start: datetime
    hours: int
    payer: str
    flows: list[Flow] = field(default_factory=list)
    adjustments: list[tuple[int, Flow, str, float]] = field(default_factory=list)

    def at(self, hour: int) -> datetime:
        """Return the moment at which an hour begins."""
        return self.start + timedelta(hours=int(hour))

    def months(self) -> NDArray[np.int64]:
        """Return year x 12 + month - 1 of every hour."""
        hours = np.datetime64(self.start.replace(tzinfo=None), "h") + np.arange(self.hours)
        return hours.astype("datetime64[M]").astype(np.int64) + 1970 * 12


def utc(text: str) -> datetime:
    """Read a UTC time such as 2026-02-01."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def usage_type(region: str, name: str) -> str:
    """Return the usage type of a region, such as EUC1-NatGateway-Bytes."""
    return f"{PREFIXES[region]}-{name}" if PREFIXES[region] else name


def priced(bill: Bill) -> pd.DataFrame:
    """Price every hour of every flow.

    Returns
    -------
    DataFrame
        flow (number), hour, tier, gb, rate, cost_usd: a line for each price tier that an hour's GB fall into.
    """
    flows = bill.flows
    gb = np.stack([np.round(flow.gb, 10) for flow in flows])
    hour, flow = np.nonzero(gb.T > 0)
    lines = pd.DataFrame({"hour": hour, "flow": flow, "gb": gb[flow, hour]})
    lines["pool"] = np.array([flow.tariff for flow in flows])[lines["flow"]]
    lines["month"] = bill.months()[lines["hour"]]
    end = lines.groupby(["pool", "month"])["gb"].cumsum().to_numpy()
    start = end - lines["gb"].to_numpy()
    pieces = []
    for tariff, tiers in TARIFFS.items():
        mine = (lines["pool"] == tariff).to_numpy()
        below = 0.0
        for tier, (upto, rate) in enumerate(tiers):
            inside = np.clip(end[mine], below, upto) - np.clip(start[mine], below, upto)
            part = lines[mine].assign(gb=np.round(inside, 10), tier=tier, rate=rate)
            pieces.append(part[part["gb"] > 0])
            below = upto
    table = pd.concat(pieces, ignore_index=True)
    table["cost_usd"] = np.round(table["gb"] * table["rate"], 10)
    return table.sort_values(["hour", "flow", "tier"], ignore_index=True)


def injected_usd(bill: Bill, lines: pd.DataFrame, number: int) -> Floats:
    """Return an incident's dollars by the hour: of each line's cost the share that the incident put there."""
    dollars = np.zeros(bill.hours)
    hit = {index: flow for index, flow in enumerate(bill.flows) if number in flow.injected}
    for index, mine in lines[lines["flow"].isin(hit)].groupby("flow"):
        flow, hour = hit[index], mine["hour"].to_numpy()
        np.add.at(dollars, hour, mine["cost_usd"].to_numpy() * flow.injected[number][hour] / flow.gb[hour])
    return dollars


def by_day(lines: pd.DataFrame) -> pd.DataFrame:
    """Return priced lines summed to days: `hour` is the first one of the day."""
    day = lines.assign(hour=lines["hour"] // 24 * 24)
    return day.groupby(["hour", "flow", "tier", "rate"], as_index=False)[["gb", "cost_usd"]].sum()


def write_exports(bill: Bill, lines: pd.DataFrame, folder: Path, kind: str, step_hours: int = 1) -> list[Path]:
    """Write "legacy CUR" or "CUR 2.0" in parquet, a file for each billing month; the last month has no invoice yet.

    A line covers `step_hours`.
    """
    adjusted = _adjusted(bill)
    adjusted["hour"] = adjusted["hour"] // step_hours * step_hours
    table = _columns(bill, pd.concat([lines, adjusted], ignore_index=True), step_hours)
    months = bill.months()[table.pop("hour").to_numpy()]
    files = []
    for month in np.unique(months):
        part = table[months == month].assign(bill_invoice_id="" if month == months.max() else str(70_000_000 + month))
        file = folder / f"{month // 12}-{month % 12 + 1:02d}.snappy.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        arrow = pa.Table.from_pandas(part, preserve_index=False)
        if kind == "CUR 2.0":
            product = pa.array([[("product_name", "AWS Data Transfer")]] * len(part), pa.map_(pa.string(), pa.string()))
            arrow = arrow.append_column("product", product)
        pq.write_table(arrow, file)
        files.append(file)
    return files


def _adjusted(bill: Bill) -> pd.DataFrame:
    number = {id(flow): index for index, flow in enumerate(bill.flows)}
    rows: list[dict[str, Any]] = [
        {"hour": hour, "flow": number[id(flow)], "tier": 90 + n, "gb": 0.0, "rate": 0.0, "cost_usd": usd, "kind": kind}
        for n, (hour, flow, kind, usd) in enumerate(bill.adjustments)
    ]
    return pd.DataFrame(rows, columns=["hour", "flow", "tier", "gb", "rate", "cost_usd", "kind"])


def _columns(bill: Bill, lines: pd.DataFrame, step_hours: int) -> pd.DataFrame:
    flows = bill.flows
    start = pd.Series(pd.date_range(bill.start, periods=bill.hours + 1, freq="h").astype("datetime64[ms, UTC]"))
    hour, flow = lines["hour"].to_numpy(dtype=np.int64), lines["flow"].to_numpy(dtype=np.int64)
    text = start.dt.strftime("%Y-%m-%dT%H:%M:%SZ").to_numpy(dtype=object)
    tier = lines["tier"].to_numpy(dtype=np.int64).astype(str).astype(object)

    def of_flow(name: str) -> NDArray[np.object_]:
        return np.array([getattr(one, name) for one in flows], dtype=object)[flow]

    return pd.DataFrame(
        {
            "hour": hour,
            "identity_line_item_id": np.array([f"flow{n:05d}-" for n in range(len(flows))], dtype=object)[flow] + tier,
            "identity_time_interval": text[hour] + "/" + text[hour + step_hours],
            "bill_payer_account_id": bill.payer,
            "line_item_usage_account_id": of_flow("account"),
            "line_item_line_item_type": lines["kind"].fillna("Usage").to_numpy(dtype=object),
            "line_item_usage_start_date": start.iloc[hour].to_numpy(),
            "line_item_usage_end_date": start.iloc[hour + step_hours].to_numpy(),
            "line_item_product_code": of_flow("product"),
            "line_item_usage_type": of_flow("usage_type"),
            "line_item_operation": of_flow("operation"),
            "line_item_resource_id": of_flow("resource"),
            "line_item_usage_amount": lines["gb"].to_numpy(dtype=np.float64),
            "line_item_currency_code": "USD",
            "line_item_unblended_rate": lines["rate"].to_numpy(dtype=np.float64).astype(str),
            "line_item_unblended_cost": lines["cost_usd"].to_numpy(dtype=np.float64),
            "product_product_family": "Data Transfer",
        }
    )
