"""Reads flow logs into tables: sums of records, interfaces, directions, and hours with statistics of destinations."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow.parquet as pq

from egress_features.engines import DuckDBEngine
from egress_features.errors import BadInputError
from egress_features.flow_logs.fields import parse_format
from egress_features.flow_logs.files import scans_sql
from egress_features.flow_logs.network import read_network
from egress_features.flow_logs.notes import notes_of
from egress_features.output import atomic_write
from egress_features.queries import read_sql

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from egress_features.engines import Engine
    from egress_features.flow_logs.network import Network
    from egress_features.flow_logs.options import FlowLogs


# Parts of DuckDB's message about a line with another number of fields.
_LINE, _COUNTS = re.compile(r"Error on Line: (\d+)"), re.compile(r"Expected Number of Columns: (\d+) Found: (\d+)")
UNKNOWN_REGION = "unknown"
_PLACES = {
    "account_id": {"what": "account", "field": "account-id", "folder": "aws-account-id=111122223333"},
    "region": {"what": "region", "field": "region", "folder": "aws-region=us-east-1"},
}
_HOW_TO_PLACE = (
    "To name the {what}, add {field} to the format of the flow log, keep the file names of S3 "
    "(ACCOUNT_vpcflowlogs_REGION_fl-...), or move the files into a folder {folder}."
)


@dataclass(frozen=True)
class FlowHoursSummary:
    """Counts of the input and of the output. `notes` are sentences on facts that these logs do not show."""

    records: int
    rows: int
    start_hour_utc: datetime
    end_hour_utc: datetime
    notes: list[str] = field(default_factory=list)


def write_flow_hours(flow_logs: FlowLogs, output: Path) -> FlowHoursSummary:
    """Write traffic by hour, interface, destination class and path to `output` atomically.

    Columns: hour_utc, account_id, region, resource_id, interface_id, destination_class, traffic_path (null where
    unknown), out_gb, in_gb, packets, flows, out_in_ratio, destinations, top_destination_share, top_destination,
    concentration (Herfindahl-Hirschman, 1 = one destination), new_destinations and new_destination_share (null in the
    first 24 hours, which nothing precedes).

    Raises
    ------
    BadInputError
        The input cannot be used. `output` is unchanged then.
    """
    with DuckDBEngine() as engine, atomic_write(output) as beside:
        records, notes = load_flow_logs(engine, flow_logs)
        engine.write_parquet(sql("flow_hours"), beside, {})
        first, last = flow_span(engine)
        return FlowHoursSummary(records, pq.read_metadata(beside).num_rows, first, last, [*notes, *notes_of(engine)])


def load_flow_logs(engine: Engine, flow_logs: FlowLogs, billed_regions: Iterable[str] = ()) -> tuple[int, list[str]]:
    """Make the tables flow_sums, own_addresses, interfaces and peer_hours. Return the number of records, and notes.

    `billed_regions` are those of the bill. If it has only one, records without a region get that one.

    Raises
    ------
    BadInputError
        There are no flow logs, a record cannot be read, or the logs have no traffic.
    """
    if not flow_logs.paths:
        raise BadInputError("no flow log files were given")
    paths = sorted(flow_logs.paths)
    network = read_network(flow_logs.network)
    fields = parse_format(flow_logs.log_format) if flow_logs.log_format is not None else None
    engine.run(f"CREATE VIEW flow_texts AS {scans_sql(paths, fields)}")
    _add_up(engine, paths, fields)
    _check_numbers(engine)
    notes = _take_region(engine, network.regions or set(billed_regions))
    _check_places(engine)
    _name_interfaces(engine, network)
    engine.run(sql("interfaces"))
    _place_peers(engine, network)
    engine.run(sql("peer_hours"))
    engine.run("CREATE TABLE billed_peering (account_id VARCHAR, region VARCHAR, resource_id VARCHAR)")
    return int(engine.rows("SELECT SUM(flows) FROM flow_read")[0][0]), notes


def flow_span(engine: Engine) -> tuple[datetime, datetime]:
    """Return the first and the last hour (UTC) with traffic."""
    first, last = engine.rows("SELECT MIN(hour_utc), MAX(hour_utc) FROM peer_hours")[0]
    return first.replace(tzinfo=UTC), last.replace(tzinfo=UTC)


def sql(name: str) -> str:
    """Return the text of a query of this package."""
    return read_sql(name, "flow_logs/sql")


def _add_up(engine: Engine, paths: Sequence[Path], fields: Sequence[str] | None) -> None:
    try:
        engine.run(sql("flow_sums"))
    except BadInputError as error:
        # DuckDB reads many files as one, and its message does not always name the file with the fault.
        for path in paths:
            try:
                engine.rows(f"SELECT COUNT(bytes) FROM ({scans_sql([path], fields)})")
            except BadInputError as culprit:
                raise BadInputError(_of_a_line(path, str(culprit))) from error
        raise


def _of_a_line(path: Path, said: str) -> str:
    """Return the error text about a file for a message of DuckDB."""
    line, counts = _LINE.search(said), _COUNTS.search(said)
    if line and counts:
        return (
            f"{path} has {counts[2]} fields in line {line[1]}, and its format has {counts[1]}: "
            "the line may have been cut off, so copy the file again, or remove the line"
        )
    return f"{path} has a line that is no record of its format: {said}"


def _check_numbers(engine: Engine) -> None:
    bad = engine.rows("SELECT MIN(no_number) FROM flow_read")[0][0]
    if bad:
        file, value, name = bad
        raise BadInputError(
            f"{file} has {value!r} in the field {name}, where a whole number from 0 is expected; where "
            "--flow-log-format names the fields, check their order"
        )


def _take_region(engine: Engine, regions: set[str]) -> list[str]:
    """Fill in the only region that is known otherwise, where neither records nor file names have one."""
    count = engine.rows("SELECT COALESCE(SUM(flows), 0) FROM flow_read WHERE is_traffic AND region IS NULL")[0][0]
    if not count or len(regions) > 1:
        return []
    region = min(regions, default=UNKNOWN_REGION)
    engine.run("UPDATE flow_read SET region = ? WHERE region IS NULL", [region])
    why = "the only region of the bill or of --network" if regions else "priced as most regions"
    how = _HOW_TO_PLACE.format(**_PLACES["region"])
    return [f"{count:,} records do not name their region. They count as {region}, {why}. {how}"]


def _check_places(engine: Engine) -> None:
    if engine.rows("SELECT COUNT(*) FROM flow_sums")[0][0] == 0:
        ownerless = engine.rows("SELECT COUNT(*) FROM flow_read WHERE is_traffic")[0][0] > 0
        why = (
            "their records have neither an interface-id nor a NAT gateway in resource-id: add resource-id to the format"
            if ownerless
            else "nothing to add up"
        )
        raise BadInputError(
            f"the flow logs have no accepted traffic of an interface (action ACCEPT, log-status OK): {why}"
        )
    for column in ("account_id", "region"):
        without = engine.rows(f"SELECT COUNT(*) FROM flow_sums WHERE {column} IS NULL")[0][0]
        if without:
            raise BadInputError(
                f"the flow logs do not show the {_PLACES[column]['what']} of all records. "
                f"{_HOW_TO_PLACE.format(**_PLACES[column])}"
            )


def _name_interfaces(engine: Engine, network: Network) -> None:
    engine.run(
        "CREATE TABLE named_interfaces (interface_id VARCHAR, name VARCHAR, az_id VARCHAR, is_nat BOOLEAN); "
        "CREATE TABLE named_addresses (interface_id VARCHAR, address VARCHAR)"
    )
    by_id = {interface.interface_id: interface for interface in network.interfaces}
    _insert(engine, "named_interfaces", (interface[:4] for interface in by_id.values()))
    _insert(engine, "named_addresses", ((i.interface_id, address) for i in by_id.values() for address in i.addresses))


def _place_peers(engine: Engine, network: Network) -> None:
    """Look the zones of addresses up in the subnets that the user gave, IPv6 and public IPv4 in a VPC among them."""
    engine.run("CREATE TABLE subnet_zones (vpc_id VARCHAR, address VARCHAR, az_id VARCHAR)")
    if network.has_subnets:
        ends = ("srcaddr", "dstaddr", "pkt_srcaddr", "pkt_dstaddr")
        every = " UNION ".join(f"SELECT vpc_id, {end} AS address FROM flow_sums" for end in ends)
        pairs = engine.rows(every)
        zones = ((vpc_id, address, network.zone(vpc_id, address)) for vpc_id, address in pairs)
        _insert(engine, "subnet_zones", (row for row in zones if row[2] is not None))


def _insert(engine: Engine, table: str, rows: Iterable[tuple[object, ...]]) -> None:
    listed = list(rows)
    if listed:
        engine.insert(table, listed)
