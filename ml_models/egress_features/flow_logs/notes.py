"""What the flow logs leave open, in sentences with the GB that each concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from egress_features.engines import Engine

_LOST = "{count:,} records have the status SKIPDATA: AWS lost traffic there, so the real volume is higher than shown."
_NO_OWNER = (
    "{count:,} records ({gb:,.1f} GB) have neither an interface-id nor a NAT gateway in resource-id, and are left out. "
    "Regional NAT gateways write such records: add resource-id to the format of their flow log."
)
_UNDIRECTED = (
    "{count} interfaces ({gb:,.1f} GB) are left out: their records have no flow-direction, and the addresses do not "
    "show which end is theirs. Add flow-direction to the format."
)
_UNNAMED = (
    "{gb:,.1f} GB belong to {count} interfaces without a known owner. They appear under the interface's id, which no "
    "line of the bill has. Add instance-id to the format, or pass the output of describe-network-interfaces with "
    "--network."
)
_NO_PATH = (
    "The records have no traffic-path. Traffic to public addresses counts as internet, except behind a NAT gateway and "
    "where --network places the address in a subnet. Peering and on-premises traffic count as private traffic."
)
_NO_SERVICE = (
    "The records do not name AWS services (pkt-dst-aws-service). Traffic to public addresses of S3 and other services "
    "counts as internet, at its price."
)
_NO_NAT = (
    "The records do not identify NAT gateways (no pkt-dstaddr, no interface-type, no --network). If one is in these "
    "logs, its bytes count twice: at the instance and at the gateway."
)
_NO_REGIONAL_NAT = (
    "{gb:,.1f} GB went through regional NAT gateways without records in these logs, and are not estimated. Create a "
    "flow log for each regional NAT gateway."
)
_NO_ZONE = (
    "{gb:,.1f} GB went to private addresses in unknown zones. They are not priced: traffic within a zone is free. Pass "
    "the output of describe-network-interfaces and describe-subnets with --network to price them."
)
_BILLED_PEERING = (
    "{gb:,.1f} GB crossed a peering connection within the region to unknown zones. All of it is estimated as traffic "
    "between zones, because the bill charges these resources for peering between zones."
)
_UNPRICED = {
    "peering_same_region": (
        "crossed a peering connection within the region to unknown zones. They are not priced: traffic within a zone "
        "is free. Pass the output of describe-subnets with --network to price them."
    ),
    "on_premises": (
        "left for on-premises networks. They are not priced: flow logs do not show whether by VPN or Direct Connect."
    ),
    "transit_gateway": (
        "went through a transit gateway to another VPC. They are not priced: its attachments are charged for them, and "
        "flow logs of VPCs do not show which."
    ),
    "local_gateway": "went through a local gateway. They are not priced.",
    "aws_service": "went to public addresses of AWS services. They are not priced: within the region they are free.",
}
_UNBILLED = (
    "{count} series ({first}{more}) are not estimated. Flow logs show {gb:,.1f} GB of them before "
    "{start:%Y-%m-%d %H:%M} UTC, in hours that the bill covers, and the bill has no line for them."
)


def notes_of(engine: Engine) -> list[str]:
    """Return a sentence about each fact that these logs do not show."""
    notes = [*_of_records(engine), *_of_interfaces(engine), *_of_fields(engine), _of_regional_nat(engine)]
    notes += _of_classes(engine)
    return [note for note in notes if note]


def unbilled_notes(engine: Engine, start: datetime) -> list[str]:
    """Return a sentence on the series that the bill should have and does not, or none without a bill."""
    rows = engine.rows(
        "SELECT egress_class, resource_id, SUM(usage_gb) FROM unbilled_series "
        "WHERE EXISTS (SELECT 1 FROM billed_lines) GROUP BY egress_class, resource_id ORDER BY 3 DESC, 1, 2"
    )
    if not rows:
        return []
    first = f"{rows[0][0]} of {rows[0][1]}"
    gb = sum(float(row[2]) for row in rows)
    return [_UNBILLED.format(gb=gb, count=len(rows), first=first, more=", ..." if rows[1:] else "", start=start)]


def _of_records(engine: Engine) -> list[str]:
    lost, count, gb = engine.rows(
        "SELECT COALESCE(SUM(CASE WHEN log_status = 'SKIPDATA' THEN flows END), 0), "
        "COALESCE(SUM(CASE WHEN is_traffic AND interface_id IS NULL THEN flows END), 0), "
        "COALESCE(SUM(CASE WHEN is_traffic AND interface_id IS NULL THEN bytes END), 0) / 1e9 FROM flow_read"
    )[0]
    return [_LOST.format(count=lost) if lost else "", _NO_OWNER.format(count=count, gb=float(gb)) if count else ""]


def _of_interfaces(engine: Engine) -> list[str]:
    unnamed = engine.rows(
        "SELECT COUNT(DISTINCT interface_id), COALESCE(SUM(out_bytes), 0) / 1e9 FROM peer_hours "
        "WHERE resource_name = interface_id"
    )[0]
    undirected = engine.rows(
        "SELECT COUNT(DISTINCT f.interface_id), COALESCE(SUM(f.bytes), 0) / 1e9 FROM flow_sums AS f "
        "LEFT JOIN interfaces AS i ON i.account_id = f.account_id AND i.region = f.region "
        "AND i.interface_id = f.interface_id WHERE i.interface_id IS NULL"
    )[0]
    return [
        text.format(count=count, gb=float(gb))
        for text, (count, gb) in ((_UNNAMED, unnamed), (_UNDIRECTED, undirected))
        if count
    ]


def _of_fields(engine: Engine) -> list[str]:
    paths, services, packets, nats = engine.rows(
        "SELECT (SELECT COUNT(traffic_path) FROM flow_sums), "
        "(SELECT COUNT(*) FROM flow_sums WHERE dst_service IS NOT NULL OR src_service IS NOT NULL), "
        "(SELECT COUNT(*) FROM flow_sums WHERE pkt_dstaddr <> dstaddr OR pkt_srcaddr <> srcaddr), "
        "(SELECT COUNT(*) FROM interfaces WHERE is_nat)"
    )[0]
    said = paths + packets + nats
    return [
        "" if paths else _NO_PATH,
        "" if paths or services else _NO_SERVICE,
        "" if said else _NO_NAT,
    ]


def _of_regional_nat(engine: Engine) -> str:
    """Return a sentence on bytes through regional NAT gateways without records, if other NAT gateways have some."""
    (gb,) = engine.rows(
        "WITH nats AS (SELECT account_id, region, BOOL_OR(interface_id LIKE 'nat-%') AS has_regional FROM interfaces "
        "WHERE is_nat GROUP BY account_id, region) "
        "SELECT COALESCE(SUM(f.bytes), 0) / 1e9 FROM flow_sums AS f "
        "JOIN nats AS n ON n.account_id = f.account_id AND n.region = f.region "
        "WHERE NOT n.has_regional AND f.next_hop_interface_type = 'regional_nat_gateway'"
    )[0]
    return _NO_REGIONAL_NAT.format(gb=float(gb)) if gb else ""


def _of_classes(engine: Engine) -> list[str]:
    rows = engine.rows(
        "SELECT p.class, b.account_id IS NOT NULL, SUM(p.out_bytes) / 1e9, SUM(p.out_bytes + p.in_bytes) / 1e9 "
        "FROM peer_hours AS p LEFT JOIN billed_peering AS b ON b.account_id = p.account_id AND b.region = p.region "
        "AND b.resource_id = p.resource_name WHERE p.class <> 'aws_service' OR p.service <> 'EC2' "
        "GROUP BY 1, 2 ORDER BY 1, 2"
    )
    left_out: dict[str, float] = {}
    notes = []
    for name, is_billed, sent_gb, gb in rows:
        if name == "peering_same_region" and is_billed:
            notes.append(_BILLED_PEERING.format(gb=float(gb)))
        else:
            left_out[name] = left_out.get(name, 0.0) + float(sent_gb)
    for name, gb in left_out.items():
        if name == "private" and gb:
            notes.append(_NO_ZONE.format(gb=gb))
        elif name in _UNPRICED and gb:
            notes.append(f"{gb:,.1f} GB {_UNPRICED[name]}")
    return notes
