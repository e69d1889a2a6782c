"""Reads from `terraform show -json`, of a plan or a state, what a deployment consists of."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from egress_sentinel.deployment.cost.resources import FREE, PRICED
from egress_sentinel.deployment.cost.usage import DAYS_A_MONTH, EXPORT_REFRESHES_A_DAY, HOURS_A_MONTH
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

Values = Mapping[str, Any]
_ENDPOINT = "aws_sagemaker_endpoint_configuration"
_MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60, "week": 7 * 24 * 60}


@dataclass(frozen=True, kw_only=True)
class Function:
    """A Lambda function: how much memory it has, and how often a schedule starts it in a month."""

    name: str
    memory_mb: int
    scheduled_runs: float


class Fargate(NamedTuple):
    """What a job of AWS Batch gets."""

    vcpus: float
    memory_mb: int
    disk_gb: int


# As batch in variables.tf has it.
_DEFAULT_FARGATE = Fargate(2, 8192, 100)


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What costs something.

    Attributes
    ----------
    serverless_mb, provisioned_concurrency : int or None
        Of a serverless endpoint; None and 0 for a real-time one, or without an endpoint.
    instance_type, instance_count : str or None, int
        Of a real-time endpoint.
    capture_percent : float
        Share of requests that are captured.
    needs_instances : bool
        The model is in a VPC, isolated, captured, or one of several containers: serverless is out of the question.
    notebook_type, notebook_gb : str or None, int
    retrainings : float
        Training jobs a month.
    scored_days : int
        Days that scored rows are kept.
    tables, workgroups, flow_logs, feature_groups, image_builds, repositories : int
        Of DynamoDB, Athena, VPC Flow Logs, Feature Store, CodeBuild and ECR.
    endpoint_zones : int
        Interface endpoints, each counted once for every availability zone that it is in.
    fargate : Fargate or None
        Of AWS Batch; None where transform jobs score every file.
    machine_runs : float
        Runs of state machines a month.
    not_counted : tuple of str
        Types of resources that the estimate knows nothing of.
    """

    serverless_mb: int | None
    provisioned_concurrency: int
    instance_type: str | None
    instance_count: int
    capture_percent: float
    needs_instances: bool
    functions: tuple[Function, ...]
    keys: int
    alarms: int
    dashboards: int
    notebook_type: str | None
    notebook_gb: int
    retrainings: float
    scored_days: int
    tables: int
    workgroups: int
    flow_logs: int
    feature_groups: int
    image_builds: int
    repositories: int
    endpoint_zones: int
    fargate: Fargate | None
    machine_runs: float
    not_counted: tuple[str, ...]

    @property
    def has_endpoint(self) -> bool:
        """Whether there is an endpoint that scores."""
        return self.serverless_mb is not None or self.instance_type is not None


def terraform_show(folder: Path, plan: Path | None = None) -> str:
    """Return what `terraform show -json` prints: of a plan file, or of the state.

    Raises
    ------
    UserError
        Terraform is not there or fails.
    """
    command = ["terraform", f"-chdir={folder}", "show", "-json", *([str(plan.absolute())] if plan else [])]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise UserError("terraform is not on the path; give what `terraform show -json` printed with --show") from error
    if done.returncode != 0:
        raise UserError(f"terraform show failed in {folder}: {done.stderr.strip()}")
    return done.stdout


def read_deployment(text: str) -> Deployment:
    """Read `terraform show -json`.

    Raises
    ------
    UserError
        It is no such JSON, or describes no Egress Sentinel.
    """
    try:
        shown = json.loads(text)
        root = (shown.get("planned_values") or shown["values"])["root_module"]
        found = list(_resources(root))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError("this is not what `terraform show -json` prints of a plan or of an applied state") from error
    if not _all(found, "aws_sagemaker_model_package_group"):
        _one(found, _ENDPOINT)
    variant = _first(found, _ENDPOINT).get("production_variants", [{}])[0]
    serverless = (variant.get("serverless_config") or [None])[0]
    notebook = next(iter(_all(found, "aws_sagemaker_notebook_instance")), None)
    return Deployment(
        serverless_mb=None if serverless is None else int(serverless["memory_size_in_mb"]),
        provisioned_concurrency=int((serverless or {}).get("provisioned_concurrency") or 0),
        instance_type=None if serverless else variant.get("instance_type"),
        instance_count=int(variant.get("initial_instance_count") or 1) if variant.get("instance_type") else 0,
        capture_percent=_capture_percent(found),
        needs_instances=_needs_instances(found),
        functions=_functions(found),
        keys=len(_all(found, "aws_kms_key")),
        alarms=len(_all(found, "aws_cloudwatch_metric_alarm")),
        dashboards=len(_all(found, "aws_cloudwatch_dashboard")),
        notebook_type=None if notebook is None else notebook["instance_type"],
        notebook_gb=0 if notebook is None else int(notebook.get("volume_size") or 5),
        retrainings=_scheduled(found, "-retraining"),
        scored_days=_scored_days(found),
        tables=len(_all(found, "aws_dynamodb_table")),
        workgroups=len(_all(found, "aws_athena_workgroup")),
        flow_logs=len(_all(found, "aws_flow_log")),
        feature_groups=len(_all(found, "aws_sagemaker_feature_group")),
        image_builds=len(_all(found, "aws_codebuild_project")),
        repositories=len(_all(found, "aws_ecr_repository")),
        endpoint_zones=_endpoint_zones(found),
        fargate=_fargate(found),
        machine_runs=_machine_runs(found),
        not_counted=tuple(sorted({kind for kind, _ in found} - PRICED.keys() - FREE.keys())),
    )


def runs_a_month(schedule: str) -> float:
    """Return how often an EventBridge schedule fires in a month.

    `rate(...)`, and `cron(...)` whose minutes and hours are `*`, a number, a list or a step; other fields than days,
    months and weekdays count as every day unless they are a single weekday or day of the month.

    Raises
    ------
    UserError
        It is none of these.
    """
    rate = re.fullmatch(r"rate\((\d+) (minute|hour|day|week)s?\)", schedule)
    if rate:
        return HOURS_A_MONTH * 60 / (int(rate[1]) * _MINUTES[rate[2]])
    cron = re.fullmatch(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)", schedule)
    if not cron:
        raise UserError(f"{schedule!r} is no schedule; rate(1 hour) and cron(0 6 * * ? *) are")
    days = DAYS_A_MONTH
    if cron[5] not in ("*", "?"):
        days = DAYS_A_MONTH / 7 * len(cron[5].split(","))
    elif cron[3] not in ("*", "?"):
        days = len(cron[3].split(","))
    return days * _times(cron[1], 60) * _times(cron[2], 24)


def _times(field: str, whole: int) -> int:
    if field == "*":
        return whole
    step = re.fullmatch(r"(?:\*|\d+)/(\d+)", field)
    return -(-whole // int(step[1])) if step else len(field.split(","))


def _resources(module: Values) -> Iterator[tuple[str, Values]]:
    for resource in module.get("resources", []):
        if resource.get("mode") == "managed":
            yield resource["type"], resource["values"]
    for child in module.get("child_modules", []):
        yield from _resources(child)


def _all(found: list[tuple[str, Values]], kind: str) -> list[Values]:
    return [values for name, values in found if name == kind]


def _one(found: list[tuple[str, Values]], kind: str) -> Values:
    values = _all(found, kind)
    if not values:
        raise UserError(f"Terraform shows no {kind}; apply or plan a configuration that uses the module")
    return values[0]


def _first(found: list[tuple[str, Values]], kind: str) -> Values:
    return next(iter(_all(found, kind)), {})


def _scheduled(found: list[tuple[str, Values]], ending: str) -> float:
    schedules = (each for each in _all(found, "aws_scheduler_schedule") if str(each.get("name", "")).endswith(ending))
    return sum(runs_a_month(each["schedule_expression"]) for each in schedules)


def _machine_runs(found: list[tuple[str, Values]]) -> float:
    """Return the runs of the state machines: the features' at each delivery, the others' by schedules of their name."""
    names = [str(machine.get("name", "")) for machine in _all(found, "aws_sfn_state_machine")]
    return sum(
        EXPORT_REFRESHES_A_DAY * DAYS_A_MONTH if name.endswith("-features") else _scheduled(found, name)
        for name in names
    )


def _endpoint_zones(found: list[tuple[str, Values]]) -> int:
    """Count interface endpoints by zone; in a plan their subnets are not known yet, and are those that it makes."""
    subnets = len(_all(found, "aws_subnet"))
    endpoints = [e for e in _all(found, "aws_vpc_endpoint") if e.get("vpc_endpoint_type") == "Interface"]
    return sum(len(endpoint.get("subnet_ids") or []) or subnets for endpoint in endpoints)


def _fargate(found: list[tuple[str, Values]]) -> Fargate | None:
    """Return what a job gets; in a plan that is not known yet, and is taken for the module's default."""
    definitions = _all(found, "aws_batch_job_definition")
    if not definitions:
        return None
    try:
        properties = json.loads(definitions[0].get("container_properties") or "")
    except ValueError:
        return _DEFAULT_FARGATE
    sizes = {each["type"]: float(each["value"]) for each in properties["resourceRequirements"]}
    return Fargate(sizes["VCPU"], int(sizes["MEMORY"]), int(properties["ephemeralStorage"]["sizeInGiB"]))


def _capture_percent(found: list[tuple[str, Values]]) -> float:
    configuration = _first(found, _ENDPOINT)
    capture = (configuration.get("data_capture_config") or [None])[0]
    return float(capture["initial_sampling_percentage"]) if capture and capture.get("enable_capture") else 0.0


def _needs_instances(found: list[tuple[str, Values]]) -> bool:
    models = _all(found, "aws_sagemaker_model")
    in_network = any(m.get("vpc_config") or m.get("enable_network_isolation") for m in models)
    return bool(in_network or any(len(m.get("container") or []) > 1 for m in models))


def _functions(found: list[tuple[str, Values]]) -> tuple[Function, ...]:
    """Match schedules to functions by name: a rule or schedule is called after the function that it starts."""
    both = [*_all(found, "aws_cloudwatch_event_rule"), *_all(found, "aws_scheduler_schedule")]
    rules = [rule for rule in both if rule.get("schedule_expression")]
    functions = sorted(_all(found, "aws_lambda_function"), key=lambda function: str(function["function_name"]))
    return tuple(
        Function(
            name=function["function_name"],
            memory_mb=int(function.get("memory_size") or 128),
            scheduled_runs=sum(
                runs_a_month(rule["schedule_expression"])
                for rule in rules
                if str(rule.get("name", "")).startswith(function["function_name"])
            ),
        )
        for function in functions
    )


def _scored_days(found: list[tuple[str, Values]]) -> int:
    for configuration in _all(found, "aws_s3_bucket_lifecycle_configuration"):
        for rule in configuration.get("rule", []):
            if rule.get("id") == "scored-rows":
                return int(rule["expiration"][0]["days"])
    return 0
