"""The function's environment variables, read and checked once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from egress_alerts.policy import NUMBERS, Policy, PolicyError

if TYPE_CHECKING:
    from collections.abc import Mapping

# As Terraform writes them.
_BOOLEANS = {"true": True, "false": False}


class SettingsError(ValueError):
    """A variable is missing or has a value that is not accepted."""


@dataclass(frozen=True)
class Settings:
    """Names of the resources that the function uses, and the policy."""

    bucket: str
    features_prefix: str
    scored_prefix: str
    alerts_prefix: str
    endpoint_name: str
    alerts_table: str
    topic_arn: str
    max_body_bytes: int
    planned_events_key: str
    feature_group: str
    owners_key: str
    reads_cloudtrail: bool
    policy: Policy

    @property
    def account_id(self) -> str:
        """The account in which the function runs, from the ARN of its topic."""
        return self.topic_arn.split(":")[4]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises
        ------
        SettingsError
            A variable is missing or not accepted. The message names it, its value and the accepted values.
        """
        return cls(
            bucket=_required(environment, "BUCKET"),
            features_prefix=environment.get("FEATURES_PREFIX", "features/"),
            scored_prefix=environment.get("SCORED_PREFIX", "scored/"),
            alerts_prefix=environment.get("ALERTS_PREFIX", "alerts/"),
            endpoint_name=_required(environment, "ENDPOINT_NAME"),
            alerts_table=_required(environment, "ALERTS_TABLE"),
            topic_arn=_required(environment, "TOPIC_ARN"),
            max_body_bytes=int(_number(environment, "MAX_BODY_BYTES", 3_500_000, least=10_000)),
            planned_events_key=environment.get("PLANNED_EVENTS_KEY", ""),
            feature_group=environment.get("FEATURE_GROUP", ""),
            owners_key=environment.get("OWNERS_KEY", ""),
            reads_cloudtrail=_boolean(environment, "READS_CLOUDTRAIL"),
            policy=_policy(environment),
        )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"the environment variable {name} is not set")
    return value


def _boolean(environment: Mapping[str, str], name: str) -> bool:
    text = environment.get(name, "false")
    if text not in _BOOLEANS:
        raise SettingsError(f"{name} is {text!r}; true and false are accepted")
    return _BOOLEANS[text]


def _number(environment: Mapping[str, str], name: str, default: float, least: float = 0) -> float:
    text = environment.get(name, str(default))
    value = _float(text)
    if not least <= value < float("inf"):
        raise SettingsError(f"{name} is {text!r}; a number of at least {least:g} is accepted")
    return value


def _policy(environment: Mapping[str, str]) -> Policy:
    """Read the policy's variables. Those that are not set keep their defaults."""
    values: dict[str, Any] = {
        name: _number(environment, name.upper(), 0) for name in NUMBERS if name.upper() in environment
    }
    if "SEVERITY_USD_PER_DAY" in environment:
        values["severity_usd_per_day"] = [_float(part) for part in environment["SEVERITY_USD_PER_DAY"].split(",")]
    if "NOTIFY_ENDED" in environment:
        values["notify_ended"] = _BOOLEANS.get(environment["NOTIFY_ENDED"], environment["NOTIFY_ENDED"])
    try:
        values["overrides"] = json.loads(environment.get("POLICY_OVERRIDES", "[]"))
    except ValueError as error:
        raise SettingsError(f"POLICY_OVERRIDES is not JSON: {error}") from error
    try:
        return Policy.from_values(values)
    except PolicyError as error:
        raise SettingsError(f"the alert policy in the environment: {error}") from error


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
