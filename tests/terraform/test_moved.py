"""The plan for a state of an earlier version, and the effect of another instance count.

The tests of this file build on each other. They apply `examples/complete`, which has all four Lambda functions.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.stack import Stack, applied, package
from tests.support.terraform import require_terraform

pytestmark = [pytest.mark.integration, pytest.mark.slow]

# The addresses of the functions' resources before modules/function, as `terraform state list` printed them at commit
# 8153ed7 for examples/complete.
OF_A_FUNCTION = """
aws_cloudwatch_log_group.this
aws_iam_role.this
aws_iam_role_policy.this
aws_lambda_function.this
"""
OF_A_FUNCTION_WITH_RULES = f"""
{OF_A_FUNCTION}
aws_lambda_function_event_invoke_config.this
aws_sqs_queue.dead_letters
aws_sqs_queue_policy.dead_letters
"""
OLD_ADDRESSES = {
    "module.egress_sentinel.module.detection": f"""
        {OF_A_FUNCTION_WITH_RULES}
        aws_cloudwatch_event_rule.this["features"]
        aws_cloudwatch_event_rule.this["schedule"]
        aws_cloudwatch_event_target.this["features"]
        aws_cloudwatch_event_target.this["schedule"]
        aws_lambda_permission.this["features"]
        aws_lambda_permission.this["schedule"]
    """,
    "module.egress_sentinel.module.batch": f"""
        {OF_A_FUNCTION_WITH_RULES}
        aws_cloudwatch_event_rule.this["dropped"]
        aws_cloudwatch_event_rule.this["ended"]
        aws_cloudwatch_event_target.this["dropped"]
        aws_cloudwatch_event_target.this["ended"]
        aws_cloudwatch_metric_alarm.dead_letters
        aws_lambda_permission.this["dropped"]
        aws_lambda_permission.this["ended"]
    """,
    "module.egress_sentinel.module.drift[0]": f"""
        {OF_A_FUNCTION}
        aws_cloudwatch_metric_alarm.dead_letters
        aws_sqs_queue.dead_letters
    """,
    "module.egress_sentinel.module.registry": OF_A_FUNCTION,
}
# What has been optional since `endpoint = null`: modules, and resources of modules.
OPTIONAL = re.compile(r"(\.module\.(?:features|monitoring))\[0\]$")
OPTIONAL_RESOURCES = {
    "module.egress_sentinel.module.detection.aws_dynamodb_table.alerts",
    "module.egress_sentinel.module.detection.aws_s3_object.planned_events",
    "module.egress_sentinel.module.endpoint.aws_sagemaker_endpoint.this",
    "module.egress_sentinel.module.endpoint.aws_sagemaker_endpoint_configuration.this",
    "module.egress_sentinel.module.endpoint.aws_cloudwatch_log_group.this",
    "module.egress_sentinel.module.endpoint.aws_cloudwatch_metric_alarm.errors",
    "module.egress_sentinel.module.endpoint.aws_cloudwatch_metric_alarm.latency",
}
# Whose instances have had names since `subscriptions.chats`.
BY_NAME = "module.egress_sentinel.module.detection.aws_chatbot_slack_channel_configuration.this"
# A forwarder is newer than modules/function. Its address ends with the name of its destination: `forwarder["chat"]`.
IN_FUNCTION = r'(?<!"\])\.module\.function(?:\[0\])?'
FUNCTION = re.compile(IN_FUNCTION + "$")


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    require_terraform()
    variables = {
        "network": '{subnet_ids=["subnet-12345678"],security_group_ids=["sg-12345678"]}',
        "emails": '["someone@example.com"]',
        "slack": '{team_id="T012345678A",channel_id="C012345678A"}',
    }
    with applied("complete", package(tmp_path_factory.mktemp("build")), variables) as stack:
        yield stack


def old_addresses() -> set[str]:
    return {f"{module}.{name}" for module, names in OLD_ADDRESSES.items() for name in names.split()}


def address(resource: dict[str, Any], instance: dict[str, Any]) -> str:
    """Return where an earlier version had it."""
    key = instance.get("index_key")
    index = "" if key is None else f"[{json.dumps(key)}]"
    return f"{resource['module']}.{resource['type']}.{resource['name']}{index}"


def as_it_was(state: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Return the state as an earlier version would have written it, and the addresses that this concerns."""
    moved = set()
    for resource in state["resources"]:
        module = OPTIONAL.sub(r"\1", FUNCTION.sub("", resource.get("module", "")))
        is_of_function = FUNCTION.search(resource.get("module", "")) is not None
        name = f"{module}.{resource['type']}.{resource['name']}"
        is_optional = name in OPTIONAL_RESOURCES
        if module == resource.get("module", "") and not is_optional and name != BY_NAME:
            continue
        resource["module"] = module
        for instance in resource["instances"]:
            if instance.get("index_key") == 0 and (is_of_function or is_optional):
                del instance["index_key"]
            if name == BY_NAME:
                instance["index_key"] = 0
            if resource["mode"] == "managed":
                moved.add(address(resource, instance))
    return {**state, "serial": state["serial"] + 1}, moved


def test_a_state_of_an_earlier_version_changes_nothing(stack: Stack) -> None:
    file = stack.folder / "terraform.tfstate"
    old, moved = as_it_was(json.loads(file.read_text(encoding="utf-8")))
    assert old_addresses() | OPTIONAL_RESOURCES | {f"{BY_NAME}[0]"} <= moved
    file.write_text(re.sub(IN_FUNCTION, "", json.dumps(old)), encoding="utf-8")
    assert old_addresses() <= set(stack.run("state", "list").split())
    changes = planned_changes(stack)
    changed = [change["address"] for change in changes if change["change"]["actions"] != ["no-op"]]
    assert changed == []
    assert {change["previous_address"] for change in changes if "previous_address" in change} == moved


def planned_changes(stack: Stack) -> list[dict[str, Any]]:
    """Return the changes of every resource that a plan has."""
    stack.plan("-out=plan")
    changes: list[dict[str, Any]] = json.loads(stack.run("show", "-json", "plan"))["resource_changes"]
    return [change for change in changes if change["mode"] == "managed"]


def test_another_instance_count_reaches_the_endpoint(stack: Stack) -> None:
    """Without autoscaling nothing else changes the count, so the endpoint gets a new configuration, in place."""
    before = endpoint(stack)
    assert before["instance_count"] == 1
    main = stack.folder / "main.tf"
    text = main.read_text(encoding="utf-8")
    main.write_text(text.replace("realtime   = {", "realtime   = { instance_count = 2,"), encoding="utf-8")
    stack.apply()
    after = endpoint(stack)
    assert after["instance_count"] == 2
    assert after["created"] == before["created"]
    assert "No changes." in stack.plan()


def endpoint(stack: Stack) -> dict[str, Any]:
    """Return when the endpoint was made, and the instance count of the configuration that it serves."""
    sagemaker = stack.aws.client("sagemaker")
    found = sagemaker.describe_endpoint(EndpointName=stack.outputs()["endpoint_name"])
    configuration = sagemaker.describe_endpoint_config(EndpointConfigName=found["EndpointConfigName"])
    count = configuration["ProductionVariants"][0]["InitialInstanceCount"]
    return {"created": found["CreationTime"], "instance_count": count}
