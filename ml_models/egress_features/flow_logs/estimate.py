"""Puts the hours that the bill has not reached into its line items, priced by list price and marked as estimated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from egress_features.errors import BadInputError
from egress_features.flow_logs.hours import UNKNOWN_REGION, flow_span, load_flow_logs, sql
from egress_features.flow_logs.notes import notes_of, unbilled_notes
from egress_features.flow_logs.prices import read_prices
from egress_features.usage_types import region_prefixes

if TYPE_CHECKING:
    from egress_features.engines import Engine
    from egress_features.flow_logs.options import FlowLogs

UNSETTLED_HOURS = 24
# The services whose lines flow logs show. Their watermark decides where the bill ends.
SERVICES = "('AmazonEC2', 'AWSELB')"
# The bill's usage types of each kind of traffic. In us-east-1, only the newer ones have a prefix.
_USAGE_TYPES = {
    "internet": "DataTransfer-Out-Bytes",
    "zone_out": "DataTransfer-Regional-Bytes",
    "zone_in": "DataTransfer-Regional-Bytes",
    "nat_gateway": "NatGateway-Bytes",
}
_NEWER_USAGE_TYPES = {
    "inter_region": "AWS-Out-Bytes",
    "peering_out": "VpcPeering-Out-Bytes",
    "peering_in": "VpcPeering-In-Bytes",
    "regional_nat_gateway": "RegionalNatGateway-Bytes",
}
_NOTHING_BILLED = (
    "the flow logs have no traffic that is billed: none to the internet, through a NAT gateway, between zones or to "
    "another region"
)
_BILLED_PEERING = (
    "INSERT INTO billed_peering SELECT DISTINCT account_id, region, resource_id FROM kept_lines "
    "WHERE usage_type LIKE '%VpcPeering-%'"
)


def estimate_hours(engine: Engine, flow_logs: FlowLogs) -> tuple[int, list[str]]:
    """Add the flow logs to kept_lines, and return the number of their records and sentences for the user.

    The engine must have `kept_lines` and `data_hours`, which are empty without a bill. Afterwards:

    - `kept_lines` has estimated lines from the first hour in which the bill is not complete, instead of the bill's.
    - `covered_series` has the series that flow logs show, with that hour.
    - `data_hours` ends with the logs. Series that flow logs do not show end with the bill.

    Raises
    ------
    BadInputError
        The logs or prices cannot be read, or the logs leave a gap after the bill.
    """
    table = read_prices(flow_logs.prices)
    records, notes = load_flow_logs(engine, flow_logs, _regions(engine))
    engine.run("CREATE TABLE prices (egress_class VARCHAR, region VARCHAR, usd_per_gb DOUBLE)")
    engine.insert("prices", table.prices)
    engine.run("CREATE TABLE bill_names (region VARCHAR, meter VARCHAR, usage_type VARCHAR)")
    engine.insert("bill_names", bill_names())
    engine.run(_BILLED_PEERING)
    engine.run(sql("estimated_lines"))
    notes += notes_of(engine)
    if engine.rows("SELECT COUNT(*) FROM estimated_lines")[0][0] == 0:
        if engine.rows("SELECT COUNT(*) FROM kept_lines")[0][0] > 0:
            return records, [*notes, f"Nothing is estimated: {_NOTHING_BILLED}."]
        raise BadInputError(" ".join([f"{_NOTHING_BILLED}.", *notes]))
    first, last = flow_span(engine)
    start = _start(engine, flow_logs, first, last)
    if start is None:
        return records, [*notes, "Nothing is estimated: the flow logs end before the last complete hour of the bill."]
    _replace(engine, start, last)
    notes += unbilled_notes(engine, start)
    notes.append(
        f"Hours from {start:%Y-%m-%d %H:%M} UTC on are estimated from flow logs at list prices read on "
        f"{table.read_on}. The bill has not reached them."
    )
    return records, notes


def bill_names() -> list[tuple[str, str, str]]:
    """Return the bill's name of each kind of traffic in each region: (region, meter, usage_type)."""
    prefixes: dict[str, str] = {"us-east-1": "", UNKNOWN_REGION: ""}
    for prefix, region in region_prefixes().items():
        prefixes.setdefault(region, prefix)
    rows = [
        (region, meter, f"{prefix}-{kind}" if prefix else kind)
        for region, prefix in prefixes.items()
        for meter, kind in _USAGE_TYPES.items()
    ]
    return rows + [
        (region, meter, f"{prefix or 'USE1'}-{kind}")
        for region, prefix in prefixes.items()
        for meter, kind in _NEWER_USAGE_TYPES.items()
    ]


def _regions(engine: Engine) -> list[str]:
    """Return the regions of the bill's lines that flow logs show, or of all lines if it has none of those."""
    rows = engine.rows(f"SELECT DISTINCT region, service IN {SERVICES} FROM kept_lines")
    return [region for region, is_seen in rows if is_seen] or [region for region, _ in rows]


def _start(engine: Engine, flow_logs: FlowLogs, first: datetime, last: datetime) -> datetime | None:
    """Return the first hour that is estimated from flow logs, or None if they end before it."""
    bill_last = engine.rows(
        f"SELECT COALESCE(MAX(hour_utc) FILTER (WHERE service IN {SERVICES}), MAX(hour_utc)) FROM kept_lines"
    )[0][0]
    if bill_last is None:
        return first
    bill_last = bill_last.replace(tzinfo=UTC)
    if first > bill_last + timedelta(hours=1):
        raise BadInputError(
            f"the bill ends at {bill_last:%Y-%m-%d %H:%M} UTC and the flow logs begin at {first:%Y-%m-%d %H:%M} UTC: "
            "the hours between would look like silence, so give flow logs that begin earlier"
        )
    start = max(flow_logs.bill_complete_until or _unsettled(engine, bill_last), first)
    return start if start <= last else None


def _unsettled(engine: Engine, bill_last: datetime) -> datetime:
    """Return the first hour that may still grow: in the bill's last day, or behind a service's watermark."""
    complete = engine.rows(f"SELECT MIN(complete_until_utc) FROM watermarks WHERE service IN {SERVICES}")[0][0]
    last_day = bill_last - timedelta(hours=UNSETTLED_HOURS - 1)
    return min(last_day, complete.replace(tzinfo=UTC) + timedelta(hours=1)) if complete else last_day


def _replace(engine: Engine, start: datetime, last: datetime) -> None:
    naive_start, naive_last = (moment.astimezone(UTC).replace(tzinfo=None) for moment in (start, last))
    engine.run("CREATE TABLE flow_bounds (start_utc TIMESTAMP, last_utc TIMESTAMP)")
    engine.insert("flow_bounds", [(naive_start, naive_last)])
    engine.run(sql("kept_lines"))
    engine.run(
        "UPDATE data_hours SET first_hour = LEAST(COALESCE(first_hour, ?), ?), "
        "last_hour = GREATEST(COALESCE(last_hour, ?), ?)",
        [naive_start, naive_start, naive_last, naive_last],
    )
