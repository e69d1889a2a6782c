"""Definitions of state machines and event patterns, as the configuration makes them; the provider is mocked."""

import copy
import json
from typing import Any

import pytest
from moto.events.models import EventPattern

from local_aws.asl import check_definition
from tests.support.mocked import of_type
from tests.support.terraform import ROOT, require_terraform

pytestmark = pytest.mark.integration

BUCKET = "egress-sentinel-111122223333-eu-west-1"


@pytest.fixture(scope="module", autouse=True)
def _needs_terraform() -> None:
    require_terraform()


def test_step_functions_accepts_the_definitions() -> None:
    machines = of_type("aws_sfn_state_machine")
    assert len(machines) == 3
    for address, machine in machines.items():
        assert check_definition(machine["definition"]) == [], address


def test_a_state_has_room_for_what_a_run_adds() -> None:
    """The SQL is part of each state's data; of 256 KB half is left for files, errors and interfaces."""
    for address, machine in of_type("aws_sfn_state_machine").items():
        states = json.loads(machine["definition"])["States"]
        carried = [state.get("Parameters", {}) for state in states.values() if state["Type"] == "Pass"]
        assert sum(len(json.dumps(parameters)) for parameters in carried) < 128 * 1024, address


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
S3 = json.loads((ROOT / "tests" / "events" / "s3_object_created.json").read_text(encoding="utf-8"))
# https://docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html
JOB = {
    **{name: S3[name] for name in ("version", "id", "account", "time", "region")},
    "detail-type": "SageMaker Transform Job State Change",
    "source": "aws.sagemaker",
    "resources": ["arn:aws:sagemaker:us-east-1:111122223333:transform-job/egress-sentinel-batch-0a1b"],
    "detail": {
        "TransformJobName": "egress-sentinel-batch-0a1b",
        "TransformJobArn": "arn:aws:sagemaker:us-east-1:111122223333:transform-job/egress-sentinel-batch-0a1b",
        "TransformJobStatus": "Completed",
        "ModelName": "egress-sentinel-0a1b",
        "MaxConcurrentTransforms": 0,
        "CreationTime": 1583831889050,
        "TransformStartTime": 1583831889050,
        "Tags": {},
    },
}
# https://docs.aws.amazon.com/batch/latest/userguide/batch_cwe_events.html
LARGE_FILE = {
    **{name: S3[name] for name in ("version", "id", "account", "time", "region")},
    "detail-type": "Batch Job State Change",
    "source": "aws.batch",
    "resources": ["arn:aws:batch:eu-west-1:111122223333:job/4c7599ae-0a82-49aa-ba5a-4727fcce14a8"],
    "detail": {
        "jobArn": "arn:aws:batch:eu-west-1:111122223333:job/4c7599ae-0a82-49aa-ba5a-4727fcce14a8",
        "jobName": "egress-sentinel-batch-0a1b",
        "jobId": "4c7599ae-0a82-49aa-ba5a-4727fcce14a8",
        "jobQueue": "arn:aws:batch:eu-west-1:111122223333:job-queue/egress-sentinel-large-files",
        "status": "SUCCEEDED",
        "attempts": [],
        "statusReason": "Essential container in task exited",
    },
}
# https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
ALARM = {
    **{name: S3[name] for name in ("version", "id", "account", "time", "region")},
    "detail-type": "CloudWatch Alarm State Change",
    "source": "aws.cloudwatch",
    "resources": ["arn:aws:cloudwatch:us-east-1:111122223333:alarm:errors"],
    "detail": {
        "alarmName": "errors",
        "configuration": {"description": "...", "metrics": []},
        "previousState": {"value": "OK", "reason": "...", "timestamp": "2026-10-03T04:05:13.000+0000"},
        "state": {"value": "ALARM", "reason": "...", "timestamp": "2026-10-03T04:05:13.000+0000"},
    },
}


def changed(event: dict[str, Any], *path: str, to: Any) -> dict[str, Any]:
    found = copy.deepcopy(event)
    inner = found
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = to
    return found


def put(key: str, bucket: str = BUCKET) -> dict[str, Any]:
    return changed(changed(S3, "detail", "bucket", "name", to=bucket), "detail", "object", "key", to=key)


# For each rule with a pattern: events that match, and events that do not.
EVENTS: dict[str, tuple[list[dict[str, Any]], list[dict[str, Any]]]] = {
    'module.detection.module.function[0].aws_cloudwatch_event_rule.this["features"]': (
        [put("features/day=2026-10-02/athena.parquet")],
        [
            put("history/day=2026-10-02/athena.parquet"),
            put("features/day=2026-10-02/athena.parquet", bucket="another"),
            changed(put("features/a.parquet"), "detail-type", to="Object Deleted"),
        ],
    ),
    'module.batch.module.function.aws_cloudwatch_event_rule.this["dropped"]': (
        [put("batch/input/a b.csv")],
        [put("batch/output/a.csv"), put("features/batch/input/a.csv")],
    ),
    'module.batch.module.function.aws_cloudwatch_event_rule.this["ended"]': (
        [changed(JOB, "detail", "TransformJobStatus", to=status) for status in ("Completed", "Failed", "Stopped")],
        [
            changed(JOB, "detail", "TransformJobStatus", to="InProgress"),
            changed(JOB, "detail", "TransformJobName", to="another-job"),
        ],
    ),
    'module.batch.module.function.aws_cloudwatch_event_rule.this["ended-in-aws-batch"]': (
        [changed(LARGE_FILE, "detail", "status", to=status) for status in ("SUCCEEDED", "FAILED")],
        [
            changed(LARGE_FILE, "detail", "status", to="RUNNING"),
            changed(LARGE_FILE, "detail", "jobQueue", to="arn:aws:batch:eu-west-1:111122223333:job-queue/another"),
        ],
    ),
    "module.features[0].aws_cloudwatch_event_rule.export": (
        [put("exports/egress/metadata/BILLING_PERIOD=2026-10/egress-Manifest.json")],
        [
            put("exports/egress/data/BILLING_PERIOD=2026-10/egress-00001.snappy.parquet"),
            put("exports/other/metadata/a"),
        ],
    ),
    "module.retraining[0].aws_cloudwatch_event_rule.alarm[0]": (
        [ALARM, changed(ALARM, "detail", "alarmName", to="egress-sentinel-drift")],
        [
            changed(ALARM, "detail", "state", "value", to="OK"),
            changed(ALARM, "detail", "alarmName", to="another"),
        ],
    ),
}


def patterns() -> dict[str, str]:
    rules = of_type("aws_cloudwatch_event_rule")
    made_up = of_type("aws_s3_bucket")["module.storage.aws_s3_bucket.this[0]"]["id"]
    found = {address: rule["event_pattern"] for address, rule in rules.items() if rule["event_pattern"]}
    return {address: pattern.replace(made_up, BUCKET) for address, pattern in found.items()}


def test_each_rule_with_a_pattern_has_documented_events() -> None:
    assert patterns().keys() == EVENTS.keys()


@pytest.mark.parametrize("rule", EVENTS)
def test_a_pattern_matches_its_events_alone(rule: str) -> None:
    pattern = EventPattern.load(patterns()[rule])
    own, others = EVENTS[rule]
    others = [*others, *(event for name, (events, _) in EVENTS.items() if name != rule for event in events)]
    assert all(pattern.matches_event(event) for event in own)
    assert not any(pattern.matches_event(event) for event in others)
