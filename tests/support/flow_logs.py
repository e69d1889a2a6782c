"""Makes the VPC Flow Logs that a bill would have had: the same hours, the same bytes, on the wire.

Reads the bill's lines, and not the data behind them, so that flow logs and bill agree by construction and whoever
reads the logs has no other way to the bill's numbers than the records.
"""

from __future__ import annotations

import gzip
import hashlib
import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from egress_sentinel.demo.places import REGIONS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

# A custom order of the fields up to version 5.
FIELDS = (
    "version", "account-id", "region", "vpc-id", "subnet-id", "az-id", "instance-id", "interface-id", "srcaddr",
    "dstaddr", "srcport", "dstport", "protocol", "packets", "bytes", "start", "end", "action", "log-status",
    "tcp-flags", "type", "pkt-srcaddr", "pkt-dstaddr", "pkt-src-aws-service", "pkt-dst-aws-service",
    "flow-direction", "traffic-path",
)  # fmt: skip
DEFAULT_FIELDS = (
    "version", "account-id", "interface-id", "srcaddr", "dstaddr", "srcport", "dstport", "protocol", "packets",
    "bytes", "start", "end", "action", "log-status",
)  # fmt: skip
_INT32 = {"version", "srcport", "dstport", "protocol", "tcp-flags", "traffic-path"}
_INT64 = {"packets", "bytes", "start", "end"}
_S3, _USUAL, _NEW = "52.216.8.67", ("198.51.100.7", "198.51.100.8", "203.0.113.40"), "192.0.2.99"
_SERVICES = {"AmazonEC2", "AWSELB"}
_COLUMNS = ["usage_start_date", "usage_account_id", "product_code", "usage_type", "operation", "resource_id"]


class Host(NamedTuple):
    """An interface: its own address lies in the first of two zones, its partner's in the second."""

    account_id: str
    region: str
    resource_id: str
    number: int

    @property
    def interface_id(self) -> str:
        """Such as `eni-0123456789abcdef0`."""
        return "eni-0" + hashlib.sha256(f"{self.account_id}{self.resource_id}".encode()).hexdigest()[:16]

    @property
    def address(self) -> str:
        """The interface's private address."""
        return f"10.{_network(self.region)}.{self.number // 250}.{self.number % 250 + 4}"

    @property
    def partner(self) -> str:
        """A private address in the other zone."""
        return f"10.{_network(self.region) + 1}.{self.number // 250}.{self.number % 250 + 4}"


def write_flow_logs(
    bill: Sequence[Path],
    folder: Path,
    *,
    start: datetime,
    end: datetime,
    labels: Sequence[Mapping[str, Any]] = (),
    fields: Sequence[str] = FIELDS,
    hive: bool = False,
    parquet: bool = False,
) -> Path:
    """Write the flow logs of the EC2 instances, NAT gateways and load balancers of a bill, hours [start, end).

    What an instance sent to the internet goes to three usual addresses, and, in the hours of an `exfiltration` label,
    traffic above its median goes to a new one. NAT gateways carry S3 traffic from an instance that has no line in the
    bill. Traffic between zones goes to a partner in the other zone. Instances send to the internet by a public address.

    Parameters
    ----------
    bill : sequence of Path
        Legacy CUR files in parquet.
    folder : Path
        Gets `AWSLogs/...`, in the plain or the hive layout, and `network.json`, `subnets.json` as the AWS CLI would
        have answered describe-network-interfaces and describe-subnets.
    start, end : datetime
        Whole hours.
    labels : sequence of mapping
        Labels of the bill's incidents.
    fields : sequence of str
        The records' fields in order; `DEFAULT_FIELDS` is version 2.
    hive, parquet : bool
        Layout and format: text.gz by default.

    Returns
    -------
    Path
        The folder.
    """
    lines = _lines(bill)
    usual = _medians(lines)
    hosts: dict[tuple[str, str, str], Host] = {}
    files: dict[tuple[str, str, datetime], list[dict[str, Any]]] = defaultdict(list)
    for (hour, account, region, kind, resource), gb in sorted(lines.items()):
        if start <= hour < end:
            host = hosts.setdefault((account, region, resource), Host(account, region, resource, len(hosts)))
            above = (
                gb - usual.get((account, region, kind, resource), 0.0)
                if kind == "internet" and _stolen(labels, resource, hour)
                else 0.0
            )
            files[account, region, hour] += list(_records(host, hour, kind, gb, max(above, 0.0)))
    for (account, region, hour), records in sorted(files.items()):
        _write(folder / _name(account, region, hour, hive, parquet), records, fields, parquet)
    _write_network(folder, list(hosts.values()))
    return folder


def _lines(bill: Sequence[Path]) -> dict[tuple[datetime, str, str, str, str], float]:
    """Add the bill's GB up by (hour, account, region, kind, resource)."""
    columns = [f"line_item_{name}" for name in _COLUMNS]
    added: dict[tuple[datetime, str, str, str, str], float] = defaultdict(float)
    for path in bill:
        table = pq.read_table(path, columns=[*columns, "line_item_usage_amount"])
        table = table.filter(pc.is_in(table["line_item_product_code"], pa.array(sorted(_SERVICES))))
        for row in table.to_pylist():
            region, kind = _kind(row["line_item_usage_type"])
            resource = row["line_item_resource_id"] or ""
            if kind and resource.startswith(("i-", "arn:")):
                hour = row["line_item_usage_start_date"].replace(tzinfo=UTC)
                key = (hour, row["line_item_usage_account_id"], region, kind, resource)
                added[key] += row["line_item_usage_amount"]
    return dict(added)


def _kind(usage_type: str) -> tuple[str, str]:
    """Return the region of a usage type and what kind of traffic it is; "" where flow logs would show none."""
    prefix, _, rest = usage_type.partition("-")
    region = next((each.name for each in REGIONS.values() if each.prefix and each.prefix == prefix), "")
    kinds = {
        "DataTransfer-Out-Bytes": "internet",
        "DataTransfer-In-Bytes": "internet-in",
        "NatGateway-Bytes": "nat",
        "DataTransfer-Regional-Bytes": "zones",
        "DataTransfer-xAZ-In-Bytes": "zones",
        "DataTransfer-xAZ-Out-Bytes": "zones",
    }
    return (region, kinds.get(rest, "")) if region else ("us-east-1", kinds.get(usage_type, ""))


def _medians(
    lines: Mapping[tuple[datetime, str, str, str, str], float],
) -> dict[tuple[str, str, str, str], float]:
    amounts: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for (_, *series), gb in lines.items():
        account, region, kind, resource = series
        amounts[account, region, kind, resource].append(gb)
    return {series: sorted(values)[len(values) // 2] for series, values in amounts.items()}


def _stolen(labels: Sequence[Mapping[str, Any]], resource: str, hour: datetime) -> bool:
    return any(
        label["kind"] == "exfiltration"
        and label["resource_id"] == resource
        and datetime.fromisoformat(label["start_hour_utc"]) <= hour <= datetime.fromisoformat(label["end_hour_utc"])
        for label in labels
    )


def _records(host: Host, hour: datetime, kind: str, gb: float, stolen_gb: float) -> Iterator[dict[str, Any]]:
    total, stolen = round(gb * 1e9), round(stolen_gb * 1e9)
    if kind in {"internet", "internet-in"}:
        is_out = kind == "internet"
        shares = [((total - stolen) * share // 100, peer) for share, peer in zip((50, 30), _USUAL, strict=False)]
        rest = total - stolen - sum(size for size, _ in shares)
        for size, peer in [*shares, (rest, _USUAL[2]), (stolen, _NEW)]:
            yield from _sent(host, hour, size, peer, is_out, path=8)
    elif kind == "zones":
        yield from _sent(host, hour, total // 2, host.partner, True, path=1)
        yield from _sent(host, hour, total - total // 2, host.partner, False)
    else:
        yield from _through_nat(host, hour, total)


def _through_nat(gateway: Host, hour: datetime, total: int) -> Iterator[dict[str, Any]]:
    """Let a worker that has no line in the bill read S3; requests are 2 % of what passes in both directions."""
    worker = Host(gateway.account_id, gateway.region, "i-0" + gateway.interface_id[-16:], gateway.number + 5000)
    asked, read = total * 2 // 100, total - total * 2 // 100
    yield from _sent(worker, hour, asked, _S3, True, path=1)
    yield from _sent(worker, hour, read, _S3, False)
    yield from _sent(gateway, hour, asked, worker.address, False, final=_S3)
    yield from _sent(gateway, hour, asked, _S3, True, path=8)
    yield from _sent(gateway, hour, read, _S3, False)
    yield from _sent(gateway, hour, read, worker.address, True, path=1, final=_S3)


def _sent(
    host: Host, hour: datetime, size: int, peer: str, is_out: bool, *, path: int | None = None, final: str = "",
) -> Iterator[dict[str, Any]]:  # fmt: skip
    """Make one record; `final` is the far end of a packet that the gateway passes on."""
    if size <= 0:
        return
    ends = (host.address, peer) if is_out else (peer, host.address)
    packet = ends if not final else (final, peer) if is_out else (peer, final)
    begin = int(hour.timestamp()) + host.number % 50 * 60
    yield {
        "version": 5,
        "account-id": host.account_id,
        "region": host.region,
        "vpc-id": f"vpc-{host.account_id}",
        "subnet-id": f"subnet-{host.account_id}",
        "az-id": _zones(host.region)[0],
        "instance-id": host.resource_id if host.resource_id.startswith("i-") else None,
        "interface-id": host.interface_id,
        "srcaddr": ends[0], "dstaddr": ends[1],
        "srcport": 44321 if is_out else 443, "dstport": 443 if is_out else 44321, "protocol": 6,
        "packets": size // 1400 + 1, "bytes": size, "start": begin, "end": begin + 60,
        "action": "ACCEPT", "log-status": "OK", "tcp-flags": 19, "type": "IPv4",
        "pkt-srcaddr": packet[0], "pkt-dstaddr": packet[1],
        "pkt-src-aws-service": "S3" if packet[0] == _S3 else None,
        "pkt-dst-aws-service": "S3" if packet[1] == _S3 else None,
        "flow-direction": "egress" if is_out else "ingress",
        "traffic-path": path if is_out else None,
    }  # fmt: skip


def _network(region: str) -> int:
    """Return the second number of the addresses in a region's first zone; the other zone has the next one."""
    return 2 * list(REGIONS).index(region)


def _zones(region: str) -> tuple[str, str]:
    return f"{region}-az1", f"{region}-az2"


def _name(account: str, region: str, hour: datetime, hive: bool, parquet: bool) -> str:
    stamp = f"{hour + timedelta(hours=1):%Y%m%dT%H%MZ}"
    ending = "log.parquet" if parquet else "log.gz"
    digest = hashlib.sha256(f"{account}{region}{stamp}".encode()).hexdigest()[:8]
    file = f"{account}_vpcflowlogs_{region}_fl-0123456789abcdef0_{stamp}_{digest}.{ending}"
    if hive:
        place = f"aws-account-id={account}/aws-service=vpcflowlogs/aws-region={region}/"
        return f"AWSLogs/{place}year={hour:%Y}/month={hour:%m}/day={hour:%d}/hour={hour:%H}/{file}"
    return f"AWSLogs/{account}/vpcflowlogs/{region}/{hour:%Y/%m/%d}/{file}"


def _write(path: Path, records: Sequence[Mapping[str, Any]], fields: Sequence[str], parquet: bool) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if parquet:
        columns = {name.replace("-", "_"): pa.array([r[name] for r in records], _type(name)) for name in fields}
        pq.write_table(pa.table(columns), path)
        return
    rows = (" ".join("-" if r[name] is None else str(r[name]) for name in fields) for r in records)
    text = "\n".join([" ".join(fields), *rows]) + "\n"
    path.write_bytes(gzip.compress(text.encode("ascii"), 1, mtime=0))


def _type(name: str) -> Any:
    return pa.int32() if name in _INT32 else pa.int64() if name in _INT64 else pa.string()


def _write_network(folder: Path, hosts: Sequence[Host]) -> None:
    interfaces = [_described(host) for host in hosts]
    subnets = [
        {"SubnetId": f"subnet-{zone}", "CidrBlock": f"10.{number}.0.0/16", "AvailabilityZoneId": zone}
        for region in sorted({host.region for host in hosts})
        for number, zone in enumerate(_zones(region), _network(region))
    ]
    (folder / "network.json").write_text(json.dumps({"NetworkInterfaces": interfaces}, indent=1), encoding="utf-8")
    (folder / "subnets.json").write_text(json.dumps({"Subnets": subnets}, indent=1), encoding="utf-8")


def _described(host: Host) -> dict[str, Any]:
    kind, _, name = host.resource_id.rpartition(":")[2].partition("/")
    owner: dict[str, Any] = {"InterfaceType": "interface", "Description": ""}
    if kind == "natgateway":
        owner = {"InterfaceType": "nat_gateway", "Description": f"Interface for NAT Gateway {name}"}
    elif kind == "loadbalancer":
        owner["Description"] = f"ELB {name}"
    else:
        owner["Attachment"] = {"InstanceId": host.resource_id}
    return {
        "NetworkInterfaceId": host.interface_id,
        "OwnerId": host.account_id,
        "AvailabilityZone": f"{host.region}a",
        "AvailabilityZoneId": _zones(host.region)[0],
        "PrivateIpAddresses": [{"PrivateIpAddress": host.address}],
        **owner,
    }
