"""Reads what `aws ec2 describe-network-interfaces` and `describe-subnets` say about addresses and interfaces."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from egress_features.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_NAT = re.compile(r"nat-[0-9a-f]+")
_BALANCER = re.compile(r"^ELB ((?:app|net|gwy)/[^/]+/[0-9a-f]+)$")


class Interface(NamedTuple):
    """An interface: `name` is what the bill calls its owner, "" where that cannot be told."""

    interface_id: str
    name: str
    az_id: str
    is_nat: bool
    addresses: tuple[str, ...]


class Subnet(NamedTuple):
    """A subnet's addresses and zone; `vpc_id` is "" where the file does not say."""

    block: ipaddress.IPv4Network | ipaddress.IPv6Network
    az_id: str
    vpc_id: str

    def holds(self, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        """Say whether the address lies in it."""
        return address.version == self.block.version and address in self.block


@dataclass
class Network:
    """What is known about interfaces and subnets; empty where nobody gave files."""

    interfaces: list[Interface] = field(default_factory=list)
    subnets: list[Subnet] = field(default_factory=list)

    def zone(self, vpc_id: str | None, text: str) -> str | None:
        """Return the zone of an address as seen from a VPC: its own subnets first, then any; None where unclear."""
        address = ipaddress.ip_address(text)
        holding = [subnet for subnet in self.subnets if subnet.holds(address)]
        own = {subnet.az_id for subnet in holding if subnet.vpc_id == vpc_id}
        zones = own or {subnet.az_id for subnet in holding}
        return zones.pop() if len(zones) == 1 else None


def read_network(paths: Sequence[Path]) -> Network:
    """Read the JSON answers of the two commands, any number of each.

    Raises
    ------
    BadInputError
        No JSON, or neither `NetworkInterfaces` nor `Subnets` in it, or an entry without an id or a zone.
    """
    network = Network()
    for path in paths:
        document = _document(path)
        try:
            network.interfaces += [_interface(entry) for entry in document.get("NetworkInterfaces", [])]
            network.subnets += [
                Subnet(ipaddress.ip_network(entry["CidrBlock"]), entry["AvailabilityZoneId"], entry.get("VpcId", ""))
                for entry in document.get("Subnets", [])
            ]
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise BadInputError(
                f"{path} has an entry that describe-network-interfaces or describe-subnets would not write: {error}"
            ) from error
    return network


def _document(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInputError(f"{path} is no JSON: {error}") from error
    if not isinstance(document, dict) or not {"NetworkInterfaces", "Subnets"} & document.keys():
        raise BadInputError(
            f"{path} is no answer of `aws ec2 describe-network-interfaces` or `aws ec2 describe-subnets`, which have "
            "the keys NetworkInterfaces and Subnets"
        )
    return document


def _interface(entry: dict[str, Any]) -> Interface:
    description = entry.get("Description", "")
    is_nat = "nat_gateway" in entry.get("InterfaceType", "")
    addresses = [item["PrivateIpAddress"] for item in entry.get("PrivateIpAddresses", [])]
    addresses += [item["Ipv6Address"] for item in entry.get("Ipv6Addresses", [])]
    return Interface(
        entry["NetworkInterfaceId"],
        _name(entry, description, is_nat),
        entry.get("AvailabilityZoneId", ""),
        is_nat,
        tuple(addresses),
    )


def _name(entry: dict[str, Any], description: str, is_nat: bool) -> str:
    """Return an instance id as it is, and gateways and load balancers as the ARNs that the bill has."""
    region, owner = entry.get("AvailabilityZone", "")[:-1], entry.get("OwnerId", "")
    gateway, balancer = _NAT.search(description), _BALANCER.match(description)
    if is_nat and gateway and region and owner:
        return f"arn:aws:ec2:{region}:{owner}:natgateway/{gateway[0]}"
    if balancer and region and owner:
        return f"arn:aws:elasticloadbalancing:{region}:{owner}:loadbalancer/{balancer[1]}"
    return str(entry.get("Attachment", {}).get("InstanceId", ""))
