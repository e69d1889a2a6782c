"""Finds the kind of a charge from its description, for exports without usage types.

The wordings come from real FOCUS 1.0 exports. Those of transit gateways, endpoints, peering and Direct Connect come
from AWS's price list.
"""

from __future__ import annotations

import re

# First match wins. A wording that names the usage type itself comes first.
_NAMED = re.compile(r"\bfor (?P<type>\S*Bytes\S*) (?:usage )?in\b")
_WORDINGS = (
    (re.compile(r"data transfer in to .+ from cloudfront"), "CloudFront-In-Bytes"),
    (re.compile(r"data transfer out of .+ to cloudfront"), "CloudFront-Out-Bytes"),
    (re.compile(r"data processed by .*nat ?gateway"), "NatGateway-Bytes"),
    (re.compile(r"data processed by .*transit ?gateway"), "TransitGateway-Bytes"),
    (re.compile(r"data processed by .*(vpc|gateway load balancer) ?endpoint"), "VpcEndpoint-Bytes"),
    (re.compile(r"direct connect.* data transfer out|data transfer out.*direct connect"), "DataXfer-Out:dc."),
    (re.compile(r"vpc peering"), "VpcPeering-Out-Bytes"),
    (re.compile(r"regional data transfer"), "DataTransfer-Regional-Bytes"),
    (re.compile(r"- .+ data transfer from \S"), "AWS-In-Bytes"),
    (re.compile(r"- .+ data transfer to \S"), "AWS-Out-Bytes"),
    (re.compile(r"data transfer in\b"), "DataTransfer-In-Bytes"),
    (re.compile(r"data transfer out\b"), "DataTransfer-Out-Bytes"),
)


def usage_type_of(description: str) -> str:
    """Return the usage type of a description, without a region prefix. It is empty for other kinds of charges.

    Parameters
    ----------
    description : str
        FOCUS's ChargeDescription, such as "$0.090 per GB - first 10 TB / month data transfer out beyond the global
        free tier".
    """
    named = _NAMED.search(description)
    if named:
        return named["type"]
    words = description.lower()
    return next((usage_type for wording, usage_type in _WORDINGS if wording.search(words)), "")
