"""State machines of the local AWS: executed, validated, started by an alarm."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from local_aws import LocalAws

pytestmark = pytest.mark.integration

ROLE = "arn:aws:iam::123456789012:role/r"


@pytest.fixture(scope="module")
def aws() -> Iterator[LocalAws]:
    with LocalAws() as aws:
        yield aws


def machine(aws: LocalAws, name: str, state: dict[str, Any]) -> str:
    definition = {"StartAt": "One", "States": {"One": {**state, "End": True}}}
    created = aws.client("stepfunctions").create_state_machine(
        name=name, roleArn=ROLE, definition=json.dumps(definition)
    )
    return str(created["stateMachineArn"])


def ended(aws: LocalAws, arn: str) -> dict[str, Any]:
    while (found := aws.client("stepfunctions").describe_execution(executionArn=arn))["status"] == "RUNNING":
        time.sleep(0.1)
    return found  # type: ignore[no-any-return]


def test_an_alarm_that_goes_off_starts_a_machine(aws: LocalAws) -> None:
    arn = machine(aws, "started-by-drift", {"Type": "Pass"})
    cloudwatch, events = aws.client("cloudwatch"), aws.client("events")
    cloudwatch.put_metric_alarm(
        AlarmName="drift",
        Namespace="EgressSentinel",
        MetricName="DriftedFeatures",
        Statistic="Maximum",
        Period=3600,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
    )
    pattern = {
        "source": ["aws.cloudwatch"],
        "detail-type": ["CloudWatch Alarm State Change"],
        "detail": {"alarmName": ["drift"], "state": {"value": ["ALARM"]}},
    }
    events.put_rule(Name="drift", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="drift", Targets=[{"Id": "machine", "Arn": arn, "RoleArn": ROLE}])
    states = aws.client("stepfunctions")
    answer = requests.get(f"{aws.url}/local/alarms", timeout=30)
    assert answer.status_code == 200, aws.log_tail()
    assert answer.json() == {"drift": "OK"}
    assert states.list_executions(stateMachineArn=arn)["executions"] == []
    cloudwatch.put_metric_data(Namespace="EgressSentinel", MetricData=[{"MetricName": "DriftedFeatures", "Value": 2}])
    answer = requests.get(f"{aws.url}/local/alarms", timeout=30)
    assert answer.status_code == 200, aws.log_tail()
    assert answer.json() == {"drift": "ALARM"}
    (execution,) = states.list_executions(stateMachineArn=arn)["executions"]
    received = json.loads(ended(aws, execution["executionArn"])["input"])
    assert received["detail"]["alarmName"] == "drift"


def test_a_service_that_refuses_fails_the_task_with_its_words(aws: LocalAws) -> None:
    parameters = {"TrainingJobName": "j", "RoleArn": "no role", "OutputDataConfig": {"S3OutputPath": "s3://b"}}
    task = {"Type": "Task", "Resource": "arn:aws:states:::sagemaker:createTrainingJob.sync", "Parameters": parameters}
    arn = machine(aws, "refused", task)
    started = aws.client("stepfunctions").start_execution(stateMachineArn=arn, input="{}")["executionArn"]
    execution = ended(aws, started)
    assert execution["status"] == "FAILED"
    assert execution["error"] == "Sagemaker.ValidationException"
    assert "roleArn" in execution["cause"]


def test_a_machine_waits_for_another_and_reports_its_failure(aws: LocalAws) -> None:
    states = aws.client("stepfunctions")
    choice = {"Variable": "$.works", "BooleanEquals": True, "Next": "Good"}
    inner = {
        "StartAt": "Which",
        "States": {
            "Which": {"Type": "Choice", "Choices": [choice], "Default": "Bad"},
            "Good": {"Type": "Succeed"},
            "Bad": {"Type": "Fail", "Error": "Broken", "Cause": "it had to"},
        },
    }
    created = states.create_state_machine(name="inner", roleArn=f"{ROLE}-inner", definition=json.dumps(inner))
    for works, status in ((True, "SUCCEEDED"), (False, "FAILED")):
        parameters = {"StateMachineArn": created["stateMachineArn"], "Input": {"works": works}}
        task = {"Type": "Task", "Resource": "arn:aws:states:::states:startExecution.sync:2", "Parameters": parameters}
        arn = machine(aws, f"outer-{works}", task)
        execution = ended(aws, states.start_execution(stateMachineArn=arn, input="{}")["executionArn"])
        assert execution["status"] == status
    cause = json.loads(execution["cause"])
    assert (execution["error"], cause["Status"], cause["Error"]) == ("States.TaskFailed", "FAILED", "Broken")
    assert cause["Cause"] == "it had to"
    calls = requests.get(f"{aws.url}/local/requests", timeout=30).json()
    assert {call["access_key"] for call in calls if call["action"] == "StartExecution"} == {"local", "r"}


def test_a_definition_is_validated(aws: LocalAws) -> None:
    validate = aws.client("stepfunctions").validate_state_machine_definition
    good = {"StartAt": "One", "States": {"One": {"Type": "Pass", "End": True}}}
    assert validate(definition=json.dumps(good))["result"] == "OK"
    bad = validate(definition=json.dumps({"StartAt": "One", "States": {"One": {"Type": "Walk"}}}))
    assert bad["result"] == "FAIL"
    assert bad["diagnostics"]
