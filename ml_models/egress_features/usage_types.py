"""The class, metered region, direction and charge of each usage type.

A usage type is `[prefix-]Type`. The prefix is the metered region; without one it is us-east-1. `RULES` is the one
table: `classify` reads it, and `usage_types_sql` renders it for engines where no Python runs.

The charge is a property of the line, not of its class:

- traffic: the line counts bytes that no other line counts
- fee: it charges for bytes that another line counts as well, such as a NAT gateway's processing
- free: AWS never charges for it, such as inbound internet traffic or traffic within a zone
- other: the line is no data transfer, such as bytes of logs that CloudWatch ingests

A line that costs money, looks like data transfer and matches no rule is `unclassified_transfer`, never a guess. So is a
line that costs money although its rule is free.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import Literal, NamedTuple

Charge = Literal["traffic", "fee", "free", "other"]
Direction = Literal["in", "out", "both", "unknown"]

UNCLASSIFIED = "unclassified_transfer"
# Charged lines of these classes are the series. Others, such as same_az, are free by nature.
EGRESS_CLASSES = (
    "internet",
    "inter_region",
    "inter_az",
    "cloudfront",
    "cloudfront_origin",
    "direct_connect",
    "vpn",
    "nat_gateway",
    "transit_gateway",
    "vpc_endpoint",
    "vpc_lattice",
    "classic_load_balancer",
    "global_accelerator",
    "s3_acceleration",
    "s3_replication_time_control",
    "s3_mrap",
    UNCLASSIFIED,
)


class UsageType(NamedTuple):
    """The meaning of a usage type.

    `region` is the metered region, `edge:US` and the like for the price regions of CloudFront, Global Accelerator and
    Multi-Region Access Points, and `unknown:XYZ1` for a prefix that is not in `region_prefixes.json`.
    """

    region: str
    egress_class: str
    direction: Direction
    charge: Charge

    @property
    def is_processing_fee(self) -> bool:
        """Whether the line charges for bytes that another line counts."""
        return self.charge == "fee"


class Rule(NamedTuple):
    """A row of the table.

    Attributes
    ----------
    pattern : str
        Searched for in the usage type without its region prefix. Engines use it too, and not all of them support
        look-around.
    egress_class : str
        Empty if the charge is other.
    direction, charge
        As in `UsageType`.
    source : str
        The AWS document that names the usage type.
    services : tuple of str
        Product codes that the rule is for. Empty for all.
    is_vpn : bool
        Whether the rule is only for operations of VPN connections.
    is_edge : bool
        Whether the prefix is a price region and no AWS region.
    """

    pattern: str
    egress_class: str
    direction: Direction
    charge: Charge
    source: str
    services: tuple[str, ...] = ()
    is_vpn: bool = False
    is_edge: bool = False


_CUR = "https://docs.aws.amazon.com/cur/latest/userguide/cur-data-transfers-charges.html"
_S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/aws-usage-report-understand.html"
_VPC = "https://docs.aws.amazon.com/vpc/latest/userguide/vpc-billing-usage-reports.html"
_CLOUDFRONT = "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/billing-and-usage-interpreting.html"
_PEERING = "https://aws.amazon.com/blogs/networking-and-content-delivery/demystifying-amazon-vpc-peering-charges"
_EC2 = "https://aws.amazon.com/ec2/pricing/on-demand/"
_NAT = "https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-pricing.html"
_LIGHTSAIL = "https://aws.amazon.com/lightsail/pricing/"
_ACCELERATOR = "https://aws.amazon.com/global-accelerator/pricing/"
_VPN = "https://aws.amazon.com/vpn/pricing/"
_ELB = "https://aws.amazon.com/elasticloadbalancing/pricing/"
_LOGS = "https://aws.amazon.com/cloudwatch/pricing/"
_CDN, _GLOBAL = ("AmazonCloudFront",), ("AWSGlobalAccelerator",)


def _rules(
    pattern: str,
    egress_class: str,
    charges: tuple[Charge, Charge],
    source: str,
    *,
    names: tuple[str, str] = ("In", "Out"),
    services: tuple[str, ...] = (),
    is_edge: bool = False,
) -> tuple[Rule, Rule]:
    """Return the rules of a pair of usage types, inbound and outbound; `{way}` in the pattern is the direction."""
    inbound, outbound = (pattern.replace("{way}", name) for name in names)
    return (
        Rule(inbound, egress_class, "in", charges[0], source, services, is_edge=is_edge),
        Rule(outbound, egress_class, "out", charges[1], source, services, is_edge=is_edge),
    )


# The first match wins.
RULES: tuple[Rule, ...] = (
    Rule("", "", "unknown", "other", "https://aws.amazon.com/quicksight/pricing/", ("AmazonQuickSight",)),
    # Before all others: the same names under these products are theirs.
    *_rules("(^|-){way}-O?Bytes", "cloudfront", ("free", "traffic"), _CLOUDFRONT, services=_CDN, is_edge=True),
    *_rules(
        "(^|-){way}-Bytes-(Internet|AWS)", "global_accelerator", ("fee", "fee"), _ACCELERATOR,
        names=("IN", "OUT"), services=_GLOBAL, is_edge=True,
    ),
    *_rules("^[A-Z]{2}-+MRAP-{way}-Bytes$", "s3_mrap", ("fee", "fee"), _S3, is_edge=True),
    *_rules("^MRAP-{way}-Bytes$", "s3_mrap", ("fee", "fee"), _S3),
    Rule("^DataTransfer-Out-Bytes$", "vpn", "out", "traffic", _VPN, is_vpn=True),
    Rule("(^|-)AWS-Out-Bytes$", "vpn", "out", "traffic", _VPN, is_vpn=True),
    # S3: what stays in the region is free, acceleration is charged in both directions, replication time outbound.
    *_rules("(^|-)S3RTC-{way}-Bytes$", "s3_replication_time_control", ("free", "fee"), _S3),
    *_rules("(^|-){way}-ABytes(-T[0-9])?$", "s3_acceleration", ("fee", "fee"), _CUR),
    *_rules("^(C3|S3G-)DataTransfer-{way}-Bytes$", "same_region", ("free", "free"), _S3),
    *_rules("(^|-)AWS-{way}-Bytes$", "inter_region", ("free", "traffic"), _CUR),
    # Lightsail counts all bytes, at $0, and charges those above the bundle a second time.
    *_rules("^TotalDataXfer-{way}-Bytes$", "internet", ("free", "traffic"), _LIGHTSAIL),
    *_rules("^DataXfer-{way}-Overage-Bytes$", "internet", ("fee", "fee"), _LIGHTSAIL),
    *_rules("^DataXfer-{way}-Free-Bytes$", "internet", ("free", "free"), _LIGHTSAIL),
    # With and without the location (EqDC2), the version of the interface (dc.3), and "Bytes".
    *_rules(r"(^|-)DataXfer-{way}(-Bytes)?(:dc\.[0-9]*)?$", "direct_connect", ("free", "traffic"), _CUR),
    *_rules("^CloudFront(China)?-{way}-O?Bytes$", "cloudfront_origin", ("free", "traffic"), _S3),
    *_rules("^DataTransfer-{way}-Bytes$", "internet", ("free", "traffic"), _CUR),
    Rule("^DataTransfer-Regional-Bytes$", "inter_az", "both", "traffic", _CUR),
    *_rules("^DataTransfer-xAZ-{way}-Bytes$", "inter_az", ("traffic", "traffic"), _EC2),
    *_rules("^DataTransfer-AZ-{way}-Bytes$", "same_az", ("free", "free"), _EC2),
    # Both sides pay for what crosses zones, and no other line counts these bytes. Within a zone nothing is metered.
    *_rules("^V(pc|PC)Peering-{way}-(.+-)?Bytes$", "inter_az", ("traffic", "traffic"), _PEERING),
    Rule("^(Regional)?NatGateway-(.+-)?Bytes$", "nat_gateway", "both", "fee", _NAT),
    Rule("^(TransitGateway|TGW)-(.+-)?Bytes$", "transit_gateway", "both", "fee", _VPC),
    Rule("^VpcEndpoint-(.+-)?Bytes$", "vpc_endpoint", "both", "fee", _VPC),
    Rule("^V(pc|PC)Lattice-(.+-)?Bytes$", "vpc_lattice", "both", "fee", _VPC),
    Rule("^VpcResource-(Provider|Consumer)-Bytes$", "vpc_lattice", "both", "fee", _VPC),
    Rule("^DataProcessing-Bytes$", "classic_load_balancer", "both", "fee", _ELB, ("AWSELB",)),
    # Bytes that services ingest, scan, store or decrypt: charged, and no transfer.
    Rule("^S3DSSE-(In|Out)-Bytes$|^Select-(Returned|Scanned)-|Retrieval|^(BytesDeleted|OverwriteBytes)-", "", "unknown",
         "other", _S3, ("AmazonS3", "AmazonGlacier", "AmazonS3GlacierDeepArchive")),
    Rule("Bytes", "", "unknown", "other", _LOGS, ("AmazonCloudWatch",)),
    Rule("Bytes$", "", "unknown", "other", "https://aws.amazon.com/guardduty/pricing/", ("AmazonGuardDuty",)),
    Rule("Bytes", "", "unknown", "other", "https://aws.amazon.com/kinesis/data-streams/pricing/",
         ("AmazonKinesis", "AmazonKinesisFirehose", "AmazonKinesisAnalytics")),
    Rule("Bytes", "", "unknown", "other", "https://aws.amazon.com/cloudtrail/pricing/", ("AWSCloudTrail",)),
    Rule("Bytes", "", "unknown", "other", "https://aws.amazon.com/macie/pricing/", ("AmazonMacie",)),
    Rule("DataAccess-Bytes", "", "unknown", "other", "https://aws.amazon.com/efs/pricing/", ("AmazonEFS",)),
    Rule("(Export|Import)DataSize-Bytes$", "", "unknown", "other", "https://aws.amazon.com/dynamodb/pricing/",
         ("AmazonDynamoDB",)),
)  # fmt: skip
LOOKS_LIKE_A_PREFIX = re.compile(r"[A-Z]{2,4}[0-9]")
LOOKS_LIKE_TRANSFER = re.compile(r"Bytes|DataXfer|DataTransfer")


def classify(usage_type: str, product_code: str, operation: str) -> UsageType | None:
    """Return the meaning of a usage type, or None if no rule classifies it as data transfer.

    Parameters
    ----------
    usage_type, product_code, operation : str
        `line_item_usage_type`, `line_item_product_code` and `line_item_operation`.
    """
    rule = rule_of(usage_type, product_code, operation)
    if rule is None or rule.charge == "other":
        return None
    prefix, _ = split_prefix(usage_type)
    region = _edge(prefix) if rule.is_edge else _region(prefix)
    return UsageType(region, rule.egress_class, rule.direction, rule.charge)


def rule_of(usage_type: str, product_code: str, operation: str) -> Rule | None:
    """Return the first rule for a kind of line, or None if there is none. Parameters as of `classify`."""
    prefix, rest = split_prefix(usage_type)
    if prefix == "QS":
        return RULES[0]
    is_vpn = "VPN" in operation.upper()
    for rule in RULES:
        is_for_it = (not rule.services or product_code in rule.services) and (is_vpn or not rule.is_vpn)
        if is_for_it and _compiled(rule.pattern).search(rest):
            return rule
    return None


def unclassified(usage_type: str) -> UsageType:
    """Return the class of a charged line that looks like data transfer and that no rule knows.

    Nothing is known of its bytes, so it counts in dollars alone, as a fee does.
    """
    return UsageType(_region(split_prefix(usage_type)[0]), UNCLASSIFIED, "unknown", "fee")


def split_prefix(usage_type: str) -> tuple[str, str]:
    """Split `EUW2-DataTransfer-Out-Bytes` into ("EUW2", "DataTransfer-Out-Bytes"); ("", all) without a prefix."""
    head, dash, rest = usage_type.partition("-")
    if dash and (head in region_prefixes() or head in EDGES or LOOKS_LIKE_A_PREFIX.fullmatch(head)):
        return head, rest
    return "", usage_type


# Price regions of CloudFront, Global Accelerator and Multi-Region Access Points (EU is a region's prefix as well):
# https://aws.amazon.com/cloudfront/pricing/, https://aws.amazon.com/global-accelerator/pricing/.
EDGES = frozenset({"US", "NA", "EU", "AP", "JP", "KR", "AU", "IN", "SA", "CA", "ZA", "ME"})


@cache
def region_prefixes() -> dict[str, str]:
    """Return region by usage type prefix, from `region_prefixes.json`, which names each entry's source."""
    text = files("egress_features").joinpath("region_prefixes.json").read_text(encoding="utf-8")
    return {prefix: entry["region"] for prefix, entry in json.loads(text).items()}


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _edge(prefix: str) -> str:
    return f"edge:{prefix}" if prefix else "edge"


def _region(prefix: str) -> str:
    if not prefix:
        return "us-east-1"
    return region_prefixes().get(prefix, f"unknown:{prefix}")
