"""Where the other side of a flow is (IPv6, regional NAT gateways, peering), and what the bill calls its bytes."""

import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest

from egress_alerts.rows import without_levels
from egress_features import BadInputError, FlowLogs, build_features, write_flow_hours
from egress_features.flow_logs.estimate import bill_names
from egress_features.usage_types import classify
from tests.support.bill import line, write_parquet
from tests.support.flow_records import ACCOUNT, FIELDS, REGION, START, received, sent, write_text

ALL_FIELDS = (*FIELDS, "resource-id", "interface-type", "next-hop-az-id", "next-hop-interface-type")
WORLD, WORLD6 = "198.51.100.7", "2001:db8:ffff::7"
OWN6, NEAR6, FAR6 = "2600:1f18:aaaa:1::5", "2600:1f18:aaaa:1::9", "2600:1f18:aaaa:2::7"
# What the bill's usage type of each kind of traffic means, where it is not the kind's own name.
BILL_CLASSES = {
    "zone_out": "inter_az",
    "zone_in": "inter_az",
    "peering_out": "inter_az",
    "peering_in": "inter_az",
    "regional_nat_gateway": "nat_gateway",
}
REGIONAL = "nat-0regional01"
REGIONAL_ARN = f"arn:aws:ec2:{REGION}:{ACCOUNT}:natgateway/{REGIONAL}"


def write_records(path: Path, records: Sequence[dict[str, Any]]) -> Path:
    return write_text(path, [dict.fromkeys(ALL_FIELDS) | record for record in records], ALL_FIELDS)


def classes(folder: Path, records: Sequence[dict[str, Any]], *network: Path) -> dict[str, str]:
    """Return the class of what each interface sends or receives."""
    path = write_records(folder / "x.log", records)
    write_flow_hours(FlowLogs([path], network), folder / "hours")
    rows = pq.read_table(folder / "hours").to_pylist()
    return {row["interface_id"]: row["destination_class"] for row in rows}


def estimate(
    folder: Path, records: Sequence[dict[str, Any]], *network: Path, bill: Sequence[Path] = ()
) -> tuple[pd.DataFrame, str]:
    """Return the estimated rows, and the notes; a little internet traffic makes the logs long enough."""
    ends = [sent(hour, 1e-9, WORLD, instance_id="i-0end", interface_id="eni-0end") for hour in (0, 239)]
    path = write_records(folder / "x.log", [*records, *ends])
    summary = build_features(bill, folder / "f.parquet", flow_logs=FlowLogs([path], network))
    rows = without_levels(pq.read_table(folder / "f.parquet")).to_pandas()
    rows = rows[rows["is_estimated"] & (rows["usage_gb"] > 1e-6)]
    return rows, " ".join(summary.notes)


def named(rows: pd.DataFrame) -> dict[Any, float]:
    """Return GB by class, resource, usage type and operation."""
    added = rows.groupby(["egress_class", "resource_id", "usage_type", "operation"])["usage_gb"].sum()
    return {key: round(float(gb), 6) for key, gb in added.items()}


def subnets(path: Path, *blocks: tuple[str, dict[str, Any]]) -> Path:
    """Write what describe-subnets would have answered, a zone and what else it has for each subnet."""
    listed = [{"SubnetId": "s", "VpcId": "vpc-1", "AvailabilityZoneId": zone} | more for zone, more in blocks]
    path.write_text(json.dumps({"Subnets": listed}))
    return path


def ipv6(block: str, state: str = "associated") -> dict[str, Any]:
    return {"Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": block, "Ipv6CidrBlockState": {"State": state}}]}


def two_zones(path: Path) -> Path:
    # The second subnet is IPv6-only.
    first = {"CidrBlock": "10.0.0.0/24"} | ipv6("2600:1f18:aaaa:1::/64")
    return subnets(path, ("euw1-az1", first), ("euw1-az2", ipv6("2600:1f18:aaaa:2::/64")))


@pytest.mark.parametrize("path", [None, 1, 4])
@pytest.mark.parametrize(("peer", "expected"), [(NEAR6, "same_az"), (FAR6, "cross_az")])
def test_ipv6_in_known_subnets_is_no_internet(tmp_path: Path, path: int | None, peer: str, expected: str) -> None:
    record = sent(0, 2, peer, own=OWN6, path=path)
    assert classes(tmp_path, [record], two_zones(tmp_path / "subnets.json")) == {"eni-0a": expected}


@pytest.mark.parametrize(
    ("path", "peer", "more", "expected"),
    [
        (8, WORLD6, {}, "internet"),
        (2, WORLD6, {}, "internet"),
        (None, WORLD6, {}, "internet"),
        # By the internet gateway to another VPC's address: whoever's it is, it left by the gateway.
        (8, FAR6, {}, "internet"),
        (1, WORLD6, {}, "private"),
        (1, WORLD6, {"next_hop_az_id": "euw1-az1"}, "same_az"),
        (1, WORLD6, {"next_hop_az_id": "euw1-az2"}, "cross_az"),
        (4, WORLD6, {}, "peering_same_region"),
        (5, WORLD6, {}, "peering_other_region"),
        (7, WORLD6, {}, "gateway_endpoint"),
        # NAT64: an IPv4 address behind a NAT gateway.
        (1, "64:ff9b::c633:6407", {}, "nat"),
        (1, WORLD, {}, "nat"),
    ],
)
def test_the_path_of_ipv6_decides_where_no_subnet_does(
    tmp_path: Path, path: int | None, peer: str, more: dict[str, Any], expected: str
) -> None:
    known = two_zones(tmp_path / "subnets.json")
    assert classes(tmp_path, [sent(0, 2, peer, own=OWN6, path=path, **more)], known) == {"eni-0a": expected}


def test_a_block_that_is_no_longer_associated_places_nothing(tmp_path: Path) -> None:
    gone = {"CidrBlock": "10.0.2.0/24"} | ipv6("2600:1f18:aaaa:2::/64", "disassociated")
    known = subnets(tmp_path / "subnets.json", ("euw1-az2", gone))
    assert classes(tmp_path, [sent(0, 2, FAR6, own=OWN6, path=None)], known) == {"eni-0a": "internet"}


def test_the_interfaces_in_the_logs_place_ipv6_of_any_account(tmp_path: Path) -> None:
    other = {
        "own": FAR6,
        "interface_id": "eni-0b",
        "instance_id": "i-0b",
        "az_id": "euw1-az2",
        "account_id": "044455556666",
    }
    records = [sent(0, 2, FAR6, own=OWN6, path=1), received(0, 2, OWN6, **other)]
    assert classes(tmp_path, records) == {"eni-0a": "cross_az", "eni-0b": "cross_az"}
    assert classes(tmp_path, [records[0] | {"az-id": "euw1-az2"}, records[1]]) == {
        "eni-0a": "same_az",
        "eni-0b": "same_az",
    }


def test_public_ipv4_of_a_vpc_is_placed_by_its_own_subnets_alone(tmp_path: Path) -> None:
    known = subnets(tmp_path / "subnets.json", ("euw1-az2", {"CidrBlock": "30.0.2.0/24"}))
    here, elsewhere = (sent(0, 2, "30.0.2.9", path=None, vpc_id=vpc_id) for vpc_id in ("vpc-1", "vpc-2"))
    assert classes(tmp_path, [here], known) == {"eni-0a": "cross_az"}
    assert classes(tmp_path, [elsewhere], known) == {"eni-0a": "internet"}
    assert classes(tmp_path, [here | {"traffic-path": 8}], known) == {"eni-0a": "internet"}


def test_ipv6_behind_nothing_is_no_nat_traffic(tmp_path: Path) -> None:
    """An instance that is seen behind a NAT gateway sends IPv6 past it."""
    gateway = {"own": "10.0.0.9", "interface_id": "eni-0n", "instance_id": None, "interface_type": "nat_gateway"}
    through = [
        sent(1, 3, WORLD, path=None),
        received(1, 3, "10.0.0.5", pkt_dstaddr=WORLD, **gateway),
        sent(1, 3, WORLD, **gateway, resource_id="nat-0abc"),
        sent(1, 7, WORLD6, own=OWN6, path=None),
    ]
    rows, _ = estimate(tmp_path, through)
    added = rows.groupby(["egress_class", "resource_id"])["usage_gb"].sum().round(6).to_dict()
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:natgateway/nat-0abc"
    assert added == {("internet", arn): 3, ("nat_gateway", arn): 3, ("internet", "i-0a"): 7}


def regional(is_out: bool, hour: float, gb: float, source: str, to: str, **more: Any) -> dict[str, Any]:
    """Return a record of the regional NAT gateway, which has neither an interface nor an address."""
    ends = sent(hour, gb, to, own=source) if is_out else received(hour, gb, source, own=to)
    return ends | {
        "interface-id": None, "instance-id": None, "resource-id": REGIONAL, "interface-type": "regional_nat_gateway",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }  # fmt: skip


def test_a_regional_nat_gateways_bytes_count_at_the_gateway(tmp_path: Path) -> None:
    records = [
        sent(1, 3, WORLD, path=1),
        regional(False, 1, 3, "10.0.0.5", WORLD, az_id="euw1-az2"),
        regional(True, 1, 3, "192.0.2.1", WORLD, pkt_srcaddr="10.0.0.5"),
        regional(False, 1, 5, WORLD, "192.0.2.1"),
        regional(True, 1, 5, WORLD, "10.0.0.5", traffic_path=1, az_id="euw1-az2"),
        received(1, 5, WORLD),
    ]
    expected = {
        ("internet", REGIONAL_ARN, "EU-DataTransfer-Out-Bytes", "RegionalNatGateway"): 3,
        ("nat_gateway", REGIONAL_ARN, "EU-RegionalNatGateway-Bytes", "RegionalNatGateway"): 8,
    }
    assert named(estimate(tmp_path, records)[0]) == expected
    # Where only one of the two directions is recorded, it is taken.
    half = [record for record in records if record["flow-direction"] == "egress"]
    assert named(estimate(tmp_path, half)[0]) == expected


def test_in_us_east_1_the_regional_gateways_usage_type_has_the_regions_prefix(tmp_path: Path) -> None:
    record = regional(True, 1, 2, "192.0.2.1", WORLD, region="us-east-1")
    names = estimate(tmp_path, [record])[0]["usage_type"].tolist()
    assert sorted(names) == ["DataTransfer-Out-Bytes", "USE1-RegionalNatGateway-Bytes"]


def test_records_of_nobody_are_named_and_not_dropped_silently(tmp_path: Path) -> None:
    nobody = [regional(True, hour, 4, "192.0.2.1", WORLD) | {"resource-id": None} for hour in range(3)]
    rows, notes = estimate(tmp_path, nobody)
    assert rows.empty
    assert "3 records (12.0 GB) have neither an interface-id nor a NAT gateway in resource-id" in notes
    with pytest.raises(BadInputError, match="add resource-id to the format"):
        classes(tmp_path, nobody)
    # Without a direction nothing shows which way a gateway's bytes go.
    undirected = regional(True, 1, 4, "192.0.2.1", WORLD) | {"flow-direction": None}
    assert "1 interfaces (4.0 GB) are left out" in estimate(tmp_path, [undirected])[1]


def test_a_regional_gateway_without_records_is_named_beside_other_gateways(tmp_path: Path) -> None:
    zonal = {"interface_id": "eni-0n", "instance_id": None, "interface_type": "nat_gateway", "own": "10.0.0.9"}
    records = [
        sent(1, 3, WORLD, path=1, next_hop_interface_type="regional_nat_gateway"),
        sent(1, 2, WORLD, **zonal),
    ]
    assert "3.0 GB went through regional NAT gateways without records" in estimate(tmp_path, records)[1]
    assert "regional" not in estimate(tmp_path, records[:1])[1]
    gateway = regional(True, 1, 3, "192.0.2.1", WORLD)
    assert "without records" not in estimate(tmp_path, [*records, gateway])[1]


OTHER = {"own": "10.9.2.7", "interface_id": "eni-0b", "instance_id": "i-0b", "vpc_id": "vpc-2", "az_id": "euw1-az2"}


def peered(hour: float, gb: float = 2) -> list[dict[str, Any]]:
    """Return the traffic over a peering connection, in the records of both ends."""
    return [sent(hour, gb, "10.9.2.7", path=4), received(hour, gb, "10.0.0.5", **OTHER)]


def test_peering_between_zones_has_the_bills_usage_types(tmp_path: Path) -> None:
    back = [sent(1, 0.5, "10.0.0.5", path=4, **OTHER), received(1, 0.5, "10.9.2.7")]
    rows, notes = estimate(tmp_path, peered(1) + back)
    # A row is named after most of its bytes.
    assert named(rows) == {
        ("inter_az", "i-0a", "EU-VpcPeering-Out-Bytes", "VPCPeering-Out"): 2.5,
        ("inter_az", "i-0b", "EU-VpcPeering-In-Bytes", "VPCPeering-In"): 2.5,
    }
    assert rows["cost_usd"].tolist() == pytest.approx([0.025, 0.025])
    assert "peering" not in notes.replace("Peering and on-premises", "")
    same_zone = [record | {"az-id": "euw1-az1"} for record in peered(1)]
    assert estimate(tmp_path, same_zone)[0].empty


def test_one_end_of_a_peering_connection_is_enough(tmp_path: Path) -> None:
    """What comes in has no path: the other end is known by what goes out to it in any hour."""
    known = subnets(tmp_path / "subnets.json", ("euw1-az2", {"VpcId": "vpc-2", "CidrBlock": "10.9.2.0/24"}))
    records = [sent(1, 0.5, "10.9.2.7", path=4), received(2, 2, "10.9.2.7")]
    rows, _ = estimate(tmp_path, records, known)
    assert named(rows) == {
        ("inter_az", "i-0a", "EU-VpcPeering-Out-Bytes", "VPCPeering-Out"): 0.5,
        ("inter_az", "i-0a", "EU-VpcPeering-In-Bytes", "VPCPeering-In"): 2,
    }


def test_a_transit_gateway_carries_bytes_between_zones_for_free(tmp_path: Path) -> None:
    """Of the paths to another VPC, only peering has a separate value in traffic-path. Both directions count alike."""
    records = [sent(1, 2, "10.9.2.7", path=1), sent(1, 1, "10.0.0.5", path=1, **OTHER)]
    records += [received(1, 1, "10.9.2.7"), received(1, 2, "10.0.0.5", **OTHER)]
    rows, notes = estimate(tmp_path, records)
    assert rows.empty
    assert "3.0 GB went through a transit gateway to another VPC. They are not priced" in notes
    # A VPC that is shared has one id; a path that is not known decides nothing.
    shared = [record | {"vpc-id": "vpc-1"} for record in records]
    assert set(estimate(tmp_path, shared)[0]["egress_class"]) == {"inter_az"}
    unknown = [record | {"traffic-path": None} for record in records]
    assert set(estimate(tmp_path, unknown)[0]["egress_class"]) == {"inter_az"}


def test_traffic_between_zones_of_a_vpc_has_its_own_names(tmp_path: Path) -> None:
    inside = OTHER | {"own": "10.0.1.6", "vpc_id": "vpc-1"}
    rows, _ = estimate(tmp_path, [sent(1, 2, "10.0.1.6", path=1), received(1, 2, "10.0.0.5", **inside)])
    assert named(rows) == {
        ("inter_az", "i-0a", "EU-DataTransfer-Regional-Bytes", "InterZone-Out"): 2,
        ("inter_az", "i-0b", "EU-DataTransfer-Regional-Bytes", "InterZone-In"): 2,
    }


def bill_of(path: Path, *kinds: tuple[str, str, str, float], hours: int = 216) -> Path:
    """Write a bill of (usage type, operation, resource, GB an hour)."""
    return write_parquet(
        path,
        [
            line(hour, gb, None, usage_type=kind, operation=operation, resource_id=resource, product_code="AmazonEC2")
            for hour in range(hours)
            for kind, operation, resource, gb in kinds
        ],
    )


INTERNET = ("EU-DataTransfer-Out-Bytes", "RunInstances", "i-0a", 1.0)
PEERING = (
    ("EU-VpcPeering-Out-Bytes", "VPCPeering-Out", "i-0a", 2.0),
    ("EU-DataTransfer-Regional-Bytes", "InterZone-Out", "i-0a", 0.1),
)


def test_where_zones_are_unknown_the_bill_decides_on_peering(tmp_path: Path) -> None:
    far = [sent(hour, 2, "10.9.2.7", path=4) for hour in range(150, 240)]
    (tmp_path / "with").mkdir()
    with_peering = bill_of(tmp_path / "with" / "bill.parquet", INTERNET, *PEERING)
    rows, notes = estimate(tmp_path, far, bill=[with_peering])
    peering = rows[rows["egress_class"] == "inter_az"]
    assert set(peering["usage_type"]) == {"EU-VpcPeering-Out-Bytes"}
    assert set(peering["resource_id"]) == {"i-0a"}
    assert len(peering) == 240 - (216 - 24)
    assert "180.0 GB crossed a peering connection within the region to unknown zones. All of it is estimated" in notes
    rows, notes = estimate(tmp_path, far, bill=[bill_of(tmp_path / "bill.parquet", INTERNET)])
    assert rows.empty
    assert "180.0 GB crossed a peering connection within the region to unknown zones. They are not priced" in notes


@pytest.mark.parametrize(("first_hour", "is_estimated"), [(100, False), (180, True)])
def test_a_series_that_the_bill_would_have_named_is_not_estimated(
    tmp_path: Path, first_hour: int, is_estimated: bool
) -> None:
    """A day in which bill and flow logs both know everything is enough to trust the bill; twelve hours are not."""
    records = [record for hour in range(first_hour, 240) for record in peered(hour)]
    records += [sent(hour, 1, WORLD) for hour in range(100, 240)]
    rows, notes = estimate(tmp_path, records, bill=[bill_of(tmp_path / "bill.parquet", INTERNET)])
    assert set(rows["egress_class"]) == ({"internet", "inter_az"} if is_estimated else {"internet"})
    complete = START + timedelta(hours=216 - 24)
    left_out = "2 series (inter_az of i-0a, ...) are not estimated. Flow logs show 368.0 GB of them before"
    assert (f"{left_out} {complete:%Y-%m-%d}" in notes) != is_estimated


def test_logs_without_billed_traffic_leave_the_bill_as_it_is(tmp_path: Path) -> None:
    free = [sent(hour, 2, "10.0.0.7", path=1, next_hop_az_id="euw1-az1") for hour in range(150, 240)]
    path = write_records(tmp_path / "x.log", free)
    bill = bill_of(tmp_path / "bill.parquet", INTERNET)
    summary = build_features([bill], tmp_path / "f.parquet", flow_logs=FlowLogs([path]))
    assert not any(pq.read_table(tmp_path / "f.parquet")["is_estimated"].to_pylist())
    assert summary.notes[-1].startswith("Nothing is estimated: the flow logs have no traffic that is billed")
    with pytest.raises(BadInputError, match="no traffic that is billed"):
        build_features([], tmp_path / "g.parquet", flow_logs=FlowLogs([path]))


def test_the_estimate_has_the_class_and_the_region_of_the_bill() -> None:
    for region, meter, usage_type in bill_names():
        if region not in ("unknown", "global"):
            found = classify(usage_type, "AmazonEC2", "RunInstances")
            assert found is not None, usage_type
            assert (found.egress_class, found.region) == (BILL_CLASSES.get(meter, meter), region), usage_type
