"""Ranks CloudTrail's write events before an incident, to find the change that caused it. Pure.

Events count from six hours before the incident to one hour after its start. In a daily bill they count to the end of
its first day. They have the incident's account and region, or are of a global service. Each event collects points:

- **Resource**: it names a resource of the incident. It loses points if it names another one of the same form, such as
  another bucket.
- **Kind**: its API call fits the likely cause, or at least the egress class. Other calls are left out unless they name
  the resource.
- **Time**: it is near the start. A loop, a link and a deployment to a fleet take hours until their traffic is large.
- **Actor**: a person or a deployment, and not an AWS service that acts by itself.
- **Rarity**: the same actor does not make the same call all the time.

The three events with the most points are named, if they have enough of them. If the first one has too few, none is
named. An actor's repeated calls count as one.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, TypeAlias, TypedDict

from egress_alerts.series import SUMMED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping


_MAX_CHANGES = 3
_NOTHING_FITS = "no write event in CloudTrail fits"
_BEFORE, _AFTER, _AFTER_OF_DAY = timedelta(hours=6), timedelta(hours=1), timedelta(hours=24)
_RESOURCE, _RESOURCE_ALONE, _OTHER_RESOURCE, _CAUSE, _CLASS, _CLASS_ALONE = 4, 2, -3, 4, 2, 3
_ACTOR, _SERVICE, _RARE, _ROUTINE = 1, -3, 1, -2
# Points that the first change needs, and those after it.
_LEAST_POINTS, _LEAST_POINTS_OF_OTHERS = 7, 6
# Points by the hours before the start, and the additional hours in which the traffic of some causes grows.
_NEARNESS = ((0.5, 3), (1.0, 2), (2.0, 1))
_TIMES_LONGER = {"log_loop": 3.0, "hot_link": 2.0, "fleet": 2.0}
_RARE_CALLS, _ROUTINE_CALLS = 3, 12
_MAX_NAMES, _MAX_NAME = 64, 200
_ID_DIGITS = 8
# Their events are recorded in us-east-1, wherever the resources are.
GLOBAL_SOURCES = ("iam.amazonaws.com", "cloudfront.amazonaws.com")
# It acts for the person who started it.
_DEPLOYS_FOR_OTHERS = "cloudformation.amazonaws.com"


class Change(TypedDict):
    """One write event of CloudTrail."""

    time_utc: Annotated[str, "When it happened, such as 2026-10-17T01:52:11Z"]
    event_name: Annotated[str, "The API call, such as DeleteVpcEndpoints"]
    actor: Annotated[str, "Who called it: the ARN of a user or role session"]
    resource: Annotated[str, "The changed resource; empty when the event names none"]
    event_id: Annotated[str, "CloudTrail's id of the event"]
    reason: Annotated[str, "Why it is named"]


class Event(NamedTuple):
    """A write event. `names` are all ids and names in it, and `resource` is the first of them."""

    event_id: str
    time: datetime
    name: str
    source: str
    account_id: str
    region: str
    actor: str
    is_of_a_service: bool
    resource: str
    names: frozenset[str]


# Returns an alert's `changes` and `changes_note`.
FindChanges: TypeAlias = "Callable[[Mapping[str, Any]], tuple[list[Change], str]]"

_NETWORK = (
    "CreateNatGateway DeleteNatGateway CreateRoute ReplaceRoute DeleteRoute AssociateRouteTable "
    "ReplaceRouteTableAssociation DisassociateRouteTable CreateVpcEndpoint DeleteVpcEndpoints ModifyVpcEndpoint"
)
_INSTANCES = "RunInstances StartInstances RequestSpotInstances RequestSpotFleet CreateFleet CreateAutoScalingGroup"
_SCALING = (
    "UpdateAutoScalingGroup SetDesiredCapacity CreateService UpdateService RunTask CreateNodegroup "
    "UpdateNodegroupConfig StartInstanceRefresh PutScalingPolicy"
)
_JOBS = "RunJobFlow SubmitJob StartJobRun StartPipelineExecution CreateDataSource StartTaskExecution"
_FUNCTIONS = "CreateFunction20150331 UpdateFunctionCode20150331v2 UpdateFunctionConfiguration20150331v2"
_STACKS = "CreateStack UpdateStack ExecuteChangeSet CreateStackInstances UpdateStackInstances"
_DEPLOYMENT = (
    "CreateDeployment RegisterTaskDefinition CreateLaunchTemplateVersion ModifyLaunchTemplate UpdateService "
    "StartInstanceRefresh SendCommand CreateAssociation UpdateAssociation"
)
_BALANCING = (
    "ModifyLoadBalancerAttributes ModifyTargetGroupAttributes SetSubnets RegisterTargets ModifyDBInstance "
    "CreateDBInstance CreateDBInstanceReadReplica FailoverDBCluster ModifyReplicationGroup CreateReplicationGroup "
    "IncreaseReplicaCount CreateCacheCluster UpdateBrokerCount CreateMountTarget"
)
_BUCKET = (
    "PutBucketPolicy DeleteBucketPolicy PutBucketAcl PutBucketWebsite PutBucketCors DeleteBucketPublicAccessBlock "
    "PutBucketPublicAccessBlock PutAccountPublicAccessBlock DeleteAccountPublicAccessBlock"
)
_CDN = (
    "CreateDistribution UpdateDistribution CreateDistributionWithTags DeleteDistribution CreateInvalidation "
    "UpdateCachePolicy CreateCachePolicy UpdateOriginRequestPolicy UpdateFunction PublishFunction"
)
_DNS = "ChangeResourceRecordSets"
_COPY = (
    "PutBucketReplication PutReplicationConfiguration CreateBackupPlan UpdateBackupPlan StartCopyJob CopySnapshot "
    "CopyDBSnapshot CopyImage CreateDBInstanceReadReplica CreateGlobalCluster CreateGlobalTable CreateTable "
    "UpdateTable CreateReplicationTask StartReplicationTask StartTaskExecution CreateJob CreateVpcPeeringConnection "
    "StartDBInstanceAutomatedBackupsReplication"
)
_LOGGING = "PutSubscriptionFilter PutDestination CreateDeliveryStream UpdateDestination PutParameter"
_ACCESS = (
    "CreateAccessKey CreateUser CreateLoginProfile AttachUserPolicy PutUserPolicy UpdateAssumeRolePolicy "
    "AttachRolePolicy PutRolePolicy ConsoleLogin EnableRegion StartSession"
)
_OPENING = (
    "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress CreateInternetGateway AttachInternetGateway "
    "AssociateAddress ModifySnapshotAttribute ModifyImageAttribute SendCommand StartInstances PutBucketPolicy"
)


def _calls(*texts: str) -> frozenset[str]:
    return frozenset(" ".join(texts).split())


# New instances cause no rise of old resources, such as a fleet.
_BY_CAUSE = {
    "s3_through_nat": _calls(_NETWORK, _JOBS),
    "image_pulls": _calls(_SCALING, _DEPLOYMENT, "PutImage CreateStack UpdateStack"),
    "zone_chatter": _calls(_BALANCING, _SCALING, "CreateStack UpdateStack RunInstances"),
    "hot_link": _calls(_BUCKET, _CDN, _DNS),
    "cdn_miss": _calls(_CDN),
    "log_loop": _calls(_DEPLOYMENT, _STACKS, _LOGGING, _FUNCTIONS),
    "new_replica": _calls(_COPY),
    "exfiltration": _calls(_ACCESS, _OPENING),
    "slow_exfiltration": _calls(_ACCESS, _OPENING),
    "fleet": _calls(_DEPLOYMENT, _STACKS),
    "bucket_family": _calls(_BUCKET, _CDN, _DNS),
    "leaked_key": _calls(_ACCESS, _INSTANCES, "CreateFunction20150331 RunTask"),
    "new_resource": _calls(_INSTANCES, "CreateService RunTask CreateNodegroup", _STACKS),
    "many_regions": _calls(_ACCESS, _INSTANCES, _STACKS),
    "many_accounts": _calls(_DEPLOYMENT, _STACKS),
}
_COMPUTE = f"{_INSTANCES} {_SCALING} {_DEPLOYMENT} {_STACKS}"
_BY_CLASS = {
    "internet": _calls(_BUCKET, _CDN, _DNS, _COMPUTE, _LOGGING, _FUNCTIONS, _ACCESS, _OPENING),
    "nat_gateway": _calls(_NETWORK, _COMPUTE, _JOBS, _FUNCTIONS, _LOGGING, "PutImage"),
    "inter_az": _calls(_BALANCING, _COMPUTE, _JOBS),
    "inter_region": _calls(_COPY, _COMPUTE, _JOBS),
    "cloudfront": _calls(_CDN, _DNS, _BUCKET),
    "cloudfront_origin": _calls(_CDN, _DNS, _BUCKET),
}
_BY_OTHER_CLASS = _calls(_NETWORK, _COMPUTE, _JOBS)


def read_event(record: Mapping[str, Any]) -> Event | None:
    """Return a CloudTrail record as an event, or None if it changed nothing: a read, a refusal or a data event."""
    is_write = not record.get("readOnly", True) and record.get("managementEvent", True)
    if not is_write or record.get("errorCode") or record.get("eventType") == "AwsServiceEvent":
        return None
    identity = record.get("userIdentity") or {}
    invoked_by = str(identity.get("invokedBy") or "")
    actor = str(identity.get("arn") or identity.get("principalId") or invoked_by or identity.get("type", "unknown"))
    by_service = identity.get("type") == "AWSService" or (invoked_by and invoked_by != _DEPLOYS_FOR_OTHERS)
    parts = (record.get("requestParameters"), record.get("responseElements"), record.get("resources"))
    names = [name for part in parts for name in _names(part)][:_MAX_NAMES]
    return Event(
        str(record.get("eventID", "")),
        datetime.fromisoformat(str(record["eventTime"])).astimezone(UTC),
        # Some services add the version of their API, such as UpdateDistribution2020_05_31.
        str(record["eventName"]).partition("2020_")[0],
        str(record.get("eventSource", "")),
        str(record.get("recipientAccountId") or identity.get("accountId") or ""),
        str(record.get("awsRegion", "")),
        actor,
        bool(by_service) or "/aws-service-role/" in actor or "/AWSServiceRoleFor" in actor,
        _tail(names[0]) if names else "",
        frozenset(tail for name in names for tail in (name, _tail(name))),
    )


def changes_span(alert: Mapping[str, Any]) -> tuple[datetime, datetime]:
    """Return the first and the last time whose events count."""
    start = datetime.fromisoformat(alert["start_hour_utc"])
    return start - _BEFORE, start + (_AFTER_OF_DAY if alert["granularity"] == "day" else _AFTER)


def not_read(reason: str) -> tuple[list[Change], str]:
    """Return no changes, and the note that the alert keeps."""
    return [], f"CloudTrail was not read: {reason}"


def find_changes(alert: Mapping[str, Any], events: Iterable[Event], limit: str = "") -> tuple[list[Change], str]:
    """Return an alert's `changes` and `changes_note`. `limit` is the reason why some events are missing."""
    changes = rank_changes(alert, events)
    return changes, "; ".join(text for text in ("" if changes else _NOTHING_FITS, limit) if text)


def rank_changes(alert: Mapping[str, Any], events: Iterable[Event]) -> list[Change]:
    """Return up to three changes that may have caused an incident, the likeliest first. There may be none."""
    first, last = changes_span(alert)
    near = [event for event in events if first <= event.time <= last and _is_of_the_place(alert, event)]
    calls = Counter((event.name, event.actor) for event in near)
    ranking = _Ranking(alert)
    scored = [ranking.score(event, calls[event.name, event.actor]) for event in near if ranking.is_candidate(event)]
    likely = sorted(
        (each for each in scored if each.points >= _LEAST_POINTS_OF_OTHERS),
        key=lambda each: (-each.points, max(ranking.hours_before(each.event), 0.0), each.event.event_id),
    )
    if not likely or likely[0].points < _LEAST_POINTS:
        return []
    best: dict[tuple[str, str], Change] = {}
    for each in likely:
        best.setdefault((each.event.name, each.event.actor), _change(each.event, each.reason))
    return list(best.values())[:_MAX_CHANGES]


class _Scored(NamedTuple):
    points: int
    event: Event
    reason: str


class _Ranking:
    """Points of events for one alert."""

    def __init__(self, alert: Mapping[str, Any]) -> None:
        self._start = datetime.fromisoformat(alert["start_hour_utc"])
        self._is_daily = alert["granularity"] == "day"
        self._of_cause = _BY_CAUSE.get(alert["incident_class"], frozenset())
        self._of_class = _BY_CLASS.get(alert["egress_class"], _BY_OTHER_CLASS)
        self._times = _TIMES_LONGER.get(alert["incident_class"], 1.0)
        ids = [row["resource_id"] for row in alert["contributors"] if row["resource_id"] not in ("", SUMMED)]
        self._resources = frozenset(tail for name in ids for tail in (name, _tail(name)))
        self._forms = {_form(name) for name in self._resources} - {""}
        self._has_bucket = any(not _form(name) and ":" not in name for name in ids)

    def is_candidate(self, event: Event) -> bool:
        fits = event.name in self._of_cause or event.name in self._of_class
        return fits or not self._resources.isdisjoint(event.names)

    def score(self, event: Event, calls: int) -> _Scored:
        """Return the points of an event with the resource that it shares, and why it fits."""
        shared = min(event.names & self._resources, default="")
        fits_cause = event.name in self._of_cause
        fits = fits_cause or event.name in self._of_class
        points, reasons = self._nearness(event), [self._when(event)]
        if fits:
            points += _CAUSE if fits_cause else _CLASS if self._of_cause else _CLASS_ALONE
            what = "the likely cause" if fits_cause else "this kind of data transfer"
            reasons.insert(0, f"the call fits {what}")
        if shared:
            points += _RESOURCE if fits else _RESOURCE_ALONE
            reasons.insert(0, "it names the resource")
        elif self._is_about_another(event):
            points += _OTHER_RESOURCE
        points += _SERVICE if event.is_of_a_service else _ACTOR
        points += _RARE if calls <= _RARE_CALLS else _ROUTINE if calls > _ROUTINE_CALLS else 0
        return _Scored(points, event._replace(resource=shared or event.resource), "; ".join(reasons))

    def hours_before(self, event: Event) -> float:
        """Return by how many hours an event came before the start."""
        return (self._start - event.time) / timedelta(hours=1)

    def _is_about_another(self, event: Event) -> bool:
        """Return whether an event that names no resource of the incident names another one of the same form."""
        if self._has_bucket and "Bucket" in event.name:
            return True
        return bool(self._forms) and any(_form(name) in self._forms for name in event.names)

    def _nearness(self, event: Event) -> int:
        hours = self.hours_before(event)
        if self._is_daily:
            return _NEARNESS[-1][1] if hours <= _NEARNESS[-1][0] else 0
        return next((points for limit, points in _NEARNESS if hours <= limit * self._times), 0)

    def _when(self, event: Event) -> str:
        minutes = round(60 * self.hours_before(event))
        if minutes <= 0:
            return "on the first day" if self._is_daily else "in the first hour"
        return f"{minutes} min before the start" if minutes < 120 else f"{minutes / 60:.1f} h before the start"


def _form(name: str) -> str:
    """Return the prefix of an EC2 id, such as i for i-0abc. A bucket has none."""
    prefix, _, rest = name.partition("-")
    return prefix if len(rest) >= _ID_DIGITS and not set(rest) - set("0123456789abcdef") else ""


def _change(event: Event, reason: str) -> Change:
    return {
        "time_utc": f"{event.time:%Y-%m-%dT%H:%M:%SZ}",
        "event_name": event.name,
        "actor": event.actor,
        "resource": event.resource,
        "event_id": event.event_id,
        "reason": reason,
    }


def _is_of_the_place(alert: Mapping[str, Any], event: Event) -> bool:
    if event.account_id != alert["account_id"]:
        return False
    return alert["region"] in (event.region, SUMMED) or event.source in GLOBAL_SOURCES


def _names(value: Any) -> Iterator[str]:
    """Yield the texts of a part of a record that may be names: not sentences, and not documents."""
    if isinstance(value, str):
        if 2 < len(value) <= _MAX_NAME and " " not in value and not value.startswith(("{", "http")):
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _names(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _names(inner)


def _tail(name: str) -> str:
    """Return the last part of an ARN or a path."""
    return name.rpartition(":")[2].rpartition("/")[2]
