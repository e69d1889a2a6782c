"""Reads from `terraform show -json`, of a plan or a state, what a deployment consists of."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egress_sentinel.deployment.cost.usage import DAYS_A_MONTH, HOURS_A_MONTH
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

Values = Mapping[str, Any]
_MINUTES = {"minute": 1, "hour": 60, "day": 24 * 60, "week": 7 * 24 * 60}


@dataclass(frozen=True, kw_only=True)
class Function:
    """A Lambda function: how much memory it has, and how often a schedule starts it in a month."""

    name: str
    memory_mb: int
    scheduled_runs: float


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """What costs something.

    Attributes
    ----------
    serverless_mb, provisioned_concurrency : int or None
        Of a serverless endpoint; None and 0 for a real-time one.
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
    variant = _one(found, "aws_sagemaker_endpoint_configuration").get("production_variants", [{}])[0]
    serverless = (variant.get("serverless_config") or [None])[0]
    notebook = next(iter(_all(found, "aws_sagemaker_notebook_instance")), None)
    return Deployment(
        serverless_mb=None if serverless is None else int(serverless["memory_size_in_mb"]),
        provisioned_concurrency=int((serverless or {}).get("provisioned_concurrency") or 0),
        instance_type=None if serverless else variant["instance_type"],
        instance_count=0 if serverless else int(variant.get("initial_instance_count") or 1),
        capture_percent=_capture_percent(found),
        needs_instances=_needs_instances(found),
        functions=_functions(found),
        keys=len(_all(found, "aws_kms_key")),
        alarms=len(_all(found, "aws_cloudwatch_metric_alarm")),
        dashboards=len(_all(found, "aws_cloudwatch_dashboard")),
        notebook_type=None if notebook is None else notebook["instance_type"],
        notebook_gb=0 if notebook is None else int(notebook.get("volume_size") or 5),
        retrainings=sum(
            runs_a_month(each["schedule_expression"])
            for each in _all(found, "aws_scheduler_schedule")
            if str(each.get("name", "")).endswith("-retraining")
        ),
        scored_days=_scored_days(found),
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


def _capture_percent(found: list[tuple[str, Values]]) -> float:
    configuration = _one(found, "aws_sagemaker_endpoint_configuration")
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
