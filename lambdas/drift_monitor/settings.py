"""The function's environment variables, read once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from drift_monitor.limits import LimitTable

if TYPE_CHECKING:
    from collections.abc import Mapping


class SettingsError(ValueError):
    """A variable is missing."""


@dataclass(frozen=True)
class Settings:
    """Resource names, prefixes and limits.

    `model_name` is the reference model. If it is empty, the endpoint's model is the reference. If `capture_prefix` is
    set, the monitor reads the endpoint's data capture instead of the detector's rows, by the hour if `hourly` is set.
    `feature_metrics` publishes a metric for each feature under Model Monitor's names.
    """

    bucket: str
    scored_prefix: str
    capture_prefix: str
    drift_prefix: str
    endpoint_name: str
    model_name: str
    topic_arn: str
    limits: LimitTable
    hourly: bool = False
    feature_metrics: bool = False

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises
        ------
        SettingsError
            A required variable is not set. The message names it.
        LimitsError
            LIMITS cannot be read.
        """
        return cls(
            bucket=_required(environment, "BUCKET"),
            scored_prefix=environment.get("SCORED_PREFIX", "scored/"),
            capture_prefix=environment.get("CAPTURE_PREFIX", ""),
            drift_prefix=environment.get("DRIFT_PREFIX", "drift/"),
            endpoint_name=_required(environment, "ENDPOINT_NAME"),
            model_name=environment.get("MODEL_NAME", ""),
            topic_arn=_required(environment, "TOPIC_ARN"),
            limits=LimitTable.parse(environment.get("LIMITS", "{}")),
            hourly=environment.get("WINDOW", "day") == "hour",
            feature_metrics=environment.get("FEATURE_METRICS", "") == "true",
        )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"the environment variable {name} is not set")
    return value
