"""How often the change that caused an incident is among the three that the alert names.

    python -m benchmarks.changes                  # the reported seeds; --development for the development seeds

Each history has 10,000 write events of CloudTrail, as raw records. They are spread over the day around an incident, or
all in the seven hours whose events the alert uses. The generator imports nothing of the ranker. Machines make nearly
all events: autoscaling, controllers, log groups, a busy deployment pipeline, scheduled jobs. People and deployment
roles make 10 to 60 unrelated changes of any kind, some of them on the incident's resource. One change caused the
incident, minutes to hours before it. A person, a deployment role or the busy pipeline made it, sometimes by a call that
is rare in practice. The alert has the right likely cause in 85 of 100 incidents, none in 10, and a wrong one in 5. Half
of the histories have no such change.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import mean, stdev
from typing import TYPE_CHECKING, Any

from egress_alerts.changes import rank_changes, read_event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DEVELOPMENT_SEEDS, REPORTED_SEEDS = range(1, 6), range(101, 111)
HISTORIES, EVENTS = 20, 10_000
BEFORE_HOURS, AFTER_HOURS = 6.0, 1.0
# Hours over which a history is spread, half of the rest before and half after the seven.
SPANS = {"over a day": 24.0, "within the seven hours": 7.0}
ACCOUNT, REGION = "111122223333", "eu-west-1"
PEOPLE = ("alice", "bob", "carol", "dinesh", "emeka")
ROLES = ("terraform", "deploy-web", "deploy-data", "platform-admin")
PIPELINE, SCHEDULER = "ci-pipeline", "airflow-worker"


@dataclass(frozen=True)
class Kind:
    """A kind of incident: its class, the form of the resource's id, and the calls that cause it, with weights.

    A call that begins with + names the incident's resource. `delay_hours` is the usual time until the bytes flow.
    """

    egress_class: str
    resource: str
    calls: dict[str, float]
    delay_hours: float = 0.5


INSTANCE, BUCKET = "i-{}", "bucket-{}"
NAT = f"arn:aws:ec2:{REGION}:{ACCOUNT}:natgateway/nat-{{}}"
DISTRIBUTION = f"arn:aws:cloudfront::{ACCOUNT}:distribution/E{{}}"
KINDS = {
    "s3_through_nat": Kind("nat_gateway", NAT, {
        "DeleteVpcEndpoints": 4, "+CreateRoute": 2, "+ReplaceRoute": 2, "RunJobFlow": 2, "SubmitJob": 2,
        "ReplaceRouteTableAssociation": 1, "StartJobRun": 1, "ModifyVpcEndpoint": 1, "StartPipelineExecution": 1,
    }),
    "image_pulls": Kind("nat_gateway", NAT, {
        "UpdateService": 4, "RegisterTaskDefinition": 3, "UpdateAutoScalingGroup": 2, "CreateNodegroup": 1,
        "UpdateNodegroupConfig": 1, "PutImage": 2, "PutScalingPolicy": 1,
    }),
    "zone_chatter": Kind("inter_az", INSTANCE, {
        "UpdateService": 3, "ModifyLoadBalancerAttributes": 2, "ModifyTargetGroupAttributes": 1, "CreateStack": 1,
        "+RunInstances": 3, "UpdateAutoScalingGroup": 2, "CreateReplicationGroup": 1, "SetSubnets": 1,
        "ModifyDBInstance": 1, "UpdateClusterConfig": 0.5,
    }),
    "hot_link": Kind("internet", BUCKET, {
        "+PutBucketPolicy": 4, "+DeleteBucketPublicAccessBlock": 2, "+PutBucketAcl": 1, "+PutBucketWebsite": 1,
        "UpdateDistribution": 2, "ChangeResourceRecordSets": 1,
    }, 1.0),
    "cdn_miss": Kind("cloudfront_origin", DISTRIBUTION, {
        "+UpdateDistribution": 5, "UpdateCachePolicy": 2, "+CreateInvalidation": 2, "UpdateOriginRequestPolicy": 1,
        "PublishFunction": 1, "UpdateResponseHeadersPolicy": 0.5,
    }),
    "log_loop": Kind("internet", INSTANCE, {
        "SendCommand": 3, "UpdateAssociation": 1, "+RunInstances": 2, "CreateDeployment": 3, "UpdateStack": 2,
        "PutParameter": 1, "UpdateFunctionConfiguration20150331v2": 1, "PutSubscriptionFilter": 1,
    }, 2.0),
    "new_replica": Kind("inter_region", BUCKET, {
        "+PutBucketReplication": 5, "CreateBackupPlan": 2, "UpdateBackupPlan": 1, "CreateDBInstanceReadReplica": 1,
        "CreateJob": 1, "StartTaskExecution": 1, "PutReplicationConfiguration": 1, "CreateAccessPoint": 0.5,
    }),
    "exfiltration": Kind("internet", INSTANCE, {
        "CreateAccessKey": 2, "AuthorizeSecurityGroupEgress": 2, "AttachUserPolicy": 1, "SendCommand": 2,
        "StartSession": 2, "PutBucketPolicy": 1, "ModifySnapshotAttribute": 1, "+ModifyInstanceAttribute": 1,
    }),
    "leaked_key": Kind("internet", INSTANCE, {
        "+RunInstances": 6, "CreateAccessKey": 2, "RequestSpotInstances": 1, "CreateFunction20150331": 1,
        "EnableRegion": 1,
    }),
    "new_resource": Kind("internet", INSTANCE, {
        "+RunInstances": 6, "CreateStack": 1, "CreateService": 1, "CreateAutoScalingGroup": 1, "UpdateStack": 1,
    }),
    "fleet": Kind("internet", INSTANCE, {
        "CreateDeployment": 3, "SendCommand": 2, "CreateLaunchTemplateVersion": 1, "StartInstanceRefresh": 1,
        "UpdateService": 2, "ExecuteChangeSet": 1,
    }, 1.0),
}  # fmt: skip
# Changes that people and deployment roles make all day; those of the kinds above come on top.
_ORDINARY = (
    "CreateTags DeleteTags ModifyInstanceAttribute StartInstances StopInstances RunInstances TerminateInstances "
    "AuthorizeSecurityGroupIngress AuthorizeSecurityGroupEgress RevokeSecurityGroupIngress CreateSecurityGroup "
    "PutBucketPolicy PutBucketLifecycleConfiguration PutBucketTagging CreateBucket PutBucketEncryption CreateRole "
    "PutRolePolicy AttachRolePolicy CreateAccessKey UpdateAccessKey CreatePolicyVersion ConsoleLogin PutMetricAlarm "
    "DeleteAlarms PutDashboard UpdateStack CreateChangeSet ExecuteChangeSet UpdateFunctionCode20150331v2 "
    "UpdateFunctionConfiguration20150331v2 PublishLayerVersion20181031 UpdateService RegisterTaskDefinition "
    "CreateLaunchTemplateVersion UpdateAutoScalingGroup ModifyDBInstance CreateDBSnapshot ModifyDBParameterGroup "
    "UpdateDistribution CreateInvalidation ChangeResourceRecordSets RequestCertificate PutParameter CreateSecret "
    "PutSecretValue UpdateTable CreateTopic Subscribe SetQueueAttributes PutRule PutTargets CreateLogGroup "
    "PutRetentionPolicy CreateVolume AttachVolume CreateImage SendCommand StartSession StartBuild UpdateProject"
)
ORDINARY = tuple(_ORDINARY.split())
# Calls of machines: actor, whether an AWS service acts by itself, and weight.
MACHINES = (
    ("CreateLogStream", "lambda-worker", False, 24), ("CreateLogGroup", "lambda-worker", False, 2),
    ("RunInstances", "AWSServiceRoleForAutoScaling", True, 3), ("CreateTags", "AWSServiceRoleForAutoScaling", True, 6),
    ("TerminateInstances", "AWSServiceRoleForAutoScaling", True, 3),
    ("CreateFleet", "AWSServiceRoleForEC2Fleet", True, 1),
    ("RegisterTargets", "AWSServiceRoleForECS", True, 5), ("DeregisterTargets", "AWSServiceRoleForECS", True, 5),
    ("CreateNetworkInterface", "AWSServiceRoleForECS", True, 5), ("CreateGrant", "backup-service", True, 3),
    ("CreateSnapshot", "backup-service", True, 3), ("StartCopyJob", "backup-service", True, 1),
    ("ChangeResourceRecordSets", "external-dns", False, 4), ("AttachVolume", "ebs-csi", False, 3),
    ("RegisterTargets", "load-balancer-controller", False, 3), ("SendCommand", "patch-manager", False, 3),
    ("UpdateInstanceInformation", "instance-role", False, 10), ("StartJobRun", SCHEDULER, False, 2),
    ("SubmitJob", SCHEDULER, False, 3), ("PutParameter", "config-sync", False, 2),
    ("RegisterTaskDefinition", PIPELINE, False, 2), ("UpdateService", PIPELINE, False, 2),
    ("PutImage", PIPELINE, False, 4),
)  # fmt: skip


class History:
    """Raw records around an incident, and the id of the one that caused it; "" where none did."""

    def __init__(self, rng: random.Random, span_hours: float, *, has_cause: bool) -> None:
        self._rng = rng
        self._margin_hours = (span_hours - BEFORE_HOURS - AFTER_HOURS) / 2
        self.start = datetime(2026, 3, 2, tzinfo=UTC) + timedelta(hours=rng.randrange(24 * 60))
        self.kind = rng.choice(list(KINDS))
        self.resource = KINDS[self.kind].resource.format(self._id())
        ordinary = [self._ordinary() for _ in range(rng.randint(10, 60))]
        causing = [self._causing()] if has_cause else []
        self.cause = causing[0]["eventID"] if causing else ""
        weights = [weight for *_, weight in MACHINES]
        machines = rng.choices(MACHINES, weights, k=EVENTS - len(ordinary) - len(causing))
        self.records = [*(self._machine(*machine[:3]) for machine in machines), *ordinary, *causing]
        rng.shuffle(self.records)

    def alert(self) -> dict[str, Any]:
        """Return the fields of the alert that the ranker reads."""
        own, luck = KINDS[self.kind], self._rng.random()
        others = [name for name, kind in KINDS.items() if kind.egress_class == own.egress_class and name != self.kind]
        wrong = self._rng.choice(others) if others else ""
        return {
            "account_id": ACCOUNT,
            "region": REGION,
            "start_hour_utc": f"{self.start:%Y-%m-%dT%H:00:00Z}",
            "granularity": "hour",
            "egress_class": own.egress_class,
            "incident_class": self.kind if luck < 0.85 else "" if luck < 0.95 else wrong,
            "contributors": [{"resource_id": self.resource}],
        }

    def _causing(self) -> dict[str, Any]:
        kind = KINDS[self.kind]
        call = self._rng.choices(list(kind.calls), list(kind.calls.values()))[0]
        # The bytes begin somewhere in the first hour, after a delay that is long for some.
        delay = min(self._rng.expovariate(1 / kind.delay_hours), BEFORE_HOURS)
        at = self.start + timedelta(hours=self._rng.random() - delay)
        luck = self._rng.random()
        who = self._person() if luck < 0.4 else _role(self._rng.choice(ROLES) if luck < 0.9 else PIPELINE)
        return self._record(call.removeprefix("+"), who, at, self.resource if call.startswith("+") else "")

    def _machine(self, call: str, actor: str, is_service: bool) -> dict[str, Any]:
        who = _role(actor)
        if is_service:
            who = {**who, "invokedBy": "autoscaling.amazonaws.com"}
            who["arn"] = who["arn"].replace(f"/{actor}/", f"/aws-service-role/{actor}/")
        return self._record(call, who, self._moment())

    def _ordinary(self) -> dict[str, Any]:
        """Return a change that has nothing to do with the incident; three of a hundred tag its resource."""
        who = self._person() if self._rng.random() < 0.5 else _role(self._rng.choice(ROLES))
        if self._rng.random() < 0.03:
            return self._record("CreateTags", who, self._moment(), self.resource)
        return self._record(self._rng.choice(_ORDINARY_AND_FIRST), who, self._moment())

    def _record(self, call: str, who: dict[str, Any], at: datetime, resource: str = "") -> dict[str, Any]:
        """Return a record; one of another resource than the incident's names a resource of the kind that it changes."""
        asked, answered = self._parameters(call, resource)
        source = _source(call)
        return {
            "eventVersion": "1.10",
            "eventID": self._id() + self._id(),
            "eventTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "eventName": call,
            "eventSource": source,
            "awsRegion": "us-east-1" if source.startswith(("iam", "cloudfront")) else REGION,
            "readOnly": False,
            "managementEvent": True,
            "recipientAccountId": ACCOUNT,
            "userIdentity": who,
            "requestParameters": asked,
            "responseElements": answered,
        }

    def _parameters(self, call: str, resource: str) -> tuple[dict[str, Any], dict[str, Any] | None]:
        if call in {"RunInstances", "CreateFleet"}:
            made = [{"instanceId": resource or f"i-{self._id()}"}]
            return {"imageId": f"ami-{self._id()}"}, {"instancesSet": {"items": made}}
        if "Bucket" in call:
            return {"bucketName": resource or f"bucket-{self._id()}", "Host": "s3.eu-west-1.amazonaws.com"}, None
        if "Distribution" in call or "Invalidation" in call:
            return {"id": resource.rpartition("/")[2] or f"E{self._id()}"}, None
        if call in _ON_INSTANCES:
            return {"instancesSet": {"items": [{"instanceId": resource or f"i-{self._id()}"}]}}, None
        if "Route" in call:
            gateway = resource.rpartition("/")[2] or f"nat-{self._id()}"
            return {"routeTableId": f"rtb-{self._id()}", "natGatewayId": gateway}, None
        return {"resourceId": resource or f"res-{self._id()}", "clientToken": self._id()}, None

    def _person(self) -> dict[str, Any]:
        name = self._rng.choice(PEOPLE)
        return {"type": "IAMUser", "arn": f"arn:aws:iam::{ACCOUNT}:user/{name}", "accountId": ACCOUNT}

    def _moment(self) -> datetime:
        margin = self._margin_hours
        return self.start + timedelta(hours=self._rng.uniform(-BEFORE_HOURS - margin, AFTER_HOURS + margin))

    def _id(self) -> str:
        return f"{self._rng.getrandbits(62):017x}"


_ON_INSTANCES = {"StartInstances", "StopInstances", "TerminateInstances", "ModifyInstanceAttribute"}
_ORDINARY_AND_FIRST = (*ORDINARY, *(call.removeprefix("+") for kind in KINDS.values() for call in list(kind.calls)[:1]))


def _role(name: str) -> dict[str, Any]:
    return {"type": "AssumedRole", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/session"}


def _source(call: str) -> str:
    if call in {"CreateAccessKey", "AttachUserPolicy", "CreateRole", "PutRolePolicy", "AttachRolePolicy"}:
        return "iam.amazonaws.com"
    of_cloudfront = ("Distribution", "Invalidation", "CachePolicy", "OriginRequest", "PublishFunction")
    if any(word in call for word in of_cloudfront):
        return "cloudfront.amazonaws.com"
    return "ec2.amazonaws.com"


@dataclass(frozen=True)
class Result:
    """One history: the kind, the place of the right change (0: not named), and how many changes were named."""

    kind: str
    has_cause: bool
    place: int
    named: int


def measured(seed: int, histories: int = HISTORIES, span_hours: float = SPANS["over a day"]) -> list[Result]:
    """Return the results of a seed: as many histories with a cause as without."""
    rng = random.Random(seed)  # noqa: S311 - histories are drawn, nothing is kept secret
    found = []
    for number in range(2 * histories):
        history = History(rng, span_hours, has_cause=number % 2 == 0)
        events = [event for record in history.records if (event := read_event(record))]
        alert: Any = history.alert()
        ids = [change["event_id"] for change in rank_changes(alert, events)]
        place = ids.index(history.cause) + 1 if history.cause in ids else 0
        found.append(Result(history.kind, bool(history.cause), place, len(ids)))
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, and print JSON or a table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.changes", description=__doc__.partition("\n")[0])
    parser.add_argument("--development", action="store_true", help="the seeds of development")
    parser.add_argument("--histories", type=int, default=HISTORIES, help="with a cause, for each seed")
    options = parser.parse_args(arguments)
    seeds = DEVELOPMENT_SEEDS if options.development else REPORTED_SEEDS
    for text, hours in SPANS.items():
        by_seed = [measured(seed, options.histories, hours) for seed in seeds]
        print(json.dumps({f"10,000 events {text}": dict(_figures(by_seed))}, indent=2), flush=True)
    return 0


def _figures(by_seed: list[list[Result]]) -> Iterator[tuple[str, Any]]:
    results = [result for of_seed in by_seed for result in of_seed]
    with_cause = [result for result in results if result.has_cause]
    without = [result for result in results if not result.has_cause]
    yield "histories", {"with a cause": len(with_cause), "without": len(without), "seeds": len(by_seed)}
    for text, most in (("right change in the top three", 3), ("right change first", 1)):
        rates = [_rate([0 < r.place <= most for r in of_seed if r.has_cause]) for of_seed in by_seed]
        yield text, _spread(rates) | {"interval": _wilson([0 < r.place <= most for r in with_cause])}
    yield "names nothing although there was a cause", _rate([r.named == 0 for r in with_cause])
    rates = [_rate([r.named > 0 for r in of_seed if not r.has_cause]) for of_seed in by_seed]
    yield (
        "names something although nothing caused it",
        _spread(rates) | {"interval": _wilson([r.named > 0 for r in without])},
    )
    yield "changes named where nothing caused it", round(mean(r.named for r in without), 2)
    yield (
        "top three by kind",
        {
            kind: f"{sum(r.place > 0 for r in of_kind)} of {len(of_kind)}"
            for kind in KINDS
            if (of_kind := [r for r in with_cause if r.kind == kind])
        },
    )


def _rate(flags: list[bool]) -> float:
    return round(sum(flags) / max(len(flags), 1), 3)


def _spread(rates: list[float]) -> dict[str, Any]:
    deviation = round(stdev(rates), 3) if len(rates) > 1 else 0.0
    return {"mean": round(mean(rates), 3), "of seeds": [min(rates), max(rates)], "standard deviation": deviation}


def _wilson(flags: list[bool], z: float = 1.96) -> list[float]:
    n, p = len(flags), sum(flags) / max(len(flags), 1)
    middle, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return [round((middle - half) / (1 + z * z / n), 3), round((middle + half) / (1 + z * z / n), 3)]


if __name__ == "__main__":
    sys.exit(main())
