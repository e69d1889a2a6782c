"""The likely cause of an incident, from its kind of egress and its shape over the hours, and what to check first.

The signatures are those that teams report: a hot-linked object ramps to a plateau, a log loop grows by the hour, image
pulls are a sawtooth, data leaves at night. Each is a guess to start from, and worded as one. A daily bill shows no
hours: growth by the hour and bursts at night are no causes of its incidents.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from egress_alerts.series import SUMMED

if TYPE_CHECKING:
    from egress_alerts.hours import Hour, Incident
    from egress_alerts.series import Series

# A resource is new while its expected GB an hour are below this. A share of what it sends would call any old resource
# new once the incident is large enough.
_NEW_EXPECTED_GB = 0.01
_LASTING_HOURS = 48
_SHORT_HOURS = 12
_BURST_HOURS = 3
_GROWTH = 3.0
_LOW_MULTIPLE = 4.0
_NIGHT_UTC = {22, 23, 0, 1, 2, 3, 4, 5}
# Causes that are never of low severity.
SECURITY = frozenset({"leaked_key", "many_regions", "exfiltration", "slow_exfiltration"})


class Cause(NamedTuple):
    """A cause by its short name and in words (both "" when no signature fits), and what to check first."""

    incident_class: str
    likely_cause: str
    next_step: str


_KINDS = {
    "hot_link": (
        "a hot-linked object",
        "the bucket's access log by key and referrer; then CloudFront or signed URLs in front of it",
    ),
    "cdn_miss": (
        "a large object that the CDN does not cache",
        "the cache hit ratio and the origin's Cache-Control headers of the largest keys",
    ),
    "s3_through_nat": (
        "S3 traffic through the NAT gateway",
        "flow logs of the NAT gateway's interface: S3 and DynamoDB belong on a gateway endpoint, which is free",
    ),
    "image_pulls": (
        "images pulled through the NAT gateway again and again",
        "what restarts: crash loops and deploys; then interface endpoints for ECR and a pull-through cache",
    ),
    "zone_chatter": (
        "clients that call another availability zone",
        "the last deployment; then zone-aware routing, or chatty pairs in one zone",
    ),
    "log_loop": (
        "a log or retry loop: it grows by the hour",
        "the agent's own log on the instance, and whether what it sends is about what it sends; stop it first",
    ),
    "new_replica": (
        "a replication, backup or copy to another region that was not there before",
        "replication rules, backup plans and read replicas that were created at its start; whether it was planned",
    ),
    "exfiltration": (
        "data that leaves when nobody looks",
        "flow logs by destination; a destination nobody knows means isolate the resource first",
    ),
    "slow_exfiltration": (
        "data that leaves low and slow",
        "flow logs by destination over the whole time; a destination nobody knows means isolate the resource first",
    ),
    "fleet": (
        "something that many resources share, such as a deployment with a retry or log loop",
        "what was deployed to them in the hours before the start",
    ),
    "bucket_family": (
        "a crawler, or links from elsewhere, on many buckets at once",
        "the access logs of the largest buckets by referrer and user agent",
    ),
    "many_regions": (
        "one cause in several regions: a leaked key that starts resources, or a deployment",
        "CloudTrail of these regions: who created what, and whether that was planned",
    ),
    "many_accounts": (
        "one cause in several accounts, such as a deployment",
        "what was deployed to these accounts in the hours before the start",
    ),
    "leaked_key": (
        "new resources that nobody announced: a leaked key",
        "CloudTrail of the region: who created them; disable that key, then stop them",
    ),
}
_BY_CLASS = {
    "cloudfront": "the distribution's access log by URI and referrer; a large object or a scraper",
    "direct_connect": "flow logs of the virtual interface's VPC by destination; a backup or migration over the link",
    "vpn": "flow logs by destination behind the VPN; a backup or migration over the tunnel",
    "transit_gateway": "transit gateway flow logs by attachment pair; a route that takes a detour",
    "vpc_endpoint": "flow logs of the endpoint's interfaces by source; for S3 and DynamoDB a gateway endpoint is free",
    "vpc_lattice": "the Lattice service's access log by caller; what was deployed there lately",
    "classic_load_balancer": "the load balancer's access log by client; what was deployed behind it lately",
    "global_accelerator": "the accelerator's flow logs by client location; whether its listeners need acceleration",
    "s3_mrap": "the access point's buckets by request; whether the clients need a Multi-Region Access Point",
    "unclassified_transfer": "the usage type in AWS's price list; what was deployed in the hours before the start",
    "s3_acceleration": "the bucket's access log; whether the clients need transfer acceleration",
    "s3_replication_time_control": "the bucket's replication rules and when they were changed",
}
_OF_MANY = {"inter_region": "new_replica", "inter_az": "zone_chatter", "nat_gateway": "s3_through_nat"}
_ELSE = "flow logs by destination, and what was deployed in the hours before the start"


def likely_cause(incident: Incident, lead: Series) -> Cause:
    """Return the likely cause of an incident, from the series that leads it."""
    kind = _kind(incident, lead)
    if not kind:
        return Cause("", "", _BY_CLASS.get(lead.egress_class, _ELSE))
    return Cause(kind, *_KINDS[kind])


def _kind(incident: Incident, lead: Series) -> str:
    if lead.is_level:
        return _of_a_level(lead)
    hours = [incident.members[lead][hour] for hour in sorted(incident.members[lead])]
    if lead.egress_class == "inter_region":
        return "new_replica"
    if lead.egress_class == "inter_az":
        return "zone_chatter"
    if lead.egress_class == "cloudfront_origin":
        return "cdn_miss"
    if lead.egress_class == "nat_gateway":
        return _through_nat(incident, hours)
    if lead.egress_class == "internet":
        return _to_the_internet(incident, lead, hours)
    return ""


def _of_a_level(lead: Series) -> str:
    if lead.account_id == SUMMED:
        return "many_accounts"
    if lead.region == SUMMED:
        return "many_regions"
    if lead.egress_class not in ("internet", "cloudfront_origin"):
        return _OF_MANY.get(lead.egress_class, "")
    return "bucket_family" if lead.service == "AmazonS3" else "fleet"


def _through_nat(incident: Incident, hours: list[Hour]) -> str:
    sends = any(series.egress_class == "internet" for series in incident.members)
    if sends and _grows(hours):
        return "log_loop"
    return "image_pulls" if _comes_in_bursts(hours) else "s3_through_nat"


def _to_the_internet(incident: Incident, lead: Series, hours: list[Hour]) -> str:
    if _grows(hours):
        return "log_loop" if lead.service != "AmazonS3" else "hot_link"
    unseen = {s.resource_id for s, member in incident.members.items() if is_new_resource(list(member.values()))}
    if lead.service == "AmazonEC2" and lead.resource_id in unseen:
        return "leaked_key"
    if is_off_hours_burst(hours):
        return "exfiltration"
    if lead.service == "AmazonS3":
        return "cdn_miss" if _comes_in_bursts(hours) else "hot_link"
    if lead.service == "AmazonEC2":
        if _is_low_and_slow(hours):
            return "slow_exfiltration"
        return "" if hours[0].is_daily else "exfiltration"
    return ""


def is_new_resource(hours: list[Hour]) -> bool:
    """Return whether next to nothing was expected of a series: its resource was not there before."""
    return sum(hour.expected_usage_gb for hour in hours) < _NEW_EXPECTED_GB * len(hours)


def is_off_hours_burst(hours: list[Hour]) -> bool:
    """Return whether a series sends to the internet for a few hours, all at night or on a weekend (UTC)."""
    is_short = not hours[0].is_daily and len(hours) <= _SHORT_HOURS
    to_the_internet = hours[0].series.egress_class == "internet"
    return to_the_internet and is_short and all(_is_off_hours(hour.hour) for hour in hours)


def _is_off_hours(hour: int) -> bool:
    # 1970-01-01 was a Thursday.
    return hour % 24 in _NIGHT_UTC or (hour // 24 + 3) % 7 >= 5


def _grows(hours: list[Hour]) -> bool:
    """Return whether the excess rises by a factor from the first third to the second and again to the last."""
    third = len(hours) // 3
    if third < 2 or hours[0].is_daily:
        return False
    first, middle, last = (
        sum(hour.excess_gb for hour in part) / len(part)
        for part in (hours[:third], hours[third:-third], hours[-third:])
    )
    return middle >= _GROWTH**0.5 * first and last >= _GROWTH * first and last >= middle


def _comes_in_bursts(hours: list[Hour]) -> bool:
    runs = [1]
    for before, after in pairwise(hours):
        if after.hour == before.hour + 1:
            runs[-1] += 1
        else:
            runs.append(1)
    return len(runs) >= 3 and sorted(runs)[len(runs) // 2] <= _BURST_HOURS


def _is_low_and_slow(hours: list[Hour]) -> bool:
    span = hours[-1].hour - hours[0].hour + 1
    sent, expected = sum(hour.usage_gb for hour in hours), sum(hour.expected_usage_gb for hour in hours)
    return span >= _LASTING_HOURS and sent < _LOW_MULTIPLE * expected
