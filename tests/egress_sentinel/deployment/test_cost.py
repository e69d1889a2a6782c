"""What a deployment costs, from what Terraform shows of it."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egress_sentinel.deployment.cost import Usage, cheapest_changes, estimate, read_deployment, read_prices
from egress_sentinel.deployment.cost.plan import runs_a_month
from egress_sentinel.deployment.cost.resources import FREE, PRICED
from egress_sentinel.errors import UserError
from tests.support.mocked import resources
from tests.support.terraform import TERRAFORM, require_terraform


def resource(kind: str, **values: Any) -> dict[str, Any]:
    return {"mode": "managed", "type": kind, "name": "this", "values": values}


def shown(variant: dict[str, Any], *more: dict[str, Any]) -> str:
    """Return the JSON of a state as `terraform show` prints it: a module in a module."""
    endpoint = resource("aws_sagemaker_endpoint_configuration", production_variants=[variant])
    function = resource("aws_lambda_function", function_name="egress-sentinel-detector", memory_size=1024)
    rule = resource(
        "aws_cloudwatch_event_rule", name="egress-sentinel-detector-schedule", schedule_expression="rate(1 hour)"
    )
    inner = {"resources": [endpoint, function, rule, resource("aws_kms_key"), *more]}
    return json.dumps({"values": {"root_module": {"child_modules": [{"child_modules": [inner]}]}}})


SERVERLESS = {"serverless_config": [{"memory_size_in_mb": 2048, "max_concurrency": 5}]}
REALTIME = {"instance_type": "ml.m5.large", "initial_instance_count": 2, "serverless_config": []}


def total(text: str, usage: Usage | None = None) -> float:
    return sum(line.usd for line in estimate(read_deployment(text), usage or Usage(), read_prices()))


def test_instances_cost_their_hours_whatever_they_do() -> None:
    lines = {line.item: line.usd for line in estimate(read_deployment(shown(REALTIME)), Usage(), read_prices())}
    assert lines["endpoint: instances"] == pytest.approx(2 * 730 * 0.115)
    assert lines["encryption key"] == 1.0


def test_serverless_costs_what_is_scored() -> None:
    small, large = (total(shown(SERVERLESS), Usage(series=series)) for series in (100, 100_000))
    assert small < 10 < large


def test_a_metric_costs_the_hours_in_which_it_is_sent() -> None:
    """The detector's four hourly; the drift monitor's four once a day; a function that sends none, nothing."""

    def metrics(*more: dict[str, Any]) -> float:
        deployment = read_deployment(shown(SERVERLESS, *more))
        return {line.item: line.usd for line in estimate(deployment, Usage(), read_prices())}["custom metrics"]

    drift = (
        resource("aws_lambda_function", function_name="egress-sentinel-drift", memory_size=1769),
        resource("aws_scheduler_schedule", name="egress-sentinel-drift", schedule_expression="cron(0 6 * * ? *)"),
    )
    assert metrics() == pytest.approx(4 * 0.3)
    assert metrics(*drift) == pytest.approx(4 * 0.3 * (1 + 1 / 24))
    assert metrics(resource("aws_lambda_function", function_name="egress-sentinel-registrar")) == metrics()


def test_each_change_saves_the_stated_dollars() -> None:
    notebook = resource("aws_sagemaker_notebook_instance", instance_type="ml.t3.medium", volume_size=20)
    before = shown(REALTIME, notebook, resource("aws_cloudwatch_dashboard"))
    changes = cheapest_changes(read_deployment(before), Usage(), read_prices())
    assert [change.what for change in changes] == [
        "serverless = {} and realtime = null",
        'realtime.instance_type = "ml.t2.medium"',
        "realtime.instance_count = 1",
    ]
    one = shown(REALTIME | {"initial_instance_count": 1}, notebook, resource("aws_cloudwatch_dashboard"))
    assert changes[2].saves_usd == pytest.approx(total(before) - total(one))


def test_serverless_is_not_suggested_for_a_model_in_a_vpc() -> None:
    model = resource("aws_sagemaker_model", vpc_config=[{"subnets": ["subnet-1"]}])
    changes = cheapest_changes(read_deployment(shown(REALTIME, model)), Usage(), read_prices())
    assert "serverless = {} and realtime = null" not in [change.what for change in changes]


def of_everything(*, without: str = "") -> str:
    """Return the JSON of a state with every option on."""
    found = [found for found in resources() if found["type"] != without]
    return json.dumps({"values": {"root_module": {"resources": found}}})


def test_every_type_of_resource_is_priced_or_free_for_a_reason() -> None:
    require_terraform()
    everything = read_deployment(of_everything())
    assert everything.not_counted == ()
    declared = {
        kind for path in TERRAFORM.rglob("*.tf") for kind in re.findall(r'^resource "(\w+)"', path.read_text(), re.M)
    }
    assert PRICED.keys() | FREE.keys() == declared
    assert PRICED.keys() & FREE.keys() == set()
    lines = estimate(everything, Usage(), read_prices())
    for kind, item in PRICED.items():
        rest = estimate(read_deployment(of_everything(without=kind)), Usage(), read_prices())
        before, after = (sum(line.usd for line in found if line.item.startswith(item)) for found in (lines, rest))
        assert after < before, f"{kind} is not in the line {item}"


def test_a_type_that_is_not_known_is_named() -> None:
    assert read_deployment(shown(SERVERLESS, resource("aws_nat_gateway"))).not_counted == ("aws_nat_gateway",)


def test_an_interface_endpoint_costs_its_hours_in_each_zone() -> None:
    """In a plan its subnets are not known: they are those that the plan makes."""
    known = resource("aws_vpc_endpoint", vpc_endpoint_type="Interface", subnet_ids=["subnet-1", "subnet-2"])
    planned = resource("aws_vpc_endpoint", vpc_endpoint_type="Interface")
    gateway = resource("aws_vpc_endpoint", vpc_endpoint_type="Gateway")
    subnets = [resource("aws_subnet"), resource("aws_subnet")]
    for endpoint in (known, planned):
        text = shown(SERVERLESS, endpoint, endpoint, gateway, *subnets)
        lines = {line.item: line.usd for line in estimate(read_deployment(text), Usage(), read_prices())}
        assert lines["VPC interface endpoints"] == pytest.approx(2 * 2 * 730 * 0.01)


def test_a_job_of_aws_batch_costs_what_its_definition_gives_it() -> None:
    """In a plan that is not known: it is the module's default."""
    sizes = [{"type": "VCPU", "value": "16"}, {"type": "MEMORY", "value": "122880"}]
    properties = json.dumps({"resourceRequirements": sizes, "ephemeralStorage": {"sizeInGiB": 200}})
    for values, usd in (
        ({"container_properties": properties}, 16 * 0.04048 + 120 * 0.004445 + 180 * 0.000111),
        ({}, 2 * 0.04048 + 8 * 0.004445 + 80 * 0.000111),
    ):
        deployment = read_deployment(shown(SERVERLESS, resource("aws_batch_job_definition", **values)))
        lines = {line.item: line.usd for line in estimate(deployment, Usage(batch_hours=3), read_prices())}
        assert lines["AWS Batch jobs"] == pytest.approx(3 * usd)


def test_without_an_endpoint_nothing_is_paid_for_scoring_hours() -> None:
    function = resource("aws_lambda_function", function_name="egress-sentinel-batch", memory_size=1769)
    group = resource("aws_sagemaker_model_package_group")
    text = json.dumps({"values": {"root_module": {"resources": [function, group, resource("aws_kms_key")]}}})
    deployment = read_deployment(text)
    lines = {line.item: line.usd for line in estimate(deployment, Usage(), read_prices())}
    assert lines == {"encryption key": 1.0, "batch transform jobs": pytest.approx(0.115)}
    assert cheapest_changes(deployment, Usage(), read_prices()) == []


@pytest.mark.parametrize(
    ("schedule", "runs"),
    [
        ("rate(1 hour)", 730),
        ("rate(5 minutes)", 8760),
        ("cron(0 6 * * ? *)", 730 / 24),
        ("cron(0/15 * * * ? *)", 2920),
        ("cron(0 6 ? * MON *)", 730 / 168),
        ("cron(0 6 1 * ? *)", 1),
    ],
)
def test_schedules_are_counted(schedule: str, runs: float) -> None:
    assert runs_a_month(schedule) == pytest.approx(runs)


@given(st.integers(1, 90), st.sampled_from([("minute", 1), ("hour", 60), ("day", 1440)]))
def test_a_rate_of_n_is_an_nth_of_the_rate_of_one(number: int, unit: tuple[str, int]) -> None:
    one = runs_a_month(f"rate(1 {unit[0]})")
    assert runs_a_month(f"rate({number} {unit[0]}{'s' if number > 1 else ''})") == pytest.approx(one / number)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"values": {}}', '{"values": {"root_module": {}}}'])
def test_what_is_no_deployment_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"terraform show -json|Terraform shows no"):
        read_deployment(text)


def test_a_price_that_is_not_in_the_table_is_named() -> None:
    with pytest.raises(UserError, match=r"no dollars for sagemaker_hosting_hour of ml\.x9\.huge"):
        total(shown(REALTIME | {"instance_type": "ml.x9.huge"}))


def test_the_command_prints_json_or_a_table(tmp_path: Path) -> None:
    (tmp_path / "show.json").write_text(shown(REALTIME))
    command = [sys.executable, "-m", "egress_sentinel.cli", "cost", "--show", str(tmp_path / "show.json")]
    printed = json.loads(subprocess.run([*command, "--json"], capture_output=True, text=True, check=True).stdout)
    assert printed["usd_a_month"] == pytest.approx(sum(line["usd"] for line in printed["lines"]), abs=1e-3)
    assert printed["prices"]["region"] == "us-east-1"
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Cheaper by:" in text
    missing = subprocess.run([*command[:-1], "nowhere.json"], capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stderr) == (
        2,
        "egress-sentinel: cannot read nowhere.json: No such file or directory\n",
    )
