"""The five accounts of the demo and their workloads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egress_sentinel.demo.places import (
    CLOUDFRONT,
    INTER_AZ,
    INTER_REGION,
    NAT_GATEWAY,
    REGIONS,
)
from egress_sentinel.demo.traffic import Stream

if TYPE_CHECKING:
    import numpy as np

# Account ids as AWS's own documentation makes them up; none of them is a customer's.
ACCOUNT_IDS = (
    "111122223333", "444455556666", "777788889999", "123456789012", "222233334444",
    "555566667777", "888899990000", "333344445555", "666677778888", "999900001111",
)  # fmt: skip
ACCOUNT_NAMES = ("prod-media", "data-platform", "web-shop", "dev", "security-sandbox")
FREE = (0.0,)


@dataclass(frozen=True)
class Place:
    """An account in a region; makes the streams of resources there."""

    account_id: str
    region_name: str
    rng: np.random.Generator

    def instance(self) -> str:
        """Return a new EC2 instance id."""
        return f"i-0{self.rng.bytes(8).hex()}"

    def nat_gateway(self) -> str:
        """Return the ARN of a new NAT gateway."""
        return f"arn:aws:ec2:{self.region_name}:{self.account_id}:natgateway/nat-0{self.rng.bytes(8).hex()}"

    def load_balancer(self, name: str) -> str:
        """Return the ARN of a new application load balancer."""
        home = f"arn:aws:elasticloadbalancing:{self.region_name}:{self.account_id}"
        return f"{home}:loadbalancer/app/{name}/{self.rng.bytes(8).hex()}"

    def bucket(self, name: str) -> str:
        """Return the name of a new bucket."""
        return f"{name}-{self.rng.bytes(4).hex()}"

    def stream(self, service: str, usage_type: str, operation: str, resource_id: str, **more: Any) -> Stream:
        """Make one stream of any kind; the usage type gets the region's prefix."""
        typed = REGIONS[self.region_name].typed(usage_type)
        return Stream(self.account_id, self.region_name, service, typed, operation, resource_id, **more)

    def vary(self, amount: float) -> float:
        """Return the amount up to 15% more or less, so that seeds differ in size."""
        return float(amount * self.rng.uniform(0.85, 1.15))

    def internet(self, service: str, operation: str, resource: str, gb: float, **more: Any) -> list[Stream]:
        """Make the priced line out to the internet and the free line in."""
        region = REGIONS[self.region_name]
        out = self.stream(
            service, "DataTransfer-Out-Bytes", operation, resource, base=self.vary(gb), rates=region.internet_rates,
            tariff="internet", transfer_type="AWS Outbound", from_location=region.location, to_location="External",
            egress_class="internet", **more,
        )  # fmt: skip
        more = {name: value for name, value in more.items() if name != "role"}
        back = self.stream(
            service, "DataTransfer-In-Bytes", operation, resource, base=self.vary(gb * 0.08), rates=FREE,
            transfer_type="AWS Inbound", from_location="External", to_location=region.location,
            description="data transfer in", **more,
        )  # fmt: skip
        return [out, back]

    def inter_az(self, resource: str, gb: float, *, operations: str = "InterZone", **more: Any) -> list[Stream]:
        """Make the two lines, in and out, that traffic between zones has."""
        here = REGIONS[self.region_name].location
        return [
            self.stream(
                "AmazonEC2", "DataTransfer-Regional-Bytes", f"{operations}-{way}", resource, base=self.vary(gb),
                rates=(INTER_AZ,), transfer_type="IntraRegion", from_location=here, to_location=here,
                description="regional data transfer - in/out/between EC2 AZs or using elastic IPs or ELB",
                egress_class="inter_az", **more,
            )
            for way in ("In", "Out")
        ]  # fmt: skip

    def inter_region(self, to: str, operation: str, resource: str, gb: float, way: str = "Out", **more: Any) -> Stream:
        """Make a line between two regions: `Out` is billed, `In` is free."""
        here, there = REGIONS[self.region_name], REGIONS[to]
        service = more.pop("service", "AmazonS3")
        words = "to" if way == "Out" else "from"
        return Stream(
            self.account_id, here.name, service, f"{here.code}-{there.code}-AWS-{way}-Bytes", operation, resource,
            base=self.vary(gb), rates=(INTER_REGION,) if way == "Out" else FREE,
            transfer_type=f"InterRegion {way}bound", from_location=here.location, to_location=there.location,
            description=f"{here.location} data transfer {words} {there.location}",
            egress_class="inter_region" if way == "Out" else "", **more,
        )  # fmt: skip

    def nat(self, gateway: str, gb: float, **more: Any) -> list[Stream]:
        """Make a NAT gateway's bytes and hours."""
        rate = (NAT_GATEWAY[self.region_name],)
        common: dict[str, Any] = {"family": "NAT Gateway", "servicecode": "AmazonEC2", "rates": rate}
        return [
            self.stream(
                "AmazonEC2", "NatGateway-Bytes", "NatGateway", gateway, base=self.vary(gb),
                description="Data Processed by NAT Gateways", egress_class="nat_gateway", **common, **more,
            ),
            self.stream(
                "AmazonEC2", "NatGateway-Hours", "NatGateway", gateway, base=1.0, unit="Hrs", shape="constant",
                description="NAT Gateway Hour", **common,
            ),
        ]  # fmt: skip

    def cloudfront(self, distribution: str, edge: str, where: str, gb: float, **more: Any) -> list[Stream]:
        """Make a distribution's egress and requests at one edge (usage-type prefix US, EU, ...)."""
        common: dict[str, Any] = {"service": "AmazonCloudFront", "operation": "GET", "resource_id": distribution}
        common |= {"account_id": self.account_id, "region": "", "servicecode": "AmazonCloudFront", **more}
        out = Stream(
            usage_type=f"{edge}-DataTransfer-Out-Bytes", base=self.vary(gb), rates=CLOUDFRONT, tariff="cloudfront",
            transfer_type="CloudFront Outbound", from_location=where, to_location="External",
            egress_class="cloudfront", **common,
        )  # fmt: skip
        requests = Stream(
            usage_type=f"{edge}-Requests-Tier1", base=self.vary(gb * 900), rates=(7.5e-7,), unit="Requests",
            family="Request", description="HTTP Requests", **common,
        )  # fmt: skip
        return [out, requests]

    def box(self, resource: str, instance_type: str, rate: float) -> Stream:
        """Make the line of a running instance."""
        return self.stream(
            "AmazonEC2", f"BoxUsage:{instance_type}", "RunInstances", resource, base=1.0, rates=(rate,), unit="Hrs",
            shape="constant", family="Compute Instance", servicecode="AmazonEC2",
            description=f"On Demand Linux {instance_type} Instance Hour",
        )  # fmt: skip

    def bucket_upkeep(self, bucket: str) -> list[Stream]:
        """Make a bucket's requests and storage, and its tiny transfer lines of API calls."""
        s3: dict[str, Any] = {"servicecode": "AmazonS3"}
        lines = [
            self.stream("AmazonS3", "Requests-Tier1", "PutObject", bucket, base=self.vary(900), rates=(5e-6,),
                        unit="Requests", family="API Request", description="PUT, COPY, POST, or LIST requests", **s3),
            self.stream("AmazonS3", "Requests-Tier2", "GetObject", bucket, base=self.vary(9000), rates=(4e-7,),
                        unit="Requests", family="API Request", description="GET and all other requests", **s3),
            self.stream("AmazonS3", "TimedStorage-ByteHrs", "StandardStorage", bucket, base=self.vary(4.0),
                        rates=(0.023,), unit="GB-Mo", family="Storage", sigma=0.01, description="storage used", **s3),
        ]  # fmt: skip
        for operation, presence in (("ListBucket", 0.3), ("HeadObject", 0.15), ("HeadBucket", 0.05)):
            lines += self.internet("AmazonS3", operation, bucket, 2e-6, presence=presence, sigma=1.0)
        return lines

    def server(self, instance_type: str, rate: float, gb: float, shape: str, **more: Any) -> list[Stream]:
        """Make an instance: its box, internet lines and the tiny lines of its public address."""
        resource = more.pop("resource", None) or self.instance()
        return [
            self.box(resource, instance_type, rate),
            *self.internet("AmazonEC2", "RunInstances", resource, gb, shape=shape, **more),
            *self.inter_az(resource, 2e-5, operations="PublicIP", presence=0.5, sigma=1.2),
        ]
