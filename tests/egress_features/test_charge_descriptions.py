"""Descriptions from real FOCUS 1.0 exports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress_features.charge_descriptions import usage_type_of
from egress_features.usage_types import classify


@pytest.mark.parametrize(
    ("description", "egress_class"),
    [
        ("$0.090 per GB - first 10 TB / month data transfer out beyond the global free tier", "internet"),
        ("$0.085 per GB - next 40 TB / month data transfer out", "internet"),
        ("$0.000 per GB - data transfer out under the monthly global free tier", "internet"),
        ("USD 0.09 per GB for DataTransfer-Out-Bytes in EU (Stockholm)", "internet"),
        ("USD0.0 per GB for DataTransfer-Out-Bytes usage in  Africa (Cape Town)", "internet"),
        ("$0.02 per GB - US West (Oregon) data transfer to US East (Northern Virginia)", "inter_region"),
        ("USD 0.147 per GB for USE1-AWS-Out-Bytes in Africa (Cape Town)", "inter_region"),
        ("$0.010 per GB - regional data transfer - in/out/between EC2 AZs or using elastic IPs or ELB", "inter_az"),
        ("$0.00 per GB data transfer out of Asia Pacific (Tokyo) to CloudFront", "cloudfront_origin"),
        ("$0.045 per GB Data Processed by NAT Gateways", "nat_gateway"),
        ("$0.02 per GB Data Processed by Transit Gateway", "transit_gateway"),
        ("$0.01 per GB Data Processed by VPC Endpoints", "vpc_endpoint"),
        ("$0.000 per GB - data transfer in per month", None),
        ("$0.00 per GB - US West (Oregon) data transfer from EU (Germany)", None),
        ("$0.00 per GB data transfer in to EU (Germany) from CloudFront", None),
        ("USD 0.0 per GB for USE2-AWS-In-Bytes in EU (Stockholm)", None),
        ("USD0.02 per GB for  in Middle East (Bahrain)", None),
        ("$0.045 per NAT Gateway Hour", None),
        ("$0.50 per GB custom log data ingested in Standard log class - US East (Ohio)", None),
        ("$0.023 per GB - first 50 TB / month of storage used", None),
    ],
)
def test_real_wordings(description: str, egress_class: str | None) -> None:
    meaning = classify(usage_type_of(description), "AmazonEC2", "")
    assert (meaning.egress_class if meaning and meaning.charge != "free" else None) == egress_class


@given(
    st.sampled_from(["DataTransfer-Out-Bytes", "EUN1-AWS-Out-Bytes", "NatGateway-Bytes"]),
    st.decimals(0, 1, places=4),
    st.sampled_from(["EU (Stockholm)", "Africa (Cape Town)"]),
)
def test_a_usage_type_that_is_named_is_taken(usage_type: str, price: object, region: str) -> None:
    assert usage_type_of(f"USD {price} per GB for {usage_type} in {region}") == usage_type


@given(st.text(max_size=80))
def test_any_text_is_read(description: str) -> None:
    shown = usage_type_of(description)
    assert shown == "" or "Bytes" in shown or shown.startswith("DataXfer")
