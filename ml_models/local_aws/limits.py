"""Limits of AWS that service models do not state, because they depend on several members or on a member's text."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_LAMBDA_ENVIRONMENT_BYTES = 4096
_DEPLOYMENT_SECONDS = 28_800
_ALARM_SECONDS = 86_400
_RATE = re.compile(r"rate\((?:1 (?:minute|hour|day)|(?:[2-9]|[1-9]\d+) (?:minutes|hours|days))\)")
_CRON = re.compile(r"cron\((\S+) (\S+) (\S+) (\S+) (\S+) (\S+)\)")
# Families of instances with local NVMe storage, which do not support a KMS key:
# https://docs.aws.amazon.com/sagemaker/latest/APIReference/API_CreateEndpointConfig.html
_LOCAL_STORAGE = re.compile(r"ml\.(?:[a-z]+\d+[a-z]*d[a-z]*|g5|g6|g6e|gr6|p5|p5e|p5en|trn1|trn1n|trn2)\.")


def refusal_of(call: str, given: dict[str, Any]) -> str | None:
    """Return why AWS rejects a request whose members are all valid. None if AWS accepts it.

    Parameters
    ----------
    call : str
        Service and operation, such as `lambda:CreateFunction`.
    given : dict
        The request's members.
    """
    rule = _RULES.get(call)
    return rule(given) if rule else None


def _environment_size(given: dict[str, Any]) -> str | None:
    size = len(json.dumps(given.get("Environment", {}).get("Variables", {}), separators=(",", ":")).encode())
    if size <= _LAMBDA_ENVIRONMENT_BYTES:
        return None
    return (
        "Lambda was unable to configure your environment variables because the environment variables you have provided "
        "exceeded the 4KB limit."
    )


def _schedule(given: dict[str, Any]) -> str | None:
    expression = given.get("ScheduleExpression", "")
    if not expression or _RATE.fullmatch(expression):
        return None
    cron = _CRON.fullmatch(expression)
    if cron and (cron[3] == "?") != (cron[5] == "?"):
        return None
    return "Parameter ScheduleExpression is not valid."


def _endpoint_key(given: dict[str, Any]) -> str | None:
    types = [variant.get("InstanceType", "") for variant in given["ProductionVariants"]]
    return _key_on_local_storage(types) if given.get("KmsKeyId") else None


def _training_key(given: dict[str, Any]) -> str | None:
    resources = given["ResourceConfig"]
    return _key_on_local_storage([resources.get("InstanceType", "")]) if resources.get("VolumeKmsKeyId") else None


def _key_on_local_storage(types: list[str]) -> str | None:
    found = [name for name in types if _LOCAL_STORAGE.match(name)]
    return f"KmsKeyId is not supported for the instance type {found[0]}, whose storage is local." if found else None


def _deployment(given: dict[str, Any]) -> str | None:
    policy = given.get("DeploymentConfig", {}).get("BlueGreenUpdatePolicy")
    if policy is None:
        return None
    routing, end = policy["TrafficRoutingConfiguration"], policy.get("TerminationWaitInSeconds", 0)
    step = routing.get("LinearStepSize", {}).get("Value", 100)
    waits = -(-100 // step) * routing.get("WaitIntervalInSeconds", 0) + end
    if waits < policy.get("MaximumExecutionTimeoutInSeconds", _DEPLOYMENT_SECONDS):
        return None
    return f"MaximumExecutionTimeoutInSeconds has to be larger than all waits of the deployment, {waits} seconds."


def _alarm_span(given: dict[str, Any]) -> str | None:
    periods = [
        given.get("Period", 0),
        *(query.get("MetricStat", {}).get("Period", 0) for query in given.get("Metrics", [])),
    ]
    if given.get("EvaluationPeriods", 1) * max(periods) <= _ALARM_SECONDS:
        return None
    return "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400)."


_RULES: dict[str, Callable[[dict[str, Any]], str | None]] = {
    "lambda:CreateFunction": _environment_size,
    "lambda:UpdateFunctionConfiguration": _environment_size,
    "events:PutRule": _schedule,
    "sagemaker:CreateEndpointConfig": _endpoint_key,
    "sagemaker:CreateTrainingJob": _training_key,
    "sagemaker:CreateEndpoint": _deployment,
    "sagemaker:UpdateEndpoint": _deployment,
    "cloudwatch:PutMetricAlarm": _alarm_span,
}
