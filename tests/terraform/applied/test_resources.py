"""What an apply makes, before anything is put into it."""

import json
import subprocess
import sys

import pytest

from egress_features.flow_logs.fields import FIELDS
from tests.support.applied import serving, together
from tests.support.stack import Stack


def test_a_second_plan_is_empty(stacks: dict[str, Stack]) -> None:
    for name, printed in together(stacks, Stack.plan).items():
        assert "No changes." in printed, f"{name}: {printed}"


def test_the_endpoint_serves_what_was_asked_for(stacks: dict[str, Stack]) -> None:
    for name, done in together(serving(stacks), Stack.verify).items():
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        # The output of a custom model does not identify the model.
        ours = set() if name == "bring_your_own_model" else {"files of the model that answers"}
        checked = {check["what"] for check in json.loads(done.stdout)}
        assert {"endpoint configuration", "image", "artifact's sha256"} | ours <= checked


def test_without_an_endpoint_there_are_storage_registry_and_batch_alone(stacks: dict[str, Stack]) -> None:
    stack = stacks["batch"]
    functions = {function["FunctionName"] for function in stack.aws.client("lambda").list_functions()["Functions"]}
    assert functions == {"egress-sentinel-batch", "egress-sentinel-registrar"}
    assert stack.aws.client("dynamodb").list_tables()["TableNames"] == ["egress-sentinel-batch-jobs"]
    sagemaker = stack.aws.client("sagemaker")
    assert sagemaker.list_endpoints()["Endpoints"] == sagemaker.list_endpoint_configs()["EndpointConfigs"] == []
    done = stack.verify()
    assert done.returncode == 2
    assert "this deployment has no endpoint" in done.stderr


def test_what_it_costs_is_read_from_the_state(stacks: dict[str, Stack]) -> None:
    for name, item in (("serverless", "endpoint: serverless"), ("realtime", "endpoint: instances")):
        (stacks[name].folder / "show.json").write_text(stacks[name].run("show", "-json"))
        command = [sys.executable, "-m", "egress_sentinel.cli", "cost", "--json", "--show", "show.json"]
        done = subprocess.run(command, cwd=stacks[name].folder, capture_output=True, text=True, check=True)
        found = {line["item"]: line["usd"] for line in json.loads(done.stdout)["lines"]}
        assert {item, "encryption key", "alarms", "function egress-sentinel-detector"} <= set(found)


def test_flow_logs_are_switched_on_as_they_are_read(stacks: dict[str, Stack]) -> None:
    """In the format and folders of the table `flow_logs`; log delivery may write for the accounts that are named."""
    stack = stacks["realtime"]
    (flow_log,) = stack.aws.client("ec2").describe_flow_logs()["FlowLogs"]
    bucket = stack.outputs()["flow_logs_bucket"]
    assert flow_log["LogDestination"] == f"arn:aws:s3:::{bucket}"
    assert flow_log["DestinationOptions"] == {
        "FileFormat": "parquet",
        "HiveCompatiblePartitions": True,
        "PerHourPartition": True,
    }
    table = stack.aws.client("glue").get_table(DatabaseName="egress_sentinel", Name="flow_logs")["Table"]
    columns = {column["Name"] for column in table["StorageDescriptor"]["Columns"]}
    fields = [field.strip("${}").replace("-", "_") for field in flow_log["LogFormat"].split()]
    assert set(fields) <= columns
    # Whatever `egress_features` reads of versions 2 to 5 is asked for.
    later = {"resource_id", "interface_type", "next_hop_az_id", "next_hop_interface_type"}
    assert {field.name for field in FIELDS} - later <= set(fields)
    place = "AWSLogs/aws-account-id=123456789012/aws-service=vpcflowlogs/aws-region=us-east-1/year=2026/month=10"
    template = table["Parameters"]["storage.location.template"]
    for name, value in {"aws_account_id": "123456789012", "aws_region": "us-east-1", "year": "2026"}.items():
        template = template.replace(f"${{{name}}}", value)
    assert template.startswith(f"s3://{bucket}/{place.removesuffix('10')}")

    policy = json.loads(stack.aws.client("s3").get_bucket_policy(Bucket=bucket)["Policy"])
    deliveries = [s for s in policy["Statement"] if s["Principal"] == {"Service": "delivery.logs.amazonaws.com"}]
    assert len(deliveries) == 3
    for statement in deliveries:
        condition = statement["Condition"]
        accounts = ["123456789012", "777788889999"]
        assert condition["StringEquals"]["aws:SourceAccount"] == accounts
        assert condition["ArnLike"]["aws:SourceArn"] == [f"arn:aws:logs:us-east-1:{account}:*" for account in accounts]


def test_an_unknown_endpoint_is_an_error(stacks: dict[str, Stack]) -> None:
    runtime = stacks["serverless"].aws.client("sagemaker-runtime")
    with pytest.raises(runtime.exceptions.ClientError, match="Endpoint nobody of account 123456789012 not found"):
        runtime.invoke_endpoint(EndpointName="nobody", Body=b"0", ContentType="text/csv")


def test_a_pipeline_scores_raw_lines(stacks: dict[str, Stack]) -> None:
    """Both containers, with a client's request as it was before there was a preprocessor."""
    runtime = stacks["serial_pipeline"].aws.client("sagemaker-runtime")
    name = stacks["serial_pipeline"].outputs()["endpoint_name"]
    body = "2026-10-21 00:00:00, 70\n2026-10-21 01:00:00, 500"
    answer = runtime.invoke_endpoint(EndpointName=name, ContentType="text/csv", Body=body)
    usual, unusual = (record["score"] for record in json.loads(answer["Body"].read())["scores"])
    assert 0 < usual < unusual < 1
