"""The likely cause of an incident, from its kind of egress and its course over the hours, and the next step.

Each signature collects evidence for and against itself, in points. The cause is the signature with the most points, if
it has at least two and more than any other. Otherwise the cause is unknown, and the next step is that of the egress
class. The evidence is what an engineer would look at:

- **Course**: from two days before the incident to its last hour. A loop doubles for hours until it reaches a ceiling. A
  linked object climbs too, but its plateau follows the day of its readers. Image pulls are a sawtooth of a few hours.
- **Expectation**, in GB an hour: a new resource has none.
- **Schedule**: data theft is a burst in off-hours. The account's other traffic shows when these are.
- **Company**: a NAT gateway that processes the bytes of an instance, other new resources, a region that was not in use.

A daily bill has no hours: it shows neither growth by the hour nor bursts.
"""

from __future__ import annotations

import math
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from egress_alerts.series import SUMMED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from egress_alerts.hours import Hour, Incident
    from egress_alerts.series import Series

# A resource is new while its expected GB per hour are below this. With a share of its GB as the limit, a large incident
# would make any old resource new.
_NEW_EXPECTED_GB = 0.01
# Between regions, a route is new if at most this share of the first day was expected.
_NEW_ROUTE = 0.1
_LEAST_POINTS = 2
# A cause is clear if it leads all others by as many points.
_CLEAR_POINTS = 2
_DAY, _HALF_A_DAY = 24, 12
# An hour is part of a rise from this share of the level on, and the level is reached at the second share.
_FOOT, _REACHED = 0.1, 0.7
# Doubling every hour and a half takes four hours from a tenth of the level to most of it. A deployment takes one.
_CLIMB_HOURS, _STEP_HOURS = 4, 2
# Runs of hours at half the level: a sawtooth repeats within a working day, and its teeth are short.
_TOOTH_HOURS, _PERIOD_HOURS, _LEAST_RUNS = 3, 8, 3
# People's demand swings by at least this share of its mean within a day.
_SWING = 0.12
_MANY_TIMES = 5.0
_NEARLY_ALL = 0.9
_MANY_PEERS = 4
# Causes that are never of low severity.
SECURITY = frozenset({"leaked_key", "new_resource", "many_regions", "exfiltration", "slow_exfiltration"})


class Cause(NamedTuple):
    """A cause by its short name and in words (both "" if it is unknown), the next step, and the evidence.

    It is clear if no other signature of the egress class has nearly as many points. Then the alert also names the fix.
    """

    incident_class: str
    likely_cause: str
    next_step: str
    evidence: tuple[str, ...] = ()
    is_clear: bool = False


_KINDS = {
    "hot_link": (
        "a hot-linked object",
        "find the top keys and referrers in the bucket's access log; then put CloudFront or signed URLs in front",
    ),
    "cdn_miss": (
        "a large object that the CDN does not cache",
        "check the cache hit ratio and the origin's Cache-Control headers of the largest keys",
    ),
    "s3_through_nat": (
        "S3 traffic through the NAT gateway",
        "check the flow logs of the NAT gateway's interface for S3 and DynamoDB; a gateway endpoint for both is free",
    ),
    "image_pulls": (
        "container images pulled through the NAT gateway again and again",
        "check for crash loops and deployments; then add interface endpoints for ECR and a pull-through cache",
    ),
    "zone_chatter": (
        "traffic between availability zones",
        "check the last deployment; then use zone-aware routing, or move chatty pairs into one zone",
    ),
    "log_loop": (
        "a log or retry loop",
        "read the agent's own log on the instance; if it ships lines about its own shipping, pause the agent",
    ),
    "new_replica": (
        "a new replication, backup or copy to another region",
        "check replication rules, backup plans and read replicas that were created at its start, and if it was planned",
    ),
    "exfiltration": (
        "possible data exfiltration (one burst to the internet)",
        "check VPC Flow Logs by destination; if you do not recognize one, isolate the resource",
    ),
    "slow_exfiltration": (
        "possible slow data exfiltration (steady transfer to the internet)",
        "check VPC Flow Logs by destination over the whole time; if you do not recognize one, isolate the resource",
    ),
    "fleet": (
        "a cause that many resources share, such as a deployment with a retry or log loop",
        "check the deployments to them in the hours before the start",
    ),
    "bucket_family": (
        "a crawler, or links from elsewhere, on many buckets at once",
        "check the access logs of the largest buckets by referrer and user agent",
    ),
    "many_regions": (
        "one cause in several regions: a leaked key that starts resources, or a deployment",
        "check CloudTrail in these regions: who created what, and if it was planned",
    ),
    "many_accounts": (
        "one cause in several accounts, such as a deployment",
        "check the deployments to these accounts in the hours before the start",
    ),
    "leaked_key": (
        "possible leaked key: new resources in a region that the account did not use",
        "check CloudTrail in the region: who created them? If you do not recognize the caller, disable the key, then "
        "stop the resources",
    ),
    "new_resource": (
        "a new resource, from a deployment or a leaked key",
        "check CloudTrail for who created it, and if it was planned",
    ),
}
_BY_CLASS = {
    "cloudfront": "check the distribution's access log by URI and referrer for a large object or a scraper",
    "direct_connect": "check flow logs of the virtual interface's VPC by destination for a backup or a migration",
    "vpn": "check flow logs by destination behind the VPN for a backup or a migration",
    "transit_gateway": "check transit gateway flow logs by attachment pair for a route that takes a detour",
    "vpc_endpoint": "check flow logs of the endpoint's interfaces by source; for S3 and DynamoDB a gateway endpoint is "
    "free",
    "vpc_lattice": "check the Lattice service's access log by caller, and recent deployments",
    "classic_load_balancer": "check the load balancer's access log by client, and recent deployments behind it",
    "global_accelerator": "check the accelerator's flow logs by client location, and if the clients need acceleration",
    "s3_mrap": "check the requests of the access point's buckets, and if clients need a Multi-Region Access Point",
    "unclassified_transfer": "check the usage type in AWS's price list, and the deployments before the start",
    "s3_acceleration": "check the bucket's access log, and if the clients need transfer acceleration",
    "s3_replication_time_control": "check the bucket's replication rules and when they were changed",
    "inter_region": "check who copies to the other region: replication rules, backup plans, cross-region readers",
    "nat_gateway": "check the flow logs of the NAT gateway's interface by source and destination",
}
_ELSE = "check flow logs by destination, and the deployments in the hours before the start"


def likely_cause(incident: Incident, lead: Series) -> Cause:
    """Return the likely cause of an incident, from the series that leads it."""
    facts = _Facts(incident, lead)
    scored = []
    for kind, signature in _signatures(lead).items():
        evidence = [each for each in signature(facts) if each.points]
        scored.append((sum(each.points for each in evidence), kind, evidence))
    scored.sort(key=lambda each: -each[0])
    best = [each for each in scored if each[0] == scored[0][0]]
    if len(best) != 1 or best[0][0] < _LEAST_POINTS:
        return Cause("", "", _BY_CLASS.get(lead.egress_class, _ELSE))
    points, kind, evidence = best[0]
    is_clear = points - max([0, *(each[0] for each in scored[1:])]) >= _CLEAR_POINTS
    return Cause(kind, *_KINDS[kind], tuple(each.text for each in evidence if each.points > 0), is_clear)


def is_new_resource(hours: list[Hour]) -> bool:
    """Return whether almost nothing was expected of a series, because its resource did not exist before."""
    return sum(hour.expected_usage_gb for hour in hours) < _NEW_EXPECTED_GB * len(hours)


def is_quiet_burst(hours: list[Hour]) -> bool:
    """Return whether a series sends to the internet for a few hours, most of them off-hours of its account."""
    is_short = not hours[0].is_daily and len(hours) <= _HALF_A_DAY
    to_the_internet = hours[0].series.egress_class == "internet"
    return to_the_internet and is_short and _quiet_share(hours) > 0.5


def _quiet_share(hours: list[Hour]) -> float:
    return sum(hour.is_quiet for hour in hours) / len(hours)


class _Evidence(NamedTuple):
    """Points for a signature, or against it if negative, and why."""

    points: int
    text: str = ""


def _when(holds: bool, points: int, text: str = "") -> _Evidence:
    return _Evidence(points if holds else 0, text)


class _Facts:
    """The facts on which the evidence is based."""

    def __init__(self, incident: Incident, lead: Series) -> None:
        self.lead = lead
        member = incident.members[lead]
        self.hours = [member[hour] for hour in sorted(member)]
        self.is_daily = self.hours[0].is_daily
        self.first, self.last = self.hours[0].hour, self.hours[-1].hour
        self.span = self.last - self.first + 1
        self.is_bucket = lead.service == "AmazonS3"
        background = incident.background
        self.is_new = is_new_resource(self.hours) and (background is None or background.is_new_resource)
        self.is_new_region = background is not None and background.is_new_region
        self.uses_cloudfront = background is not None and background.uses_cloudfront
        # A gateway that meters the same bytes again, or an instance behind it.
        twin = {"internet": "nat_gateway", "nat_gateway": "internet"}.get(lead.egress_class)
        self.has_twin = not self.is_bucket and any(
            series.egress_class == twin and series.region == lead.region for series in incident.members
        )
        others = [(series, list(hours.values())) for series, hours in incident.members.items() if series != lead]
        self.new_siblings = sum(is_new_resource(hours) for _, hours in others)
        # Old resources of the same service and class that rise with it.
        self.peers = sum(
            series[1:4] == lead[1:4] and not series.is_level and not is_new_resource(hours) for series, hours in others
        )
        starts_with_lead = background is not None and self.first <= background.start + _TOOTH_HOURS
        self._before = background.hours() if background is not None and starts_with_lead else {}

    @cached_property
    def course(self) -> list[float]:
        """GB above expected by the hour, from before the incident to its last hour; 0 where it was not anomalous."""
        excess = self._before | {hour.hour: hour.excess_gb for hour in self.hours}
        return [max(excess.get(hour, 0.0), 0.0) for hour in range(min(excess), self.last + 1)]

    @cached_property
    def level(self) -> float:
        """The usual GB above expected of the larger half of the incident's hours."""
        ordered = sorted(hour.excess_gb for hour in self.hours)
        return median(ordered[len(ordered) // 2 :])

    @cached_property
    def _start(self) -> int:
        """Where in the course the rise begins: single hours below a tenth of the level do not end it."""
        start, foot = max(len(self.course) - self.span, 0), _FOOT * self.level
        while start > 0 and max(self.course[max(start - 2, 0) : start]) >= foot:
            start -= 1
        return start

    @property
    def lasts(self) -> int:
        """Hours from the begin of the rise to the last one."""
        return len(self.course) - self._start

    def time_text(self, hours: int) -> str:
        """Return a time as the bill shows it: hours, or days."""
        number, unit = (-(-hours // _DAY), "day") if self.is_daily else (hours, "hour")
        return f"{number} {unit}{'' if number == 1 else 's'}"

    @cached_property
    def climb_hours(self) -> int:
        """Hours from a tenth of the level to most of it."""
        if self.is_daily:
            return 0
        rising = self.course[self._start :]
        # The mean of two hours: one hour may be an outlier.
        reached = (at for at, pair in enumerate(pairwise(rising)) if sum(pair) >= 2 * _REACHED * self.level)
        return next(reached, 0)

    @cached_property
    def runs(self) -> list[tuple[int, int]]:
        """Place in the course and number of hours of each run of hours at half the level or more."""
        found: list[tuple[int, int]] = []
        for at, excess in enumerate(self.course):
            if excess >= self.level / 2:
                if found and at == sum(found[-1]):
                    found[-1] = (found[-1][0], found[-1][1] + 1)
                else:
                    found.append((at, 1))
        return found

    @property
    def has_spikes(self) -> bool:
        """Whether it comes in several short runs with nothing between them."""
        lengths = [length for _, length in self.runs]
        return not self.is_daily and len(lengths) >= _LEAST_RUNS and median(lengths) <= _TOOTH_HOURS

    @property
    def is_sawtooth(self) -> bool:
        """Whether the short runs follow each other every few hours."""
        periods = [after[0] - before[0] for before, after in pairwise(self.runs)]
        return self.has_spikes and median(periods) <= _PERIOD_HOURS

    @property
    def longest_run(self) -> int:
        """Hours of the longest run."""
        return max(length for _, length in self.runs)

    @cached_property
    def is_burst(self) -> bool:
        """Whether half a day holds nearly all of it."""
        course = self.course
        most = max(sum(course[at : at + _HALF_A_DAY]) for at in range(len(course)))
        return not self.is_daily and most >= _NEARLY_ALL * sum(course)

    @property
    def has_fallen(self) -> bool:
        """Whether the last hour is well below the largest one."""
        return self.hours[-1].excess_gb < max(self.course) / 2

    @cached_property
    def swings(self) -> bool:
        """Whether the plateau of more than a day follows the day: the amplitude of its 24-hour wave."""
        plateau = [hour for hour in self.hours if hour.excess_gb >= self.level / 3]
        if self.is_daily or len(plateau) < _DAY + _HALF_A_DAY // 2:
            return False
        mean = sum(hour.excess_gb for hour in plateau) / len(plateau)
        waves = [
            sum((hour.excess_gb - mean) * wave(hour.hour * math.tau / _DAY) for hour in plateau)
            for wave in (math.sin, math.cos)
        ]
        return 2 * math.hypot(*waves) / len(plateau) >= _SWING * mean

    @property
    def has_even_days(self) -> bool:
        """Whether several days of a daily bill are above expected by about as much."""
        days = [hour.excess_gb for hour in self.hours if hour.hour % _DAY == 0]
        return self.is_daily and len(days) >= _LEAST_RUNS and max(days) <= 2 * min(days)

    @property
    def times_expected(self) -> float:
        """GB sent, in multiples of the expected GB."""
        expected = sum(hour.expected_usage_gb for hour in self.hours)
        return sum(hour.usage_gb for hour in self.hours) / max(expected, 1e-9)

    @property
    def is_new_route(self) -> bool:
        """Whether next to nothing was expected in the first day."""
        first = [hour for hour in self.hours if hour.hour < self.first + _DAY]
        return sum(h.expected_usage_gb for h in first) < _NEW_ROUTE * sum(h.usage_gb for h in first)


def _hot_link(facts: _Facts) -> Iterable[_Evidence]:
    """Score a hot link: readers of the page that has it come over some hours and follow their day."""
    climb = facts.climb_hours
    yield _when(facts.is_bucket, 1, "a bucket sends to the internet directly")
    yield _when(climb >= _STEP_HOURS, 1, f"it climbed to its level over {climb} hours")
    yield _when(
        facts.lasts >= _HALF_A_DAY and not facts.has_spikes, 1, f"it has stayed up for {facts.time_text(facts.lasts)}"
    )
    yield _when(facts.swings, 1, "it follows the day, as readers do")
    yield _when(climb < _STEP_HOURS, -1)
    yield _when(facts.has_spikes, -2)
    yield _when(not facts.is_bucket, -1)


def _cdn_miss(facts: _Facts) -> Iterable[_Evidence]:
    """Score a CDN miss: each one fetches the large object whole, with nothing between them."""
    yield _when(facts.has_spikes, 2, f"{len(facts.runs)} separate spikes")
    yield _when(facts.uses_cloudfront, 1, "the account uses CloudFront")
    yield _when(not facts.is_bucket, -1)


def _log_loop(facts: _Facts) -> Iterable[_Evidence]:
    """Score a loop: shipped lines create more lines, so it doubles until a ceiling, by day and by night."""
    climb = facts.climb_hours
    yield _when(climb >= _CLIMB_HOURS, 2, f"it grew for {climb} hours until it reached its level")
    yield _when(facts.has_twin, 1, "the same bytes pass a NAT gateway")
    yield _when(facts.swings, -2)
    yield _when(facts.is_bucket or facts.has_spikes, -3)


def _exfiltration(facts: _Facts) -> Iterable[_Evidence]:
    """Score data theft in one go: a data set is copied once, best while fewer people look."""
    is_much = facts.times_expected >= _MANY_TIMES
    yield _when(facts.is_burst and facts.has_fallen, 1, "it rose and fell within half a day")
    yield _when(_quiet_share(facts.hours) > 0.5, 1, "most of it left while the account is usually quiet")
    yield _when(is_much, 1, "the resource usually sends a fraction of it")
    yield _when(not facts.is_burst, -3)
    yield _when(facts.climb_hours >= _CLIMB_HOURS, -1)
    yield _when(facts.has_twin, -1)
    yield _when(facts.is_bucket, -1)
    yield _when(facts.is_new, -1)


def _slow_exfiltration(facts: _Facts) -> Iterable[_Evidence]:
    """Score slow data theft: a process sends at a steady rate for days, or for the same hours of each night."""
    lasts = facts.lasts >= _DAY or len(facts.runs) > 1
    yield _when(lasts and not facts.is_burst, 1, "it lasts, or comes again")
    yield _when(not facts.is_daily and facts.climb_hours <= _STEP_HOURS, 1, "it began at full rate")
    yield _when(not facts.is_daily and not facts.swings, 1, "its rate does not follow the day")
    yield _when(facts.has_even_days, 1, "its days are alike")
    yield _when(facts.is_burst, -2)
    yield _when(facts.has_twin, -1)
    yield _when(facts.climb_hours >= _CLIMB_HOURS, -2)
    yield _when(facts.is_bucket or facts.has_spikes, -2)
    yield _when(facts.is_new, -2)


def _leaked_key(facts: _Facts) -> Iterable[_Evidence]:
    """Score a leaked key: new resources start where the owner does not look."""
    is_new = facts.is_new and facts.is_new_region and not facts.is_bucket
    yield _when(is_new, 3, "the resource is new, in a region that the account did not use")
    yield _when(is_new and facts.new_siblings > 0, 1, f"{facts.new_siblings} more new resources began with it")


def _new_resource(facts: _Facts) -> Iterable[_Evidence]:
    """Score a new resource in a region that is in use: that alone is no sign of a thief."""
    is_new = facts.is_new and not facts.is_new_region and not facts.is_bucket
    yield _when(is_new, 2, "the resource was not in the bill before")


def _s3_through_nat(facts: _Facts) -> Iterable[_Evidence]:
    """Score S3 through NAT: a job reads for hours, and nothing more leaves to the internet."""
    yield _when(not facts.has_twin, 1, "the gateway processes more, but no more leaves to the internet")
    yield _when(
        not facts.is_daily and facts.longest_run > _TOOTH_HOURS,
        1,
        f"it ran for {facts.longest_run} hours without a break",
    )
    yield _when(facts.is_sawtooth, -2)


def _image_pulls(facts: _Facts) -> Iterable[_Evidence]:
    """Score image pulls: each restart pulls the images again, in a short spike."""
    yield _when(facts.is_sawtooth, 2, f"{len(facts.runs)} short spikes, one every few hours")
    yield _when(facts.has_twin, -1)


def _zone_chatter(_: _Facts) -> Iterable[_Evidence]:
    yield _Evidence(2, "the bytes go to another availability zone")


def _origin_fetches(_: _Facts) -> Iterable[_Evidence]:
    yield _Evidence(2, "CloudFront fetches more from the origin")


def _new_replica(facts: _Facts) -> Iterable[_Evidence]:
    """Score a new replica: a route between regions that had next to no traffic."""
    yield _when(facts.is_new_route, 2, "next to nothing was sent to that region before")
    yield _when("Repl" in facts.hours[0].operation, 1, "the operation is a replication")


def _fleet(facts: _Facts) -> Iterable[_Evidence]:
    """Score a fleet: a deployment changes many resources at once."""
    yield _when(facts.peers >= _MANY_PEERS, 4, f"{facts.peers} other resources of the service rise with it")
    yield _when(facts.is_bucket, -4)


def _bucket_family(facts: _Facts) -> Iterable[_Evidence]:
    """Score a family of buckets: a crawler reads one after the other."""
    yield _when(facts.is_bucket and facts.peers >= _MANY_PEERS, 4, f"{facts.peers} other buckets rise with it")


def _of_many(_: _Facts) -> Iterable[_Evidence]:
    yield _Evidence(2, "the excess is spread over many resources")


_BY_EGRESS_CLASS: dict[str, dict[str, Callable[[_Facts], Iterable[_Evidence]]]] = {
    "internet": {
        "hot_link": _hot_link,
        "cdn_miss": _cdn_miss,
        "log_loop": _log_loop,
        "exfiltration": _exfiltration,
        "slow_exfiltration": _slow_exfiltration,
        "leaked_key": _leaked_key,
        "new_resource": _new_resource,
        "fleet": _fleet,
        "bucket_family": _bucket_family,
    },
    "nat_gateway": {"s3_through_nat": _s3_through_nat, "image_pulls": _image_pulls, "log_loop": _log_loop},
    "inter_az": {"zone_chatter": _zone_chatter},
    "inter_region": {"new_replica": _new_replica},
    "cloudfront_origin": {"cdn_miss": _origin_fetches},
}


def _signatures(lead: Series) -> Mapping[str, Callable[[_Facts], Iterable[_Evidence]]]:
    own = _BY_EGRESS_CLASS.get(lead.egress_class, {})
    if lead.account_id == SUMMED:
        return {"many_accounts": _of_many}
    if lead.region == SUMMED:
        return {"many_regions": _of_many}
    if lead.is_level and lead.egress_class in ("internet", "cloudfront_origin"):
        return {"bucket_family" if lead.service == "AmazonS3" else "fleet": _of_many, "leaked_key": _leaked_key}
    return own
