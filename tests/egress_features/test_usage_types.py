"""Usage types as they stand in real bills."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress_features.usage_types import (
    EGRESS_CLASSES,
    PROCESSING_FEE_CLASSES,
    UsageType,
    classify,
    region_prefixes,
    split_prefix,
)


@pytest.mark.parametrize(
    ("usage_type", "product", "operation", "expected"),
    [
        ("DataTransfer-Out-Bytes", "AmazonS3", "GetObject", UsageType("us-east-1", "internet", False)),
        ("EU-DataTransfer-Out-Bytes", "AmazonS3", "GetObject", UsageType("eu-west-1", "internet", False)),
        ("EU-DataTransfer-Out-Bytes", "AmazonCloudFront", "GET", UsageType("edge:EU", "cloudfront", False)),
        ("EUW2-DataTransfer-Regional-Bytes", "AmazonEC2", "", UsageType("eu-west-2", "inter_az", False)),
        ("DataTransfer-xAZ-In-Bytes", "AmazonEC2", "", UsageType("us-east-1", "inter_az", False)),
        ("USW2-USE1-AWS-Out-Bytes", "AmazonS3", "", UsageType("us-west-2", "inter_region", False)),
        ("USE1-EU-AWS-Out-Bytes", "AmazonEC2", "", UsageType("us-east-1", "inter_region", False)),
        ("CloudFront-Out-Bytes", "AmazonS3", "", UsageType("us-east-1", "cloudfront_origin", False)),
        ("EUC1-NatGateway-Bytes", "AmazonEC2", "NatGateway", UsageType("eu-central-1", "nat_gateway", True)),
        ("TransitGateway-Bytes", "AmazonVPC", "", UsageType("us-east-1", "transit_gateway", True)),
        ("VpcEndpoint-Bytes", "AmazonVPC", "", UsageType("us-east-1", "vpc_endpoint", True)),
        ("USE1-DataXfer-Out:dc.1", "AWSDirectConnect", "", UsageType("us-east-1", "direct_connect", False)),
        ("XYZ9-DataTransfer-Out-Bytes", "AmazonEC2", "", UsageType("unknown:XYZ9", "internet", False)),
        ("USE1-S3RTC-Out-Bytes", "AmazonS3", "", UsageType("us-east-1", "s3_replication_time_control", True)),
    ],
)
def test_egress(usage_type: str, product: str, operation: str, expected: UsageType) -> None:
    assert classify(usage_type, product, operation) == expected


@pytest.mark.parametrize(
    "usage_type",
    [
        "DataTransfer-In-Bytes",
        "USE1-EU-AWS-In-Bytes",
        "BoxUsage:t3.micro",
        "USE1-PaidEventsAnalyzed-Bytes",
        "TimedStorage-ByteHrs",
        "QS-User-Enterprise-Month",
        "NatGateway-Hours",
        "",
    ],
)
def test_what_is_no_egress(usage_type: str) -> None:
    assert classify(usage_type, "AmazonEC2", "") is None


@given(st.sampled_from(sorted(region_prefixes())), st.sampled_from(["DataTransfer-Out-Bytes", "NatGateway-Bytes"]))
def test_every_known_prefix_splits_off(prefix: str, rest: str) -> None:
    assert split_prefix(f"{prefix}-{rest}") == (prefix, rest)


@given(st.text(max_size=60), st.text(max_size=10), st.text(max_size=10))
def test_any_text_is_classified_or_left_out(usage_type: str, product: str, operation: str) -> None:
    meaning = classify(usage_type, product, operation)
    if meaning is not None:
        assert meaning.egress_class in {*EGRESS_CLASSES, *PROCESSING_FEE_CLASSES}
        assert meaning.is_processing_fee == (meaning.egress_class in PROCESSING_FEE_CLASSES)
