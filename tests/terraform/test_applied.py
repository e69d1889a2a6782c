"""The configuration applied for real: Terraform, the real provider, the local AWS, and then used.

The tests of this file build on each other, from apply to destroy.
"""

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
import requests
from boto3.dynamodb.types import TypeSerializer

from egress_features import FEATURES, KEYS, FlowLogs, build_features, find_flow_logs
from egress_features.flow_logs.fields import FIELDS
from egress_sentinel.demo import write_demo_bill
from egress_sentinel.pipeline.feedback import judge, put_in_table
from egress_sentinel.pipeline.series import MODEL_TAR, PREPROCESSOR_TAR, train_pipeline
from egress_sentinel.pipeline.training import train
from local_aws import LocalAws
from tests.support.exports import write_as
from tests.support.flow_logs import write_flow_logs
from tests.support.own_model import own_model
from tests.support.stack import Stack, applied, broken_copy, package
from tests.support.terraform import EXAMPLES, require_terraform


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    require_terraform()
    return package(tmp_path_factory.mktemp("build"))


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("bill")
    bill = write_demo_bill(folder)
    build_features(bill.files, folder / "features.parquet")
    return folder / "features.parquet", json.loads(bill.labels.read_text())


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sensor's series by the hour, and the two artifacts of its inference pipeline."""
    folder = tmp_path_factory.mktemp("pipeline")
    lines = [f"2026-10-{1 + hour // 24:02d} {hour % 24:02d}:00:00,{70 + hour % 24}" for hour in range(24 * 20)]
    (folder / "series.csv").write_text("\n".join(["timestamp,value", *lines]) + "\n")
    train_pipeline(folder / "series.csv", folder, {"n_estimators": "20"})
    return folder


@pytest.fixture(scope="module")
def stacks(
    build: Path, pipeline: Path, features: tuple[Path, list[dict[str, Any]]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Stack]]:
    """Every example, applied; most of the time Terraform waits, so they wait together."""
    own = own_model(features[0], tmp_path_factory.mktemp("own") / "own.tar.gz")
    variables: dict[str, dict[str, str | Callable[[LocalAws], str]]] = {
        "serverless": {"emails": '["someone@example.com"]'},
        "bring_your_own_model": {"model_artifact": str(own)},
        "serial_pipeline": {
            "preprocessor_artifact": str(pipeline / PREPROCESSOR_TAR),
            "model_artifact": str(pipeline / MODEL_TAR),
        },
        "realtime": {"flow_log_vpc_ids": default_vpc, "flow_log_account_ids": '["777788889999"]'},
        "notebook": {"repository_url": "https://example.com/egress-sentinel.git"},
        "complete": {
            "network": '{subnet_ids=["subnet-12345678"],security_group_ids=["sg-12345678"]}',
            "emails": '["someone@example.com"]',
            "slack": '{team_id="T012345678A",channel_id="C012345678A"}',
        },
    }
    with ExitStack() as stack:

        def enter(name: str) -> Stack:
            return stack.enter_context(applied(name, build, variables.get(name, {})))

        with ThreadPoolExecutor(len(EXAMPLES)) as pool:
            found = dict(zip(EXAMPLES, pool.map(enter, EXAMPLES), strict=True))
        yield found


def default_vpc(aws: LocalAws) -> str:
    return json.dumps([vpc["VpcId"] for vpc in aws.client("ec2").describe_vpcs()["Vpcs"]])


def together(stacks: dict[str, Stack], work: Callable[[Stack], Any]) -> dict[str, Any]:
    with ThreadPoolExecutor(len(stacks)) as pool:
        return dict(zip(stacks, pool.map(work, stacks.values()), strict=True))


def of_day(table: pa.Table, day: datetime) -> pa.Table:
    hours, end = table["hour_utc"], pa.scalar(day + timedelta(days=1))
    return table.filter(pc.and_(pc.greater_equal(hours, pa.scalar(day)), pc.less(hours, end)))


def put_day(stack: Stack, features: Path, day: datetime) -> None:
    body = io.BytesIO()
    pq.write_table(of_day(pq.read_table(features), day), body)
    key = f"features/day={day:%Y-%m-%d}/features.parquet"
    stack.aws.client("s3").put_object(Bucket=stack.outputs()["bucket"], Key=key, Body=body.getvalue())


def wait_for(found: Callable[[], Any], seconds: float = 60) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.2)
    return value


def scored(stack: Stack, day: datetime) -> list[Any]:
    prefix = f"scored/day={day:%Y-%m-%d}/"
    listed = stack.aws.client("s3").list_object_versions(Bucket=stack.outputs()["bucket"], Prefix=prefix)
    return listed.get("Versions", [])  # type: ignore[no-any-return]


def requests_of(stack: Stack) -> list[dict[str, str]]:
    found: list[dict[str, str]] = requests.get(f"{stack.aws.url}/local/requests", timeout=30).json()
    return found


def test_a_second_plan_is_empty(stacks: dict[str, Stack]) -> None:
    for name, printed in together(stacks, Stack.plan).items():
        assert "No changes." in printed, f"{name}: {printed}"


def test_the_endpoint_serves_what_was_asked_for(stacks: dict[str, Stack]) -> None:
    for name, done in together(stacks, Stack.verify).items():
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"
        # What a model that is not ours answers, nobody here can tell from another's answer.
        ours = set() if name == "bring_your_own_model" else {"files of the model that answers"}
        checked = {check["what"] for check in json.loads(done.stdout)}
        assert {"endpoint configuration", "image", "artifact's sha256"} | ours <= checked


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
    assert len(deliveries) == 2
    for statement in deliveries:
        condition = statement["Condition"]
        accounts = ["123456789012", "777788889999"]
        assert condition["StringEquals"]["aws:SourceAccount"] == accounts
        assert condition["ArnLike"]["aws:SourceArn"] == [f"arn:aws:logs:us-east-1:{account}:*" for account in accounts]


def test_an_endpoint_that_nobody_made_is_an_error(stacks: dict[str, Stack]) -> None:
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


def test_a_file_of_features_becomes_one_alert(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]]
) -> None:
    """The bucket, EventBridge, the Lambda, the endpoint, DynamoDB and SNS all take part."""
    stack, (path, labels) = stacks["serverless"], features
    label = next(label for label in labels if label["name"] == "exfiltration")
    day = datetime.fromisoformat(label["start_hour_utc"]).replace(hour=0)
    messages = read_messages(stack)

    put_day(stack, path, day)
    alert = wait_for(lambda: alert_on(stack, label["resource_id"]))
    (message,) = messages()
    assert label["resource_id"] in message["Message"]
    excess = float(alert["cost_usd"]["N"]) - float(alert["expected_cost_usd"]["N"])
    assert excess == pytest.approx(label["excess_usd"], rel=0.05)
    assert len(alert["model_id"]["S"]) == 16
    key = f"scored/day={day:%Y-%m-%d}/scores.parquet"
    rows = stack.aws.client("s3").get_object(Bucket=stack.outputs()["bucket"], Key=key)["Body"].read()
    assert pc.unique(pq.read_table(io.BytesIO(rows))["model_id"]).to_pylist() == [alert["model_id"]["S"]]

    versions = len(scored(stack, day))
    put_day(stack, path, day)
    wait_for(lambda: len(scored(stack, day)) > versions)
    invocations = [r for r in requests_of(stack) if r["service"] == "sns" and r["action"] == "Publish"]
    assert alert_on(stack, label["resource_id"])["alert_id"] == alert["alert_id"]  # type: ignore[index]
    assert len(invocations) == 1


def test_a_model_that_is_not_ours_decides_behind_the_same_alerts(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]]
) -> None:
    """Another algorithm, its own script, no manifest, no attributions."""
    stack, (path, labels) = stacks["bring_your_own_model"], features
    label = next(label for label in labels if label["name"] == "exfiltration")
    put_day(stack, path, datetime.fromisoformat(label["start_hour_utc"]).replace(hour=0))
    alert = wait_for(lambda: alert_on(stack, label["resource_id"]))
    assert alert["model_id"]["S"] == ""
    assert float(alert["excess_cost_usd_per_day"]["N"]) > 5


def write_bill(folder: Path, days: int = 60) -> tuple[list[Path], list[Path], dict[str, Any]]:
    """Write the demo's bill of the last weeks as CUR 2.0; return its files, as legacy CUR too, and its first incident.

    Athena reads the latest months alone, so the bill is the demo's, moved by whole weeks, up to the latest Friday.
    """
    today = datetime.now(UTC).date()
    bill = write_demo_bill(folder, days=days, end=today - timedelta(days=(today.weekday() - 4) % 7 + 1))
    exports = [write_as(path, "CUR 2.0", folder / str(n) / "export.parquet") for n, path in enumerate(bill.files)]
    return exports, bill.files, json.loads(bill.labels.read_text())[0]


def deliver_bill(stack: Stack, folder: Path, days: int = 60) -> tuple[list[Path], dict[str, Any]]:
    """Put a CUR 2.0 export of the last weeks where Data Exports puts it; return its files, and its first incident."""
    exports, _, label = write_bill(folder, days)
    end = datetime.fromisoformat(label["start_hour_utc"]).replace(hour=0) + timedelta(days=1)
    put_bill(stack, exports, until=end)
    return cut(exports, folder / "cut", end), label


def executions(stack: Stack) -> list[dict[str, Any]]:
    arn = stack.outputs()["features_state_machine_arn"]
    found: list[dict[str, Any]] = stack.aws.client("stepfunctions").list_executions(stateMachineArn=arn)["executions"]
    return found


def test_a_delivery_that_cannot_be_read_is_one_message(stacks: dict[str, Stack]) -> None:
    stack = stacks["notebook"]
    messages = read_messages(stack)
    period = f"{datetime.now(UTC):%Y-%m}"
    stack.aws.client("s3").put_object(
        Bucket=stack.outputs()["bucket"],
        Key=f"exports/egress-sentinel/data/BILLING_PERIOD={period}/broken.parquet",
        Body=b"no parquet",
    )
    arn = stack.outputs()["features_state_machine_arn"]
    stack.aws.client("stepfunctions").start_execution(stateMachineArn=arn, name="broken", input='{"days": 10}')
    wait_for(lambda: executions(stack)[0]["status"] == "FAILED", 60)
    (message,) = messages()
    assert message["Subject"] == "egress-sentinel: no new features"
    expected = "No new hours are scored. The feature query broken failed at Line_hours: "
    assert message["Message"].startswith(expected)
    assert "arquet" in message["Message"].removeprefix(expected)


def test_a_delivery_of_the_bill_becomes_an_alert(stacks: dict[str, Stack], tmp_path: Path) -> None:
    """EventBridge, the state machine, Athena, Glue, S3; then all that a file of features starts. No command is run."""
    stack = stacks["notebook"]
    s3, bucket, messages = stack.aws.client("s3"), stack.outputs()["bucket"], read_messages(stack)
    for entry in s3.list_objects_v2(Bucket=bucket, Prefix="exports/")["Contents"]:
        s3.delete_object(Bucket=bucket, Key=entry["Key"])
    exports, label = deliver_bill(stack, tmp_path)
    s3.put_object(Bucket=bucket, Key="exports/egress-sentinel/metadata/BILLING_PERIOD=2026-10/m.json", Body=b"{}")
    wait_for(lambda: len(executions(stack)) == 2 and all(e["status"] != "RUNNING" for e in executions(stack)), 120)
    assert sorted(execution["status"] for execution in executions(stack)) == ["FAILED", "SUCCEEDED"]

    build_features(exports, tmp_path / "features.parquet")
    expected = pq.read_table(tmp_path / "features.parquet")
    last = pc.max(expected["hour_utc"]).as_py().replace(hour=0)
    for day in (last - timedelta(days=2), last - timedelta(days=1), last):
        key = f"features/day={day:%Y-%m-%d}/athena.parquet"
        found = pq.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
        assert_same_hours(found, of_day(expected, day))
    tables = stack.aws.client("glue").get_tables(DatabaseName="egress_sentinel")["TableList"]
    assert {table["Name"] for table in tables} == {"cur_2_0", "features", "scored"}

    alert = wait_for(lambda: alert_on(stack, label["resource_id"]), 120)
    excess = float(alert["cost_usd"]["N"]) - float(alert["expected_cost_usd"]["N"])
    assert excess == pytest.approx(label["excess_usd"], rel=0.05)
    told = [text for text in (message["Message"] for message in messages()) if label["resource_id"] in text]
    assert len(told) == 1
    assert any(feature.description in told[0] for feature in FEATURES), told[0]


def put_bill(stack: Stack, exports: list[Path], until: datetime) -> None:
    """Deliver the bill's lines that begin before `until`."""
    s3, bucket = stack.aws.client("s3"), stack.outputs()["bucket"]
    for path in cut(exports, exports[0].parents[1] / f"{until:%d%H}", until):
        starts = pq.read_table(path, columns=["line_item_usage_start_date"])[0]
        if len(starts):
            period = f"{starts[0].as_py():%Y-%m}"
            s3.upload_file(str(path), bucket, f"exports/egress-sentinel/data/BILLING_PERIOD={period}/export.parquet")


def cut(exports: list[Path], folder: Path, until: datetime) -> list[Path]:
    """Write the lines that begin before `until`."""
    written = []
    for number, path in enumerate(exports):
        table = pq.read_table(path)
        starts = pc.cast(table["line_item_usage_start_date"], pa.timestamp("us"))
        written.append(folder / f"{number}.parquet")
        folder.mkdir(exist_ok=True)
        pq.write_table(table.filter(pc.less(starts, pa.scalar(until.replace(tzinfo=None)))), written[-1])
    return [path for path in written if pq.read_metadata(path).num_rows]


def put_network(stack: Stack, answer: Path) -> Path:
    """Put what EC2 says of other accounts' gateways beside the machine's own answer, and return it as a file."""
    listed = [each for each in json.loads(answer.read_text())["NetworkInterfaces"] if each["Description"]]
    names = {
        "interface_ids": "NetworkInterfaceId",
        "descriptions": "Description",
        "interface_types": "InterfaceType",
        "zones": "AvailabilityZone",
        "owners": "OwnerId",
    }
    lists = {name: [each[key] for each in listed] for name, key in names.items()}
    s3, bucket = stack.aws.client("s3"), stack.outputs()["bucket"]
    s3.put_object(Bucket=bucket, Key="network/other-accounts.json", Body=json.dumps(lists).encode())
    (own,) = s3.list_objects_v2(Bucket=bucket, Prefix="network/123456789012-us-east-1-")["Contents"]
    said = json.loads(s3.get_object(Bucket=bucket, Key=own["Key"])["Body"].read())
    assert said.keys() == lists.keys()
    assert said["descriptions"] == ["Interface for NAT Gateway nat-0123456789abcdef0"]
    path = answer.with_name("listed.json")
    path.write_text(json.dumps({"NetworkInterfaces": listed}))
    return path


def is_of_the_stack(path: Path) -> bool:
    """Say whether the table `flow_logs` covers the file's account and region."""
    place = path.as_posix()
    return "aws-region=us-east-1/" in place and "aws-account-id=777788889999/" in place


def run_machine(stack: Stack, output: str, asked: dict[str, Any]) -> dict[str, Any]:
    """Run a state machine to its end, and return the execution."""
    states = stack.aws.client("stepfunctions")
    machine, name = stack.outputs()[output], f"by-hand-{time.monotonic_ns()}"
    arn = states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(asked))["executionArn"]
    return wait_for(lambda: ended(states.describe_execution(executionArn=arn)), seconds=180)  # type: ignore[no-any-return]


def alert_on(stack: Stack, resource_id: str) -> dict[str, Any] | None:
    """Return the alert on a resource, once somebody was told."""
    items = stack.aws.client("dynamodb").scan(TableName=stack.outputs()["alerts_table"])["Items"]
    found = [item for item in items if item["resource_id"]["S"] == resource_id]
    assert len(found) <= 1
    return found[0] if found and found[0]["notified_severity"]["S"] else None


def assert_same_hours(found: pa.Table, expected: pa.Table) -> None:
    order = [(name, "ascending") for name in KEYS]
    found, expected = found.sort_by(order), expected.sort_by(order)
    assert found.column_names == expected.column_names
    for name in expected.column_names:
        if pa.types.is_floating(expected[name].type):
            np.testing.assert_allclose(found[name].to_numpy(), expected[name].to_numpy(), rtol=0, atol=1e-9)
        else:
            assert found[name].cast(expected[name].type).equals(expected[name]), name


def test_an_event_that_cannot_be_done_becomes_a_dead_letter(stacks: dict[str, Stack]) -> None:
    stack = stacks["serverless"]
    function = stack.outputs()["detector_function_name"]
    event = {"start": "2001-01-01T00:00Z", "end": "2001-01-02T00:00Z"}
    aws = stack.aws
    answer = aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
    assert answer["FunctionError"] == "Unhandled"
    assert "there are no features" in json.loads(answer["Payload"].read())["errorMessage"]
    aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event), InvocationType="Event")
    queue = aws.client("sqs").get_queue_url(QueueName=f"{function}-dead-letters")["QueueUrl"]
    received = wait_for(lambda: aws.client("sqs").receive_message(QueueUrl=queue).get("Messages"))
    assert json.loads(received[0]["Body"]) == event


def test_alarms_ring_for_what_matters(stacks: dict[str, Stack]) -> None:
    states = requests.get(f"{stacks['serverless'].aws.url}/local/alarms", timeout=60).json()
    assert states["egress-sentinel-errors"] == "ALARM"
    assert states["egress-sentinel-dollars-at-stake"] == "OK"
    assert states["egress-sentinel-no-data"] == "OK"
    assert states["egress-sentinel-endpoint-5xx"] == "OK"
    idle = requests.get(f"{stacks['realtime'].aws.url}/local/alarms", timeout=60).json()
    assert idle["egress-sentinel-no-data"] == "ALARM"
    assert idle["egress-sentinel-errors"] == "OK"


def test_hours_that_the_bill_has_not_reached_become_the_alert_that_the_bill_confirms(
    stacks: dict[str, Stack], tmp_path: Path
) -> None:
    """Flow logs in their bucket, the hourly machine, an estimated alert; then the bill, and no second one."""
    stack = stacks["realtime"]
    s3, bucket, messages = stack.aws.client("s3"), stack.outputs()["bucket"], read_messages(stack)
    exports, legacy, label = write_bill(tmp_path)
    night = datetime.fromisoformat(label["start_hour_utc"]).replace(hour=0)
    (subnet, *_) = stack.aws.client("ec2").describe_subnets()["Subnets"]
    stack.aws.client("ec2").create_network_interface(
        SubnetId=subnet["SubnetId"], Description="Interface for NAT Gateway nat-0123456789abcdef0"
    )
    put_bill(stack, exports, until=night - timedelta(hours=4))
    assert run_machine(stack, "features_state_machine_arn", {})["status"] == "SUCCEEDED"
    assert run_machine(stack, "flow_hours_state_machine_arn", {})["status"] == "SUCCEEDED"

    window = {"start": night - timedelta(days=2), "end": night + timedelta(days=1)}
    logs = write_flow_logs(legacy, tmp_path / "logs", labels=[label], hive=True, parquet=True, **window)
    for path in sorted(logs.rglob("*.parquet")):
        s3.upload_file(str(path), stack.outputs()["flow_logs_bucket"], path.relative_to(logs).as_posix())
    known = put_network(stack, logs / "network.json")
    back = (datetime.now(UTC) - night).days + 3
    done = run_machine(stack, "flow_hours_state_machine_arn", {"flow_days": back})
    assert done["status"] == "SUCCEEDED", done

    estimated = wait_for(lambda: alert_on(stack, label["resource_id"]), 120)
    assert estimated["is_estimated"]["BOOL"]
    key = f"features/day={night:%Y-%m-%d}/athena.parquet"
    found = pq.read_table(io.BytesIO(s3.get_object(Bucket=bucket, Key=key)["Body"].read()))
    read = [path for path in find_flow_logs([logs / "AWSLogs"]) if is_of_the_stack(path)]
    flow_logs = FlowLogs(read, [known])
    build_features(cut(exports, tmp_path, night - timedelta(hours=4)), tmp_path / "f.parquet", flow_logs=flow_logs)
    assert_same_hours(found, of_day(pq.read_table(tmp_path / "f.parquet"), night))
    assert sum(found["is_estimated"].to_pylist()) > 100

    put_bill(stack, exports, until=night + timedelta(days=1))
    assert run_machine(stack, "features_state_machine_arn", {})["status"] == "SUCCEEDED"

    def billed() -> dict[str, Any] | None:
        alert = alert_on(stack, label["resource_id"])
        return alert if alert and not alert["is_estimated"]["BOOL"] else None

    confirmed = wait_for(billed, 120)
    assert confirmed["alert_id"] == estimated["alert_id"]
    excess = float(confirmed["cost_usd"]["N"]) - float(confirmed["expected_cost_usd"]["N"])
    assert excess == pytest.approx(label["excess_usd"], rel=0.05)
    told = [m["Message"] for m in every(messages) if label["resource_id"] in m["Message"]]
    # Told again only where the bill's dollars make it worse than the list price's did.
    rose = confirmed["notified_severity"]["S"] != estimated["notified_severity"]["S"]
    assert len(told) == 1 + rose, told
    assert "estimated from flow logs" in told[0]


def test_flow_logs_that_cannot_be_read_do_not_keep_the_bill_from_being_scored(stacks: dict[str, Stack]) -> None:
    stack = stacks["realtime"]
    s3, messages = stack.aws.client("s3"), read_messages(stack)
    place = "AWSLogs/aws-account-id=123456789012/aws-service=vpcflowlogs/aws-region=us-east-1"
    key = f"{place}/{datetime.now(UTC):year=%Y/month=%m/day=%d/hour=%H}/broken.log.parquet"
    s3.put_object(Bucket=stack.outputs()["flow_logs_bucket"], Key=key, Body=b"no parquet")
    assert run_machine(stack, "flow_hours_state_machine_arn", {})["status"] == "FAILED"
    assert run_machine(stack, "flow_hours_state_machine_arn", {"tells": True})["status"] == "FAILED"
    assert run_machine(stack, "features_state_machine_arn", {})["status"] == "SUCCEEDED"
    (message,) = [each for each in messages() if each["Subject"] == "egress-sentinel: no new estimates"]
    assert message["Message"].startswith("No new hours are estimated. The query of flow logs by-hand-")
    assert " failed at Flow_sums: " in message["Message"]
    s3.delete_object(Bucket=stack.outputs()["flow_logs_bucket"], Key=key)


def run_batch(stack: Stack, *files: Path, output: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egress_sentinel.cli", "batch", *map(str, files)]
    command += ["--bucket", stack.outputs()["bucket"], "--json", "-o", str(output)]
    return subprocess.run(
        command, env=os.environ | stack.aws.environment(), capture_output=True, text=True, check=False, timeout=120
    )


def test_a_dropped_file_is_scored_by_a_transform_job(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]], tmp_path: Path
) -> None:
    """The bucket, EventBridge, the Lambda, the model that the endpoint serves, and the event of the job's end."""
    stack = stacks["serverless"]
    table = pq.read_table(features[0]).slice(0, 500)
    pq.write_table(table, tmp_path / "history.parquet")
    done = run_batch(stack, tmp_path / "history.parquet", Path("--scored-rows"), output=tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert "500 scored rows of 1 days added" in done.stderr
    first = table["hour_utc"][0].as_py().date()
    body = stack.aws.client("s3").get_object(Bucket=stack.outputs()["bucket"], Key=f"scored/day={first}/scores.parquet")
    (model_id,) = set(pq.read_table(io.BytesIO(body["Body"].read()))["model_id"].to_pylist())
    assert re.fullmatch("[0-9a-f]{16}", model_id)
    (result,) = json.loads(done.stdout)
    with Path(result).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["resource_id"] for row in rows] == table["resource_id"].to_pylist()
    assert all((float(row["anomaly_score"]) < 0) == (row["is_anomaly"] == "1") for row in rows)
    items = stack.aws.client("dynamodb").scan(TableName=stack.outputs()["batch_jobs_table"])["Items"]
    assert [item["model_name"]["S"] for item in items] == [stack.outputs()["model_name"]]


def test_a_dropped_file_that_cannot_be_scored_is_moved(stacks: dict[str, Stack], tmp_path: Path) -> None:
    (tmp_path / "wrong.csv").write_text("a,b\n1,2\n")
    done = run_batch(stacks["serverless"], tmp_path / "wrong.csv", output=tmp_path / "out")
    assert done.returncode == 2
    assert "wrong.csv was not scored: the column " in done.stderr
    assert "/batch/failed/wrong.csv" in done.stderr


def retrain(stack: Stack, name: str) -> dict[str, Any]:
    """Run the state machine and return the execution."""
    states = stack.aws.client("stepfunctions")
    machine = stack.outputs()["retraining_state_machine_arn"]
    arn = states.start_execution(stateMachineArn=machine, name=name, input="{}")["executionArn"]
    return wait_for(lambda: ended(states.describe_execution(executionArn=arn)), seconds=180)  # type: ignore[no-any-return]


def ended(execution: dict[str, Any]) -> dict[str, Any] | None:
    return execution if execution["status"] != "RUNNING" else None


def read_messages(stack: Stack) -> Callable[[], list[dict[str, Any]]]:
    """Listen to the topic; what comes back takes what was sent since the last call."""
    sns, sqs = stack.aws.client("sns"), stack.aws.client("sqs")
    queue = sqs.create_queue(QueueName="somebody-reads")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=stack.outputs()["topic_arn"], Protocol="sqs", Endpoint=arn)

    def take() -> list[dict[str, Any]]:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        for message in messages:
            sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]

    return take


def every(messages: Callable[[], list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return all that was sent: a queue gives ten at once."""
    found: list[dict[str, Any]] = []
    while taken := messages():
        found += taken
    return found


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
            "quieted_by": "",
        }
        for alert_id, series in (("unjudged", first), ("false", last))
    ]
    dynamodb, table = stack.aws.client("dynamodb"), stack.outputs()["alerts_table"]
    for alert in alerts:
        dynamodb.put_item(TableName=table, Item={n: TypeSerializer().serialize(v) for n, v in alert.items()})
    put_in_table(dynamodb, table, [judge(alerts[1], "false")])
    return sum(tuple(row[name] for name in names) == first for row in rows)


def forget_alerts(stack: Stack) -> None:
    dynamodb, table = stack.aws.client("dynamodb"), stack.outputs()["alerts_table"]
    for item in dynamodb.scan(TableName=table)["Items"]:
        dynamodb.delete_item(TableName=table, Key={"alert_id": item["alert_id"]})


def test_retraining_runs_from_the_bill_to_a_model_that_serves(stacks: dict[str, Stack], tmp_path: Path) -> None:
    """Both state machines, the training job with the real script, the registry, the message, and the promotion."""
    stack = stacks["complete"]
    messages = read_messages(stack)
    assert retrain(stack, "nothing-there")["status"] == "FAILED"
    (message,) = messages()
    assert message["Subject"] == "Retraining failed at Features"
    assert "the export egress-sentinel has no line of egress in the last 4 months" in message["Message"]

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


def test_a_training_script_that_refuses_is_quoted(stacks: dict[str, Stack]) -> None:
    stack = stacks["complete"]
    messages = read_messages(stack)
    key = "history/day=2026-10-09/broken.parquet"
    stack.aws.client("s3").put_object(Bucket=stack.outputs()["bucket"], Key=key, Body=b"PAR1")
    assert retrain(stack, "broken")["status"] == "FAILED"
    (message,) = [m for m in messages() if m.get("Subject") == "Retraining failed at Train"]
    assert "ExitCode 2" in message["Message"]
    assert "broken.parquet in the training channel is not a parquet part" in message["Message"]
    # Days that are made for training alone are no new hours.
    assert not stack.aws.client("dynamodb").scan(TableName=stack.outputs()["alerts_table"])["Items"]


def test_a_day_unlike_those_of_training_is_told_and_starts_retraining(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]]
) -> None:
    """The drift monitor on rows as the detector writes them, three days of which carry a feature in percent."""
    stack = stacks["complete"]
    messages = read_messages(stack)
    s3, bucket = stack.aws.client("s3"), stack.outputs()["bucket"]
    table = pq.read_table(features[0])
    days = [datetime(2026, 10, day, tzinfo=UTC) for day in (13, 14, 15)]
    for day in days:
        hours = table["hour_utc"]
        rows = table.filter(
            pc.and_(pc.greater_equal(hours, pa.scalar(day)), pc.less(hours, pa.scalar(day + timedelta(days=1))))
        )
        percent = pc.multiply(rows["persistence"], pa.scalar(100, pa.float32()))
        rows = rows.set_column(rows.column_names.index("persistence"), "persistence", percent)
        rows = rows.append_column("anomaly_score", pa.array([0.1] * rows.num_rows))
        body = io.BytesIO()
        pq.write_table(rows, body)
        s3.put_object(Bucket=bucket, Key=f"scored/day={day:%Y-%m-%d}/scores.parquet", Body=body.getvalue())

    def judge(event: dict[str, str]) -> dict[str, Any]:
        function = stack.outputs()["drift_function_name"]
        answer = stack.aws.client("lambda").invoke(FunctionName=function, Payload=json.dumps(event))
        result: dict[str, Any] = json.loads(answer["Payload"].read())
        assert "FunctionError" not in answer, result
        return result

    first, second = judge({"day": "2026-10-13"}), judge({"time": "2026-10-16T06:00:00Z"})
    assert first["drifted"] == []
    assert first["violations"] > 0
    assert "persistence" in second["drifted"]
    (message,) = [m for m in messages() if m.get("Subject", "").startswith("Drift on 2026-10-14: ")]
    assert "\npersistence: " in message["Message"]
    assert not judge({"day": "2026-10-15"})["is_told"]
    names = ("statistics.json", "constraint_violations.json", "measures.json")
    documents = {
        name: json.loads(s3.get_object(Bucket=bucket, Key=f"drift/day=2026-10-14/{name}")["Body"].read())
        for name in names
    }
    assert documents["statistics.json"]["dataset"]["item_count"] == second["rows"]
    assert "persistence" in {v["feature_name"] for v in documents["constraint_violations.json"]["violations"]}
    limits = {(m["feature"], m["statistic"]): m["limit"] for m in documents["measures.json"]["measures"]}
    assert limits["persistence", "psi"] >= 0.15

    states, machine = stack.aws.client("stepfunctions"), stack.outputs()["retraining_state_machine_arn"]

    def executions() -> set[str]:
        return {each["executionArn"] for each in states.list_executions(stateMachineArn=machine)["executions"]}

    before = executions()
    alarms = requests.get(f"{stack.aws.url}/local/alarms", timeout=60).json()
    assert (alarms["egress-sentinel-drift"], alarms["egress-sentinel-drift-dead-letters"]) == ("ALARM", "OK")
    (started,) = wait_for(lambda: executions() - before)
    # What it trains on is another test's; it must not outlive its stack.
    wait_for(lambda: ended(states.describe_execution(executionArn=started)), seconds=180)


ACTIONS = {
    ("GET", "list"): "s3:ListBucket",
    ("GET", "object"): "s3:GetObject",
    ("HEAD", "object"): "s3:GetObject",
    ("PUT", "object"): "s3:PutObject",
    ("POST", "object"): "s3:PutObject",
    ("DELETE", "object"): "s3:DeleteObject",
}
# The field of a SageMaker request that names its resource, and how ARNs name its kind.
RESOURCES = {
    "DescribeEndpoint": ("EndpointName", "endpoint"),
    "DescribeEndpointConfig": ("EndpointConfigName", "endpoint-config"),
    "DescribeModel": ("ModelName", "model"),
    "CreateTransformJob": ("TransformJobName", "transform-job"),
    "CreateTrainingJob": ("TrainingJobName", "training-job"),
    "DescribeTrainingJob": ("TrainingJobName", "training-job"),
    "CreateModelPackage": ("ModelPackageGroupName", "model-package-group"),
}


def called(request: dict[str, str], account: str) -> tuple[str, str]:
    """Return action and resource of a recorded request, as a policy names them."""
    service, path = request["service"], request["path"].partition("?")[0].strip("/")
    if service == "s3":
        return ACTIONS[request["method"], "object" if "/" in path else "list"], f"arn:aws:s3:::{path}"
    body = json.loads(request["body"]) if request["body"].startswith("{") else {}
    region = f"us-east-1:{account}"
    if request["action"] == "DescribeModelPackage":
        return "sagemaker:DescribeModelPackage", body["ModelPackageName"]
    if request["action"] == "FilterLogEvents":
        return "logs:FilterLogEvents", f"arn:aws:logs:{region}:log-group:{body['logGroupName']}:log-stream:"
    if service == "lambda":
        return "lambda:InvokeFunction", f"arn:aws:lambda:{region}:function:{path.split('/')[2]}"
    if service == "sagemaker" and request["action"]:
        field, kind = RESOURCES[request["action"]]
        return f"sagemaker:{request['action']}", f"arn:aws:sagemaker:{region}:{kind}/{body[field]}"
    if service == "sagemaker":
        return "sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:{region}:endpoint/{path.split('/')[1]}"
    if service == "dynamodb":
        index = f"/index/{body['IndexName']}" if "IndexName" in body else ""
        return f"dynamodb:{request['action']}", f"arn:aws:dynamodb:{region}:table/{body['TableName']}{index}"
    return f"{service}:{request['action']}", by_name(service, body, region)


def by_name(service: str, body: dict[str, Any], region: str) -> str:
    """Return the ARN of what a request to a service with few kinds of resources speaks of."""
    if service == "athena":
        return f"arn:aws:athena:{region}:workgroup/egress-sentinel"
    if service == "glue":
        name = body.get("Name") or body.get("TableInput", {}).get("Name") or body["TablesToDelete"][0]
        return f"arn:aws:glue:{region}:table/{body['DatabaseName']}/{name}"
    if service == "ec2":
        return "*"
    if service == "states":
        return str(body.get("stateMachineArn") or body["executionArn"])
    assert service == "sns", service
    return f"arn:aws:sns:{region}:egress-sentinel-alerts"


def one_by_one(request: dict[str, str]) -> list[dict[str, str]]:
    """Take a request that deletes several tables for one of each."""
    if request["action"] != "BatchDeleteTable":
        return [request]
    body = json.loads(request["body"])
    return [request | {"body": json.dumps({**body, "TablesToDelete": [name]})} for name in body["TablesToDelete"]]


def statements(stack: Stack, role: str) -> list[dict[str, Any]]:
    iam = stack.aws.client("iam")
    names = iam.list_role_policies(RoleName=role)["PolicyNames"]
    documents = [iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"] for name in names]
    assert not iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]
    return [statement for document in documents for statement in document["Statement"]]


def pairs(statement: dict[str, Any]) -> list[tuple[str, str]]:
    actions, resources = (
        [value] if isinstance(value, str) else value for value in (statement["Action"], statement["Resource"])
    )
    return [(action, resource) for action in actions for resource in resources]


def is_covered(call: tuple[str, str], granted: tuple[str, str]) -> bool:
    from fnmatch import fnmatchcase

    return call[0] == granted[0] and fnmatchcase(call[1], granted[1])


# What AWS does on a function's behalf.
BY_AWS_ITSELF = {"ecr", "logs", "kms", "sqs", "xray"}
# The output that names each function, the example that lets it do all it can, and what only a fault makes it call.
FUNCTIONS = {
    "detector_function_name": ("serverless", {"dynamodb:DeleteItem", "dynamodb:GetItem"}),
    # A model package is described where one serves; here it is an artifact.
    "batch_function_name": ("serverless", {"s3:ListBucket", "sagemaker:DescribeModelPackage"}),
    # Making a package needs its own ARN too, which there is only afterwards.
    "drift_function_name": ("complete", {"s3:ListBucket", "sagemaker:DescribeModelPackage"}),
    "registrar_function_name": ("complete", {"sagemaker:CreateModelPackage"}),
}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_function_may_do_what_it_does_and_nothing_else(stacks: dict[str, Stack], function: str) -> None:
    example, on_a_fault = FUNCTIONS[function]
    stack = stacks[example]
    name = stack.outputs()[function]
    role = stack.aws.client("lambda").get_function_configuration(FunctionName=name)["Role"].rpartition("/")[2]
    compare([stack], role, f"function-{name}", on_a_fault)


# What Step Functions does by itself: it hears of the end of what it started by a rule of its own, tags it, stops it.
BY_STEP_FUNCTIONS = {"events:DescribeRule", "events:PutRule", "events:PutTargets", "states:StopExecution"}
BY_STEP_FUNCTIONS |= {"iam:PassRole", "sagemaker:AddTags", "sagemaker:StopTrainingJob", "athena:StopQueryExecution"}
# What Athena asks for beyond what the local one does: of the catalog, of partitions, and for large files.
BY_ATHENA = {"athena:GetDataCatalog", "glue:CreateDatabase", "glue:GetDatabase", "glue:GetPartitions"}
BY_ATHENA |= {"glue:BatchCreatePartition", "s3:GetBucketLocation", "s3:AbortMultipartUpload"}
BY_ATHENA |= {"s3:ListMultipartUploadParts"}


@pytest.mark.parametrize("machine", ["features", "retraining", "flow-hours"])
def test_a_state_machine_may_do_what_it_does_and_nothing_else(stacks: dict[str, Stack], machine: str) -> None:
    """Retraining writes other files of features than a delivery does, with the same role."""
    role = f"egress-sentinel-{machine}"
    examples = ["realtime"] if machine == "flow-hours" else ["complete", "notebook"]
    compare([stacks[name] for name in examples], role, role, BY_STEP_FUNCTIONS | BY_ATHENA)


@pytest.mark.parametrize(("example", "role"), [("complete", "retraining-job"), ("serverless", "endpoint")])
def test_what_sagemaker_runs_may_do_what_it_does_and_nothing_else(
    stacks: dict[str, Stack], example: str, role: str
) -> None:
    """A training job; and a model, which an endpoint and transform jobs serve."""
    compare([stacks[example]], f"egress-sentinel-{role}", f"egress-sentinel-{role}", set())


def compare(stacks: list[Stack], role: str, access_key: str, unseen: set[str]) -> None:
    """Hold what was called against what a role allows, both ways."""
    recorded = [single for stack in stacks for request in requests_of(stack) for single in one_by_one(request)]
    calls = {called(r, "123456789012") for r in recorded if r["access_key"] == access_key}
    granted = [pair for statement in statements(stacks[0], role) for pair in pairs(statement)]
    assert len(calls) >= 4
    for call in calls:
        assert any(is_covered(call, pair) for pair in granted), f"{call} is not allowed"
    for action, resource in granted:
        # Who asks for a table of Glue needs the same right on its catalog and database.
        is_above_table = ":glue:" in resource and ":table/" not in resource
        if action.split(":")[0] not in BY_AWS_ITSELF and action not in unseen and not is_above_table:
            assert any(is_covered(call, (action, resource)) for call in calls), f"{action} on {resource} is never used"


# Actions that AWS knows on no resource.
WITHOUT_RESOURCE = {"ecr:GetAuthorizationToken", "xray:PutTelemetryRecords", "xray:PutTraceSegments"}
WITHOUT_RESOURCE |= {
    f"ec2:Describe{what}" for what in ("DhcpOptions", "NetworkInterfaces", "SecurityGroups", "Subnets", "Vpcs")
}
WITHOUT_RESOURCE |= {
    f"logs:{what}"
    for what in (
        "CreateLogDelivery",
        "DeleteLogDelivery",
        "DescribeLogGroups",
        "DescribeResourcePolicies",
        "GetLogDelivery",
        "ListLogDeliveries",
        "PutResourcePolicy",
        "UpdateLogDelivery",
    )
}
WITHOUT_RESOURCE |= {"xray:GetSamplingRules", "xray:GetSamplingTargets"}


def test_no_role_has_a_wildcard_that_is_not_argued(stacks: dict[str, Stack]) -> None:
    for stack in stacks.values():
        for role in stack.aws.client("iam").list_roles()["Roles"]:
            for statement in statements(stack, role["RoleName"]):
                for action, resource in pairs(statement):
                    assert "*" not in action, f"{role['RoleName']}: {action}"
                    assert resource != "*" or action in WITHOUT_RESOURCE, f"{role['RoleName']}: {action} on *"


def test_a_new_model_updates_the_endpoint_in_place(
    stacks: dict[str, Stack], features: tuple[Path, list[dict[str, Any]]], pipeline: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.tar.gz"
    train_pipeline(pipeline / "series.csv", tmp_path / "pipeline", {"n_estimators": "20", "random_state": "7"})
    models = {
        "serial_pipeline": tmp_path / "pipeline" / MODEL_TAR,
        "bring_your_own_model": own_model(features[0], tmp_path / "own.tar.gz", rows=1500),
    }
    train(features[0], model, until=datetime(2026, 10, 17, tzinfo=UTC), hyperparameters={"random_state": "7"})
    before = together(stacks, Stack.outputs)
    together(stacks, lambda stack: stack.apply(model_artifact=str(models.get(stack.name, model))))
    for name, after in together(stacks, Stack.outputs).items():
        assert after["endpoint_arn"] == before[name]["endpoint_arn"]
        assert after["model_name"] != before[name]["model_name"]
        described = stacks[name].aws.client("sagemaker").describe_endpoint(EndpointName=after["endpoint_name"])
        assert described["LastModifiedTime"] > described["CreationTime"]
    for name, done in together(stacks, Stack.verify).items():
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"


def test_verify_tells_of_a_silent_rollback(stacks: dict[str, Stack], build: Path, tmp_path: Path) -> None:
    stack = stacks["serverless"]
    good = stack.variables.get("model_artifact", "")
    printed = stack.apply(model_artifact=str(broken_copy(build / "model.tar.gz", tmp_path / "model.tar.gz")))
    assert "Apply complete!" in printed
    done = stack.verify()
    assert done.returncode == 1
    differing = {check["what"] for check in json.loads(done.stdout) if not check["is_met"]}
    assert {"endpoint configuration", "model", "artifact"} <= differing
    assert "does not serve what was asked for" in done.stderr
    stack.apply(model_artifact=good)
    assert stack.verify().returncode == 0


def left(stack: Stack) -> dict[str, list[Any]]:
    """Return what there still is in an AWS."""
    client = stack.aws.client
    keys = client("kms").list_keys()["Keys"]
    described = [client("kms").describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in keys]
    return {
        "buckets": client("s3").list_buckets()["Buckets"],
        "functions": client("lambda").list_functions()["Functions"],
        "tables": client("dynamodb").list_tables()["TableNames"],
        "topics": client("sns").list_topics()["Topics"],
        "queues": [url for url in client("sqs").list_queues().get("QueueUrls", []) if "somebody-reads" not in url],
        "rules": client("events").list_rules()["Rules"],
        "roles": client("iam").list_roles()["Roles"],
        # SageMaker makes this one, for all training jobs of an account.
        "log groups": [
            group
            for group in client("logs").describe_log_groups()["logGroups"]
            if group["logGroupName"] != "/aws/sagemaker/TrainingJobs"
        ],
        "state machines": client("stepfunctions").list_state_machines()["stateMachines"],
        "schedules": client("scheduler").list_schedules()["Schedules"],
        "model packages": client("sagemaker").list_model_package_groups()["ModelPackageGroupSummaryList"],
        "alarms": client("cloudwatch").describe_alarms()["MetricAlarms"],
        "dashboards": client("cloudwatch").list_dashboards()["DashboardEntries"],
        "models": client("sagemaker").list_models()["Models"],
        "configurations": client("sagemaker").list_endpoint_configs()["EndpointConfigs"],
        "endpoints": client("sagemaker").list_endpoints()["Endpoints"],
        "notebooks": client("sagemaker").list_notebook_instances()["NotebookInstances"],
        "budgets": client("budgets").describe_budgets(AccountId="123456789012")["Budgets"],
        "slack channels": client("chatbot").describe_slack_channel_configurations()["SlackChannelConfigurations"],
        "databases": client("glue").get_databases()["DatabaseList"],
        "workgroups": [w for w in client("athena").list_work_groups()["WorkGroups"] if w["Name"] != "primary"],
        "flow logs": client("ec2").describe_flow_logs()["FlowLogs"],
        # moto makes the default keys behind AWS's own aliases.
        "keys": [k for k in described if k["Description"] != "Default key" and k["KeyState"] != "PendingDeletion"],
    }


def test_destroy_leaves_nothing(stacks: dict[str, Stack]) -> None:
    together(stacks, Stack.destroy)
    for name, found in together(stacks, left).items():
        assert {kind: things for kind, things in found.items() if things} == {}, name
