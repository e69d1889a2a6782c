"""From the bill to a registered model that serves."""

import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from boto3.dynamodb.types import TypeSerializer

from egress_sentinel.pipeline.feedback import judge, put_in_table
from tests.support.applied import (
    deliver_bill,
    ended,
    forget_alerts,
    read_messages,
    wait_for,
)
from tests.support.stack import Stack


def retrain(stack: Stack, name: str) -> dict[str, Any]:
    """Run the state machine and return the execution."""
    states = stack.aws.client("stepfunctions")
    machine = stack.outputs()["retraining_state_machine_arn"]
    arn = states.start_execution(stateMachineArn=machine, name=name, input="{}")["executionArn"]
    return wait_for(lambda: ended(states.describe_execution(executionArn=arn)), seconds=180)  # type: ignore[no-any-return]


def alerts_on_a_day(stack: Stack) -> int:
    """Store two alerts on a day of the training set, one of them called false; return the hours of the other one."""
    s3, bucket = stack.aws.client("s3"), stack.outputs()["bucket"]
    keys = [o["Key"] for o in s3.list_objects_v2(Bucket=bucket, Prefix="history/")["Contents"]]
    key = sorted(key for key in keys if key.endswith("athena.parquet"))[10]
    rows = pq.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read())).to_pylist()
    names = ("account_id", "region", "service", "egress_class", "resource_id")
    first, *_, last = sorted({tuple(row[name] for name in names) for row in rows})
    day = key.split("day=")[1][:10]
    alerts = [
        {
            "alert_id": alert_id,
            **dict(zip(names, series, strict=True)),
            "contributors": [dict(zip(names[1:], series[1:], strict=True))],
            "start_hour_utc": f"{day}T00:00:00Z",
            "end_hour_utc": f"{day}T23:00:00Z",
            "suppressed_by": "",
        }
        for alert_id, series in (("unjudged", first), ("false", last))
    ]
    dynamodb, table = stack.aws.client("dynamodb"), stack.outputs()["alerts_table"]
    for alert in alerts:
        dynamodb.put_item(TableName=table, Item={n: TypeSerializer().serialize(v) for n, v in alert.items()})
    put_in_table(dynamodb, table, [judge(alerts[1], "false")])
    return sum(tuple(row[name] for name in names) == first for row in rows)


def test_retraining_runs_from_the_bill_to_a_model_that_serves(stacks: dict[str, Stack], tmp_path: Path) -> None:
    """Both state machines, the training job with the real script, the registry, the message, and the promotion."""
    stack = stacks["complete"]
    messages = read_messages(stack)
    forget_alerts(stack)
    deliver_bill(stack, tmp_path, days=28)
    done = retrain(stack, "weekly-1")
    assert done["status"] == "SUCCEEDED", done
    arn = json.loads(done["output"])["registered"]["model_package_arn"]
    (message,) = [m for m in messages() if m.get("Subject") == "A new model waits for approval"]
    assert arn in message["Message"]
    states = stack.aws.client("stepfunctions")
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        retrain(stack, "weekly-1")

    sagemaker = stack.aws.client("sagemaker")
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["ModelApprovalStatus"] == "PendingManualApproval"
    assert package["CustomerMetadataProperties"]["flags_changed_share"]
    sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    artifact = stack.variables.pop("model_artifact", None)
    stack.apply(model_package_arn=arn)
    done_verify = stack.verify()
    assert done_verify.returncode == 0, done_verify.stdout
    assert "model package" in {check["what"] for check in json.loads(done_verify.stdout)}
    assert package["CustomerMetadataProperties"]["rows_left_out"] == "0"
    expected = alerts_on_a_day(stack)
    done = retrain(stack, "weekly-2")
    assert done["status"] == "SUCCEEDED"
    arn = json.loads(done["output"])["registered"]["model_package_arn"]
    package = sagemaker.describe_model_package(ModelPackageName=arn)
    assert package["CustomerMetadataProperties"]["rows_left_out"] == str(expected)
    forget_alerts(stack)
    del stack.variables["model_package_arn"]
    stack.apply(**({"model_artifact": artifact} if artifact else {}))
    for summary in sagemaker.list_model_packages(ModelPackageGroupName="egress-sentinel")["ModelPackageSummaryList"]:
        sagemaker.delete_model_package(ModelPackageName=summary["ModelPackageArn"])


def test_retraining_without_a_bill_is_one_message(stacks: dict[str, Stack]) -> None:
    stack = stacks["complete"]
    s3, bucket, messages = stack.aws.client("s3"), stack.outputs()["bucket"], read_messages(stack)
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix="exports/").get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=entry["Key"])
    assert retrain(stack, "nothing-there")["status"] == "FAILED"
    (message,) = messages()
    assert message["Subject"] == "Retraining failed at Features"
    assert "the export egress-sentinel has no line of egress in the last 4 months" in message["Message"]


def test_a_training_script_that_refuses_is_quoted(stacks: dict[str, Stack], tmp_path: Path) -> None:
    stack = stacks["complete"]
    messages = read_messages(stack)
    forget_alerts(stack)
    deliver_bill(stack, tmp_path, days=28)
    key = "history/day=2026-10-09/broken.parquet"
    stack.aws.client("s3").put_object(Bucket=stack.outputs()["bucket"], Key=key, Body=b"PAR1")
    assert retrain(stack, "broken")["status"] == "FAILED"
    stack.aws.client("s3").delete_object(Bucket=stack.outputs()["bucket"], Key=key)
    (message,) = [m for m in messages() if m.get("Subject") == "Retraining failed at Train"]
    assert "ExitCode 2" in message["Message"]
    assert "broken.parquet in the training channel is not a parquet or CSV part" in message["Message"]
    # Days that are made for training alone are no new hours.
    items = stack.aws.client("dynamodb").scan(TableName=stack.outputs()["alerts_table"])["Items"]
    assert not [item for item in items if "account_region" in item]
