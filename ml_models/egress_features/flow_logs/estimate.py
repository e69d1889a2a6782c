"""Puts the hours that the bill has not reached into its line items, priced by list price and marked as estimated."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from egress_features.errors import BadInputError
from egress_features.flow_logs.hours import flow_span, load_flow_logs, sql
from egress_features.flow_logs.notes import notes_of
from egress_features.flow_logs.prices import read_prices
from egress_features.usage_types import region_prefixes

if TYPE_CHECKING:
    from egress_features.engines import Engine
    from egress_features.flow_logs.options import FlowLogs

UNSETTLED_HOURS = 24
# The services whose lines flow logs see; the bill's watermark is theirs.
SERVICES = "('AmazonEC2', 'AWSELB')"
# Beside a bill, an interface that the bill has no name for would be a series that no bill ever meets.
NAMED = "resource_id NOT LIKE 'eni-%' AND resource_id <> ''"
_USAGE_TYPES = {
    "internet": "DataTransfer-Out-Bytes",
    "inter_az": "DataTransfer-Regional-Bytes",
    "nat_gateway": "NatGateway-Bytes",
}


def estimate_hours(engine: Engine, flow_logs: FlowLogs) -> tuple[int, list[str]]:
    """Take the flow logs into kept_lines, and return the number of their records and sentences for a person.

    Beforehand the engine has `kept_lines` and `data_hours`, which are empty where there is no bill. Afterwards
    `kept_lines` has estimated lines in the place of the bill's from the hour on in which the bill is not complete,
    `covered_series` names the series that flow logs see, with that hour, and `data_hours` ends where the logs end.
    Series that flow logs cannot see end with the bill.

    Raises
    ------
    BadInputError
        Logs or prices that cannot be read, or logs that leave a gap after the bill.
    """
    table = read_prices(flow_logs.prices)
    records = load_flow_logs(engine, flow_logs)
    engine.run("CREATE TABLE prices (egress_class VARCHAR, region VARCHAR, usd_per_gb DOUBLE)")
    engine.insert("prices", table.prices)
    engine.run("CREATE TABLE bill_names (region VARCHAR, egress_class VARCHAR, usage_type VARCHAR)")
    engine.insert("bill_names", bill_names())
    engine.run(sql("estimated_lines"))
    if engine.rows("SELECT COUNT(*) FROM estimated_lines")[0][0] == 0:
        raise BadInputError(
            "the flow logs have no traffic that is billed: none to the internet, through a NAT gateway, between zones "
            "or to another region"
        )
    notes = notes_of(engine)
    first, last = flow_span(engine)
    start = _start(engine, flow_logs, first, last)
    if start is None:
        return records, [*notes, "the flow logs end before the bill's last complete hour: nothing was estimated"]
    _replace(engine, start, last)
    notes.append(
        f"hours from {start:%Y-%m-%d %H:%M} UTC on are estimated from flow logs at list prices read on "
        f"{table.read_on}, not billed yet"
    )
    return records, notes


def bill_names() -> list[tuple[str, str, str]]:
    """Return what the bill calls each class of egress in each region: (region, egress_class, usage_type)."""
    prefixes: dict[str, str] = {"us-east-1": ""}
    for prefix, region in region_prefixes().items():
        prefixes.setdefault(region, prefix)
    rows = [
        (region, name, f"{prefix}-{kind}" if prefix else kind)
        for region, prefix in prefixes.items()
        for name, kind in _USAGE_TYPES.items()
    ]
    return rows + [(region, "inter_region", f"{prefix or 'USE1'}-AWS-Out-Bytes") for region, prefix in prefixes.items()]


def _start(engine: Engine, flow_logs: FlowLogs, first: datetime, last: datetime) -> datetime | None:
    """Return the first hour for which flow logs speak; None where they end before it."""
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
    has_bill = engine.rows("SELECT COUNT(*) FROM kept_lines")[0][0] > 0
    named = f"WHERE {NAMED}" if has_bill else ""
    engine.run(
        "CREATE TABLE covered_series AS SELECT DISTINCT account_id, region, service, egress_class, resource_id, "
        f"CAST(? AS TIMESTAMP) AS estimated_from_utc FROM estimated_lines {named}",
        [naive_start],
    )
    engine.run(sql("kept_lines"))
    engine.run(
        "UPDATE data_hours SET first_hour = LEAST(COALESCE(first_hour, ?), ?), "
        "last_hour = GREATEST(COALESCE(last_hour, ?), ?)",
        [naive_start, naive_start, naive_last, naive_last],
    )
