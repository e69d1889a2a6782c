"""The function's environment variables, read once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


class SettingsError(ValueError):
    """A variable is missing or is not JSON."""


@dataclass(frozen=True)
class Settings:
    """Resource names and prefixes, and the container of registered models.

    Without an endpoint, `endpoint_name` and `alerts_table` are empty, and retraining is not available.
    """

    bucket: str
    registry_prefix: str
    group: str
    endpoint_name: str
    image: str
    environment: dict[str, str]
    training_job_prefix: str
    alerts_table: str
    planned_events_key: str
    exclude_prefix: str

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises
        ------
        SettingsError
            The message names the variable.
        """
        try:
            container = json.loads(environment.get("CONTAINER_ENVIRONMENT", "{}"))
        except ValueError as error:
            raise SettingsError(f"CONTAINER_ENVIRONMENT is not a JSON object: {error}") from error
        return cls(
            bucket=_required(environment, "BUCKET"),
            registry_prefix=environment.get("REGISTRY_PREFIX", "models/registry/"),
            group=_required(environment, "MODEL_PACKAGE_GROUP"),
            endpoint_name=environment.get("ENDPOINT_NAME", ""),
            image=_required(environment, "IMAGE"),
            environment=container,
            training_job_prefix=environment.get("TRAINING_JOB_PREFIX", "egress-sentinel-retraining"),
            alerts_table=environment.get("ALERTS_TABLE", ""),
            planned_events_key=environment.get("PLANNED_EVENTS_KEY", "config/planned_events.json"),
            exclude_prefix=environment.get("EXCLUDE_PREFIX", "training/exclude/"),
        )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"the environment variable {name} is not set")
    return value
