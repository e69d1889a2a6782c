"""What cannot be known from the flow logs at hand, in sentences with the GB that it concerns."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from egress_features.engines import Engine

_NO_ZONE = (
    "{gb:,.1f} GB went to private addresses in zones that nobody named: whether they crossed zones is not known, and "
    "they are not priced; give --network the answers of describe-network-interfaces and describe-subnets"
)
_UNNAMED = (
    "{gb:,.1f} GB are of {count} interfaces of which nothing says whose they are: their ids stand for them, and no "
    "line of the bill matches; add instance-id to the format, or give --network describe-network-interfaces' answer"
)
_NO_PATH = (
    "the records have no traffic-path: what goes to public addresses counts as internet unless its sender is seen "
    "behind a NAT gateway; peering and on-premises traffic are not told from other private traffic"
)
_NO_SERVICE = (
    "the records do not name AWS services (pkt-dst-aws-service): what goes to S3 and the others by public addresses "
    "counts, and is priced, as internet"
)
_NO_NAT = (
    "nothing in the records tells a NAT gateway's interface (no pkt-dstaddr, no interface-type, no --network): if "
    "there is one in these logs, its bytes count twice, at the instance and at the gateway"
)
_UNPRICED = {
    "peering_same_region": "crossed a peering connection within the region to zones that nobody named",
    "on_premises": "went on-premises over VPN or Direct Connect, which flow logs do not tell apart",
    "local_gateway": "went through a local gateway",
    "aws_service": "went to public addresses of AWS services, taken for free as in the same region",
}
_LOST = "{count:,} records say SKIPDATA: AWS lost traffic there, so the hours are higher than shown"
_UNDIRECTED = (
    "{count} interfaces talk to one private address alone and have no flow-direction: which end is theirs is not "
    "known, and they are left out"
)


def notes_of(engine: Engine) -> list[str]:
    """Return a sentence for each thing that these logs leave open."""
    notes = [_of_records(engine), _of_interfaces(engine), *_of_fields(engine), *_of_classes(engine)]
    return [note for note in notes if note]


def _of_records(engine: Engine) -> str:
    lost = engine.rows("SELECT COALESCE(SUM(flows), 0) FROM flow_read WHERE log_status = 'SKIPDATA'")[0][0]
    return _LOST.format(count=lost) if lost else ""


def _of_interfaces(engine: Engine) -> str:
    count, gb = engine.rows(
        "SELECT COUNT(DISTINCT interface_id), COALESCE(SUM(out_bytes), 0) / 1e9 FROM peer_hours "
        "WHERE resource_name = interface_id"
    )[0]
    return _UNNAMED.format(count=count, gb=float(gb)) if count else ""


def _of_fields(engine: Engine) -> list[str]:
    paths, services, packets, nats, undirected = engine.rows(
        "SELECT (SELECT COUNT(traffic_path) FROM flow_sums), "
        "(SELECT COUNT(*) FROM flow_sums WHERE dst_service IS NOT NULL OR src_service IS NOT NULL), "
        "(SELECT COUNT(*) FROM flow_sums WHERE pkt_dstaddr <> dstaddr OR pkt_srcaddr <> srcaddr), "
        "(SELECT COUNT(*) FROM interfaces WHERE is_nat), "
        "(SELECT COUNT(DISTINCT f.interface_id) FROM flow_sums AS f "
        "LEFT JOIN interfaces AS i ON i.interface_id = f.interface_id WHERE i.interface_id IS NULL)"
    )[0]
    said = paths + packets + nats
    return [
        "" if paths else _NO_PATH,
        "" if paths or services else _NO_SERVICE,
        "" if said else _NO_NAT,
        _UNDIRECTED.format(count=undirected) if undirected else "",
    ]


def _of_classes(engine: Engine) -> list[str]:
    rows = engine.rows(
        "SELECT class, SUM(out_bytes) / 1e9 FROM peer_hours WHERE class <> 'aws_service' OR service <> 'EC2' "
        "GROUP BY class HAVING SUM(out_bytes) > 0 ORDER BY class"
    )
    notes = []
    for name, gb in rows:
        if name == "private":
            notes.append(_NO_ZONE.format(gb=float(gb)))
        elif name in _UNPRICED:
            notes.append(f"{float(gb):,.1f} GB {_UNPRICED[name]}: not priced")
    return notes
