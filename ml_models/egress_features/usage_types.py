"""Reads AWS usage types: the metered region, the egress class, whether the line is egress at all.

A usage type is `[prefix-]Type`; the prefix is the metered region, none is us-east-1. The names are those of real
bills and of https://docs.aws.amazon.com/cur/latest/userguide/cur-data-transfers-charges.html; the order of the rules
follows the CUDOS dashboard's.
"""

from __future__ import annotations

import json
import re
from functools import cache
from importlib.resources import files
from typing import NamedTuple

EGRESS_CLASSES = (
    "internet",
    "inter_region",
    "inter_az",
    "cloudfront",
    "cloudfront_origin",
    "direct_connect",
    "vpn",
    "other_egress",
)
PROCESSING_FEE_CLASSES = (
    "nat_gateway",
    "transit_gateway",
    "vpc_endpoint",
    "vpc_peering",
    "s3_acceleration",
    "s3_replication_time_control",
)


class UsageType(NamedTuple):
    """What a usage type says.

    `region` is the metered region, `edge:US` and the like for CloudFront's price regions, and `unknown:XYZ1` for a
    prefix that is not in `region_prefixes.json`. A processing fee is charged for bytes that another line counts.
    """

    region: str
    egress_class: str
    is_processing_fee: bool


# First match wins; None is no egress. Bytes that come in are free and match nothing. Engines search by these patterns
# too (`usage_types_sql`): no look-around, which not all of them have.
RULES: tuple[tuple[re.Pattern[str], str | None], ...] = (
    (re.compile(r"S3RTC-Out-Bytes$"), "s3_replication_time_control"),
    (re.compile(r"-Out-ABytes"), "s3_acceleration"),
    (re.compile(r"(^|-)AWS-Out-Bytes$"), "inter_region"),
    (re.compile(r"^DataXfer-Out:dc\."), "direct_connect"),
    (re.compile(r"^CloudFront-Out-Bytes$"), "cloudfront_origin"),
    (re.compile(r"^DataTransfer-Out-Bytes$"), "internet"),
    (re.compile(r"^DataTransfer-(Regional|xAZ-In|xAZ-Out)-Bytes$"), "inter_az"),
    (re.compile(r"^TransitGateway-(.+-)?Bytes$"), "transit_gateway"),
    (re.compile(r"^NatGateway-(.+-)?Bytes$"), "nat_gateway"),
    (re.compile(r"^VpcEndpoint-(.+-)?Bytes$"), "vpc_endpoint"),
    (re.compile(r"^VpcPeering-In-(.+-)?Bytes$"), None),
    (re.compile(r"^VpcPeering-(.+-)?Bytes$"), "vpc_peering"),
    (re.compile(r"(^|-)(Out|OUT)-O?Bytes"), "other_egress"),
)
LOOKS_LIKE_A_PREFIX = re.compile(r"[A-Z]{2,4}[0-9]")


def classify(usage_type: str, product_code: str, operation: str) -> UsageType | None:
    """Say what a line's usage type means, or None where the line is no billed egress.

    Parameters
    ----------
    usage_type, product_code, operation : str
        `line_item_usage_type`, `line_item_product_code` and `line_item_operation`.
    """
    prefix, rest = split_prefix(usage_type)
    if prefix == "QS" or product_code == "AmazonQuickSight":
        return None
    egress_class = next((name for rule, name in RULES if rule.search(rest)), None)
    if egress_class is None:
        return None
    if product_code == "AmazonCloudFront":
        return UsageType(f"edge:{prefix}" if prefix else "edge", "cloudfront", False)
    if egress_class == "internet" and "VPN" in operation.upper():
        egress_class = "vpn"
    return UsageType(_region(prefix), egress_class, egress_class in PROCESSING_FEE_CLASSES)


def split_prefix(usage_type: str) -> tuple[str, str]:
    """Split `EUW2-DataTransfer-Out-Bytes` into ("EUW2", "DataTransfer-Out-Bytes"); ("", all) without a prefix."""
    head, dash, rest = usage_type.partition("-")
    if dash and (head in region_prefixes() or head in EDGES or LOOKS_LIKE_A_PREFIX.fullmatch(head)):
        return head, rest
    return "", usage_type


# CloudFront's price regions, https://aws.amazon.com/cloudfront/pricing/ (EU is an ordinary region's prefix as well).
EDGES = frozenset({"US", "EU", "AP", "JP", "AU", "IN", "SA", "CA", "ZA", "ME"})


@cache
def region_prefixes() -> dict[str, str]:
    """Return region by usage type prefix, from `region_prefixes.json`, which names each entry's source."""
    text = files("egress_features").joinpath("region_prefixes.json").read_text(encoding="utf-8")
    return {prefix: entry["region"] for prefix, entry in json.loads(text).items()}


def _region(prefix: str) -> str:
    if not prefix:
        return "us-east-1"
    return region_prefixes().get(prefix, f"unknown:{prefix}")
