"""Usage types from real bills."""

import csv
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress_features.usage_types import EGRESS_CLASSES, RULES, UNCLASSIFIED, UsageType, classify, region_prefixes
from tests.support.sample_data import sample

# The list has descriptions for fees and for usage that is no egress.
NO_EGRESS = "(no egress)"
NAMES = {"processing fee (classic ELB)": "classic_load_balancer"}


def test_the_usage_types_of_public_bills_and_documents() -> None:
    with (sample("cases") / "bills" / "usage_types.tsv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    assert len(rows) > 200
    wrong = []
    for row in rows:
        found = classify(row["usage_type"], row["product"], row["operation"])
        charged = found if found is not None and found.charge != "free" else None
        name = row["expected_class"].removesuffix(" (fee)")
        expected = (NAMES.get(name, name), row["expected_fee"] == "True", row["expected_region"])
        shown = (charged.egress_class, charged.is_processing_fee, charged.region) if charged else NO_EGRESS
        if shown != (NO_EGRESS if name == NO_EGRESS else expected):
            wrong.append((row["usage_type"], row["product"], row["operation"], expected, shown))
    assert wrong == []


@pytest.mark.parametrize(
    ("usage_type", "product", "operation", "expected"),
    [
        ("DataTransfer-Out-Bytes", "AmazonS3", "GetObject", UsageType("us-east-1", "internet", "out", "traffic")),
        ("EU-DataTransfer-In-Bytes", "AmazonS3", "PutObject", UsageType("eu-west-1", "internet", "in", "free")),
        ("EU-DataTransfer-Out-Bytes", "AmazonCloudFront", "GET", UsageType("edge:EU", "cloudfront", "out", "traffic")),
        ("DataTransfer-Out-Bytes", "AmazonCloudFront", "GET", UsageType("edge", "cloudfront", "out", "traffic")),
        ("EUW2-DataTransfer-Regional-Bytes", "AmazonEC2", "", UsageType("eu-west-2", "inter_az", "both", "traffic")),
        ("DataTransfer-xAZ-In-Bytes", "AmazonEC2", "", UsageType("us-east-1", "inter_az", "in", "traffic")),
        ("DataTransfer-AZ-Out-Bytes", "AmazonEC2", "", UsageType("us-east-1", "same_az", "out", "free")),
        ("USE2-VpcPeering-In-Bytes", "AmazonEC2", "", UsageType("us-east-2", "inter_az", "in", "traffic")),
        ("EU-VPCPeering-Out-Bytes", "AWSELB", "", UsageType("eu-west-1", "inter_az", "out", "traffic")),
        ("USW2-USE1-AWS-Out-Bytes", "AmazonS3", "", UsageType("us-west-2", "inter_region", "out", "traffic")),
        ("USE1-EU-AWS-In-Bytes", "AmazonEC2", "", UsageType("us-east-1", "inter_region", "in", "free")),
        ("EU-AWS-Out-Bytes", "AmazonEC2", "VPCPeering", UsageType("eu-west-1", "inter_region", "out", "traffic")),
        ("EU-AWS-Out-Bytes", "AmazonVPC", "CreateVpnConnection", UsageType("eu-west-1", "vpn", "out", "traffic")),
        ("CloudFront-Out-Bytes", "AmazonS3", "", UsageType("us-east-1", "cloudfront_origin", "out", "traffic")),
        ("EUC1-NatGateway-Bytes", "AmazonEC2", "NatGateway", UsageType("eu-central-1", "nat_gateway", "both", "fee")),
        ("USE1-RegionalNatGateway-Bytes", "AmazonEC2", "", UsageType("us-east-1", "nat_gateway", "both", "fee")),
        ("TransitGateway-Bytes", "AmazonVPC", "", UsageType("us-east-1", "transit_gateway", "both", "fee")),
        ("TGW-Multicast-Consumer-Bytes", "AmazonVPC", "", UsageType("us-east-1", "transit_gateway", "both", "fee")),
        ("VpcEndpoint-Bytes", "AmazonVPC", "", UsageType("us-east-1", "vpc_endpoint", "both", "fee")),
        ("EU-VPCLattice-DataProcessing-Bytes", "AmazonVPC", "", UsageType("eu-west-1", "vpc_lattice", "both", "fee")),
        ("USE1-DataXfer-Out:dc.1", "AWSDirectConnect", "", UsageType("us-east-1", "direct_connect", "out", "traffic")),
        ("EqSe2-DataXfer-In:dc.3", "AWSDirectConnect", "", UsageType("us-east-1", "direct_connect", "in", "free")),
        ("XYZ9-DataTransfer-Out-Bytes", "AmazonEC2", "", UsageType("unknown:XYZ9", "internet", "out", "traffic")),
        ("CNN1-DataTransfer-Out-Bytes", "AmazonEC2", "", UsageType("cn-north-1", "internet", "out", "traffic")),
        (
            "USE1-S3RTC-Out-Bytes", "AmazonS3", "",
            UsageType("us-east-1", "s3_replication_time_control", "out", "fee"),
        ),
        ("EU-AP--MRAP-In-Bytes", "AmazonS3", "PutObject", UsageType("edge:EU", "s3_mrap", "in", "fee")),
        ("C3DataTransfer-In-ABytes", "AmazonS3", "", UsageType("us-east-1", "s3_acceleration", "in", "fee")),
        ("NA-KR-IN-Bytes-AWS", "AWSGlobalAccelerator", "", UsageType("edge:NA", "global_accelerator", "in", "fee")),
    ],
)  # fmt: skip
def test_what_a_usage_type_means(usage_type: str, product: str, operation: str, expected: UsageType) -> None:
    assert classify(usage_type, product, operation) == expected


@pytest.mark.parametrize(
    ("usage_type", "product"),
    [
        ("BoxUsage:t3.micro", "AmazonEC2"),
        ("USE1-PaidEventsAnalyzed-Bytes", "AmazonGuardDuty"),
        ("TimedStorage-ByteHrs", "AmazonS3"),
        ("QS-User-Enterprise-Month", "AmazonQuickSight"),
        ("NatGateway-Hours", "AmazonEC2"),
        # A classic load balancer's usage type has the same name.
        ("USE1-DataProcessing-Bytes", "AmazonCloudWatch"),
        ("NA-EU-OUT-Bytes-Internet", "AmazonEC2"),
        ("", "AmazonEC2"),
    ],
)
def test_what_is_no_data_transfer(usage_type: str, product: str) -> None:
    assert classify(usage_type, product, "") is None


def test_every_rule_names_its_document_and_a_known_class() -> None:
    for rule in RULES:
        assert rule.source.startswith(("https://docs.aws.amazon.com/", "https://aws.amazon.com/")), rule
        assert rule.charge in ("free", "other") or rule.egress_class in EGRESS_CLASSES, rule
        assert (rule.egress_class == "") == (rule.charge == "other"), rule
        # Not every engine has look-around.
        assert "(?" not in rule.pattern, rule
        re.compile(rule.pattern)
    used = {rule.egress_class for rule in RULES if rule.charge in ("traffic", "fee")}
    assert used == set(EGRESS_CLASSES) - {UNCLASSIFIED}


@given(st.sampled_from(sorted(region_prefixes())), st.sampled_from(["DataTransfer-Out-Bytes", "NatGateway-Bytes"]))
def test_every_known_prefix_is_a_region(prefix: str, rest: str) -> None:
    found = classify(f"{prefix}-{rest}", "AmazonEC2", "")
    assert (found.region if found else "global") == region_prefixes()[prefix]


@given(st.text(max_size=60), st.text(max_size=10), st.text(max_size=10))
def test_any_text_is_classified_or_left_out(usage_type: str, product: str, operation: str) -> None:
    meaning = classify(usage_type, product, operation)
    assert meaning is None or meaning.charge == "free" or meaning.egress_class in EGRESS_CLASSES
