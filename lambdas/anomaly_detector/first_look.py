"""What to look at first, by kind of egress."""

from __future__ import annotations

_BY_CLASS = {
    "inter_region": "a new replication rule, backup copy or read replica in another region",
    "inter_az": "the last deployment: clients that call another zone; then zone-aware routing",
    "cloudfront": "the distribution's access log by URI and referrer; a large object or a scraper",
    "cloudfront_origin": "the distribution's cache hit ratio; the origin may send no cache headers",
    "direct_connect": "flow logs of the virtual interface's VPC by destination; a backup or migration over the link",
    "vpn": "flow logs by destination behind the VPN; a backup or migration over the tunnel",
    "nat_gateway": "flow logs of the NAT gateway's interface: S3, DynamoDB and ECR belong on a VPC endpoint",
    "transit_gateway": "transit gateway flow logs by attachment pair; a route that takes a detour",
    "vpc_endpoint": "flow logs of the endpoint's interfaces by source; for S3 and DynamoDB a gateway endpoint is free",
    "vpc_peering": "flow logs with the peered VPC's range as destination; what was deployed there lately",
    "s3_acceleration": "the bucket's access log; whether the clients need transfer acceleration",
    "s3_replication_time_control": "the bucket's replication rules and when they were changed",
}
_BY_CLASS_AND_SERVICE = {
    (
        "internet",
        "AmazonS3",
    ): "the bucket's access log by key and referrer; then CloudFront or signed URLs in front of it",
    (
        "internet",
        "AmazonEC2",
    ): "flow logs of the instance by destination; a destination nobody knows means isolate it first",
}


def first_look(egress_class: str, service: str) -> str:
    """Return where an engineer starts, half a sentence."""
    general = _BY_CLASS.get(
        egress_class, "flow logs by destination, and what was deployed in the hours before the start"
    )
    return _BY_CLASS_AND_SERVICE.get((egress_class, service), general)
