"""Flow log records, one by one."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

START = datetime(2026, 9, 1, tzinfo=UTC)
ACCOUNT, REGION = "011122223333", "eu-west-1"
FIELDS = (
    "account-id", "region", "vpc-id", "az-id", "interface-id", "instance-id", "srcaddr", "dstaddr", "pkt-srcaddr",
    "pkt-dstaddr", "pkt-src-aws-service", "pkt-dst-aws-service", "flow-direction", "traffic-path", "packets", "bytes",
    "start", "end", "action", "log-status",
)  # fmt: skip
V2 = (
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets",
    "bytes", "start", "end", "action", "log-status",
)  # fmt: skip


def sent(
    hour: float, gb: float, to: str, *, own: str = "10.0.0.5", path: int | None = 8, **other: Any
) -> dict[str, Any]:
    """Return a record of an instance that sends; `other` replaces fields, with _ for -."""
    begin = int((START + timedelta(hours=hour)).timestamp())
    record: dict[str, Any] = {
        "version": 5, "account-id": ACCOUNT, "region": REGION, "vpc-id": "vpc-1", "az-id": "euw1-az1",
        "interface-id": "eni-0a", "instance-id": "i-0a", "srcaddr": own, "dstaddr": to, "srcport": 40000,
        "dstport": 443, "protocol": 6, "pkt-src-aws-service": None, "pkt-dst-aws-service": None,
        "flow-direction": "egress", "traffic-path": path, "packets": 10, "bytes": round(gb * 1e9), "start": begin,
        "end": begin + 60, "action": "ACCEPT", "log-status": "OK",
    }  # fmt: skip
    record |= {name.replace("_", "-"): value for name, value in other.items()}
    return {"pkt-srcaddr": record["srcaddr"], "pkt-dstaddr": record["dstaddr"]} | record


def received(hour: float, gb: float, source: str, *, own: str = "10.0.0.5", **other: Any) -> dict[str, Any]:
    """Return a record of an instance that receives."""
    return sent(hour, gb, own, own=source, path=None, **{"flow_direction": "ingress"} | other)


def write_text(path: Path, records: Sequence[dict[str, Any]], fields: Sequence[str] = FIELDS) -> Path:
    """Write text, or text.gz, with its header line."""
    rows = (" ".join("-" if r[name] is None else str(r[name]) for name in fields) for r in records)
    text = "\n".join([" ".join(fields), *rows]) + "\n"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.name.endswith(".gz") else text.encode())
    return path


def write_interfaces(path: Path, *interfaces: dict[str, Any]) -> Path:
    """Write what describe-network-interfaces would have answered."""
    path.write_text(json.dumps({"NetworkInterfaces": list(interfaces)}))
    return path


def interface(interface_id: str, address: str, zone: str = "euw1-az1", **other: Any) -> dict[str, Any]:
    """Return an entry of describe-network-interfaces."""
    return {
        "NetworkInterfaceId": interface_id, "OwnerId": ACCOUNT, "AvailabilityZone": f"{REGION}a",
        "AvailabilityZoneId": zone, "InterfaceType": "interface", "Description": "",
        "PrivateIpAddresses": [{"PrivateIpAddress": address}],
    } | other  # fmt: skip
