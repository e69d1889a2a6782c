"""The regions of the demo bill, their usage-type prefixes and list prices."""

from __future__ import annotations

from dataclasses import dataclass

# List prices in USD per GB. Internet tiers, zones, regions and NAT of us-east-1 as two guides of 2026 quote them
# (https://wring.co/blog/aws-data-transfer-pricing-guide, https://leanopstech.com/blog/aws-data-transfer-pricing-2026/,
# read 2026-11-24). The other regions' prices and CloudFront's tiers are from memory of AWS's price pages
# (https://aws.amazon.com/ec2/pricing/on-demand/, .../vpc/pricing/, .../cloudfront/pricing/) and not checked there.
# The first tier is the monthly free one; it is shared by all regions of an account.
TIER_BOUNDS_GB: dict[str, tuple[float, ...]] = {
    "internet": (100.0, 10_340.0, 51_300.0, 153_700.0),
    "cloudfront": (1_024.0, 11_264.0, 52_224.0, 154_624.0),
}
STANDARD_INTERNET = (0.0, 0.09, 0.085, 0.07, 0.05)
DEARER_INTERNET = {
    "ap-northeast-2": (0.0, 0.126, 0.122, 0.117, 0.108),
    "ap-south-1": (0.0, 0.1093, 0.085, 0.082, 0.08),
    "ap-southeast-1": (0.0, 0.12, 0.085, 0.082, 0.08),
    "sa-east-1": (0.0, 0.15, 0.138, 0.126, 0.114),
}
CLOUDFRONT = (0.0, 0.085, 0.08, 0.06, 0.04)
NAT_GATEWAY = {"us-east-1": 0.045, "us-west-2": 0.045, "eu-west-1": 0.048}
INTER_AZ, INTER_REGION = 0.01, 0.02

TIER_NAMES = {
    "internet": (
        "data transfer out under the monthly global free tier",
        "first 10 TB / month data transfer out beyond the global free tier",
        "next 40 TB / month data transfer out",
        "next 100 TB / month data transfer out",
        "greater than 150 TB / month data transfer out",
    ),
    "cloudfront": (
        "data transfer out under the global monthly free tier",
        "first 10 TB / month data transfer out",
        "next 40 TB / month data transfer out",
        "next 100 TB / month data transfer out",
        "next 350 TB / month data transfer out",
    ),
}


@dataclass(frozen=True)
class Region:
    """One AWS region in a bill. `prefix` is the prefix of usage types, "" for us-east-1."""

    name: str
    prefix: str
    location: str
    utc_offset_hours: int = 0

    @property
    def code(self) -> str:
        """The code in usage types between two regions. There, us-east-1 has a code, too."""
        return self.prefix or "USE1"

    def typed(self, usage_type: str) -> str:
        """Add the region's prefix to a usage type."""
        return f"{self.prefix}-{usage_type}" if self.prefix else usage_type

    @property
    def internet_rates(self) -> tuple[float, ...]:
        """USD per GB by tier."""
        return DEARER_INTERNET.get(self.name, STANDARD_INTERNET)


REGIONS = {
    region.name: region
    for region in (
        Region("us-east-1", "", "US East (N. Virginia)", -5),
        Region("us-east-2", "USE2", "US East (Ohio)", -5),
        Region("us-west-1", "USW1", "US West (N. California)", -8),
        Region("us-west-2", "USW2", "US West (Oregon)", -8),
        Region("eu-west-1", "EU", "EU (Ireland)", 0),
        Region("eu-west-2", "EUW2", "EU (London)", 0),
        Region("eu-west-3", "EUW3", "EU (Paris)", 1),
        Region("eu-central-1", "EUC1", "EU (Frankfurt)", 1),
        Region("eu-north-1", "EUN1", "EU (Stockholm)", 1),
        Region("eu-south-1", "EUS1", "EU (Milan)", 1),
        Region("ca-central-1", "CAN1", "Canada (Central)", -5),
        Region("sa-east-1", "SAE1", "South America (Sao Paulo)", -3),
        Region("ap-northeast-1", "APN1", "Asia Pacific (Tokyo)", 9),
        Region("ap-northeast-2", "APN2", "Asia Pacific (Seoul)", 9),
        Region("ap-northeast-3", "APN3", "Asia Pacific (Osaka)", 9),
        Region("ap-southeast-1", "APS1", "Asia Pacific (Singapore)", 8),
        Region("ap-southeast-2", "APS2", "Asia Pacific (Sydney)", 10),
        Region("ap-south-1", "APS3", "Asia Pacific (Mumbai)", 5),
        Region("ap-east-1", "APE1", "Asia Pacific (Hong Kong)", 8),
        Region("af-south-1", "AFS1", "Africa (Cape Town)", 2),
        Region("me-south-1", "MES1", "Middle East (Bahrain)", 3),
    )
}
