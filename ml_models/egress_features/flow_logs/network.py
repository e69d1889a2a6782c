"""Reads addresses and interfaces from the output of `aws ec2 describe-network-interfaces` and `describe-subnets`."""

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
    """An interface. `name` is the resource id of its owner in the bill, or "" if it is not known."""

    interface_id: str
    name: str
    az_id: str
    is_nat: bool
    addresses: tuple[str, ...]


class Subnet(NamedTuple):
    """A block of a subnet's addresses and its zone. `vpc_id` is "" if the file does not have it."""

    block: ipaddress.IPv4Network | ipaddress.IPv6Network
    az_id: str
    vpc_id: str


@dataclass
class Network:
    """The known interfaces and subnets, and the regions of both. Empty without files."""

    interfaces: list[Interface] = field(default_factory=list)
    regions: set[str] = field(default_factory=set)
    _subnets: dict[tuple[int, int, int], list[Subnet]] = field(default_factory=dict)
    _sizes: set[tuple[int, int]] = field(default_factory=set)

    def add(self, subnet: Subnet) -> None:
        """Add a block. `zone` finds it by its size and its first bits."""
        block = subnet.block
        host_bits = block.max_prefixlen - block.prefixlen
        self._sizes.add((block.version, host_bits))
        self._subnets.setdefault(_place(block.network_address, host_bits), []).append(subnet)

    def zone(self, vpc_id: str | None, text: str) -> str | None:
        """Return the zone of an address as seen from a VPC: by its own subnets, else by any. None if it is unclear.

        A public IPv4 address is looked up only in the VPC's own subnets, because others may use it without owning it.
        """
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            return None
        places = (_place(address, host_bits) for version, host_bits in self._sizes if version == address.version)
        holding = [subnet for place in places for subnet in self._subnets.get(place, ())]
        zones = {subnet.az_id for subnet in holding if subnet.vpc_id == vpc_id}
        if not zones and (address.version == 6 or not address.is_global):
            zones = {subnet.az_id for subnet in holding}
        return zones.pop() if len(zones) == 1 else None

    @property
    def has_subnets(self) -> bool:
        """Return whether any subnet is known."""
        return bool(self._subnets)


def read_network(paths: Sequence[Path]) -> Network:
    """Read the JSON output of the two commands, any number of files of each.

    Raises
    ------
    BadInputError
        A file is no JSON, has neither `NetworkInterfaces` nor `Subnets`, or has an entry without an id or a zone.
    """
    network = Network()
    for path in paths:
        document = _document(path)
        try:
            network.interfaces += [_interface(entry) for entry in document.get("NetworkInterfaces", [])]
            for entry in document.get("Subnets", []):
                for block in _blocks(entry):
                    network.add(Subnet(block, entry["AvailabilityZoneId"], entry.get("VpcId", "")))
            listed = document.get("NetworkInterfaces", []) + document.get("Subnets", [])
            network.regions |= {_region(entry["AvailabilityZone"]) for entry in listed if entry.get("AvailabilityZone")}
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


def _place(address: ipaddress.IPv4Address | ipaddress.IPv6Address, host_bits: int) -> tuple[int, int, int]:
    return address.version, host_bits, int(address) >> host_bits


def _blocks(subnet: dict[str, Any]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the IPv4 block, which an IPv6-only subnet lacks, and the IPv6 blocks that are associated."""
    associated = [
        each["Ipv6CidrBlock"]
        for each in subnet.get("Ipv6CidrBlockAssociationSet", [])
        if each.get("Ipv6CidrBlockState", {}).get("State", "associated") == "associated"
    ]
    blocks = [subnet["CidrBlock"], *associated] if "CidrBlock" in subnet or not associated else associated
    return [ipaddress.ip_network(block) for block in blocks]


def _region(zone: str) -> str:
    """Return the region of a zone's name: us-east-1a, or us-west-2-lax-1a of a local zone."""
    found = re.match(r"[a-z]{2}(?:-[a-z]+)+?-\d", zone)
    return found[0] if found else ""


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
    """Return the id of an instance, and the ARN of a gateway or load balancer, as the bill has them."""
    region, owner = entry.get("AvailabilityZone", "")[:-1], entry.get("OwnerId", "")
    gateway, balancer = _NAT.search(description), _BALANCER.match(description)
    if is_nat and gateway and region and owner:
        return f"arn:aws:ec2:{region}:{owner}:natgateway/{gateway[0]}"
    if balancer and region and owner:
        return f"arn:aws:elasticloadbalancing:{region}:{owner}:loadbalancer/{balancer[1]}"
    return str(entry.get("Attachment", {}).get("InstanceId", ""))
