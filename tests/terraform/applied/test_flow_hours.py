"""Hours that the bill has not reached, estimated from flow logs."""

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from egress_features import FlowLogs, build_features, find_flow_logs
from tests.support.applied import (
    alert_on,
    assert_same_hours,
    cut,
    deliver_bill,
    every,
    of_day,
    put_bill,
    read_messages,
    run_machine,
    wait_for,
    write_bill,
)
from tests.support.flow_logs import write_flow_logs
from tests.support.stack import Stack


def put_network(stack: Stack, answer: Path) -> Path:
    """Put EC2's description of another account's gateway next to the machine's file, and return it as a file."""
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
    described = json.loads(s3.get_object(Bucket=bucket, Key=own["Key"])["Body"].read())
    assert described.keys() == lists.keys()
    assert described["descriptions"] == ["Interface for NAT Gateway nat-0123456789abcdef0"]
    path = answer.with_name("listed.json")
    path.write_text(json.dumps({"NetworkInterfaces": listed}))
    return path


def is_of_the_stack(path: Path) -> bool:
    """Return whether the table `flow_logs` has a partition for the file's account and region."""
    place = path.as_posix()
    return "aws-region=us-east-1/" in place and "aws-account-id=777788889999/" in place


def test_hours_that_the_bill_has_not_reached_become_the_alert_that_the_bill_confirms(
    stacks: dict[str, Stack], tmp_path: Path
) -> None:
    """Flow logs in their bucket start the hourly machine and an estimated alert. The bill adds no second alert."""
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
    sent = [m["Message"] for m in every(messages) if label["resource_id"] in m["Message"]]
    # A second notification is sent only if the bill's dollars raise the severity above that of the list price.
    rose = confirmed["notified_severity"]["S"] != estimated["notified_severity"]["S"]
    assert len(sent) == 1 + rose, sent
    assert "estimated from flow logs" in sent[0]


def test_flow_logs_that_cannot_be_read_do_not_keep_the_bill_from_being_scored(
    stacks: dict[str, Stack], tmp_path: Path
) -> None:
    stack = stacks["realtime"]
    s3, messages = stack.aws.client("s3"), read_messages(stack)
    place = "AWSLogs/aws-account-id=123456789012/aws-service=vpcflowlogs/aws-region=us-east-1"
    key = f"{place}/{datetime.now(UTC):year=%Y/month=%m/day=%d/hour=%H}/broken.log.parquet"
    s3.put_object(Bucket=stack.outputs()["flow_logs_bucket"], Key=key, Body=b"no parquet")
    deliver_bill(stack, tmp_path)
    assert run_machine(stack, "flow_hours_state_machine_arn", {})["status"] == "FAILED"
    for notify in ("notify", "tells"):  # the name, and its earlier spelling
        assert run_machine(stack, "flow_hours_state_machine_arn", {notify: True})["status"] == "FAILED"
    assert run_machine(stack, "features_state_machine_arn", {})["status"] == "SUCCEEDED"
    message, again = [each for each in messages() if each["Subject"] == "egress-sentinel: no new estimates"]
    assert again["Message"].partition(" failed at ")[2] == message["Message"].partition(" failed at ")[2]
    assert message["Message"].startswith("No new hours are estimated. The query of flow logs by-hand-")
    assert " failed at Flow_sums: " in message["Message"]
    s3.delete_object(Bucket=stack.outputs()["flow_logs_bucket"], Key=key)
