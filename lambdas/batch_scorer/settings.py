"""The function's environment variables, read once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


class SettingsError(ValueError):
    """A variable is missing."""


@dataclass(frozen=True)
class AwsBatch:
    """Queue and job definition of AWS Batch, and the file sizes that it handles."""

    queue: str
    job_definition: str
    from_bytes: int
    max_bytes: int


@dataclass(frozen=True)
class Settings:
    """Resource names and prefixes.

    `model_name` is the model to score with. If it is empty, the endpoint's model scores. A file can name a model
    package of `model_package_group` instead; its model is created with `model_role_arn` and `model_network`. AWS Batch
    scores large files if `aws_batch` is set.
    """

    bucket: str
    input_prefix: str
    output_prefix: str
    failed_prefix: str
    jobs_prefix: str
    endpoint_name: str
    model_name: str
    jobs_table: str
    topic_arn: str
    job_name_prefix: str
    kms_key_arn: str
    model_package_group: str
    model_role_arn: str
    model_network: dict[str, Any]
    aws_batch: AwsBatch | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        """Read the settings.

        Raises
        ------
        SettingsError
            A required variable is not set. The message names it.
        """
        model_name = environment.get("MODEL_NAME", "")
        return cls(
            bucket=_required(environment, "BUCKET"),
            input_prefix=environment.get("INPUT_PREFIX", "batch/input/"),
            output_prefix=environment.get("OUTPUT_PREFIX", "batch/output/"),
            failed_prefix=environment.get("FAILED_PREFIX", "batch/failed/"),
            jobs_prefix=environment.get("JOBS_PREFIX", "batch/jobs/"),
            endpoint_name=_required(environment, "ENDPOINT_NAME") if not model_name else "",
            model_name=model_name,
            jobs_table=_required(environment, "JOBS_TABLE"),
            topic_arn=_required(environment, "TOPIC_ARN"),
            job_name_prefix=environment.get("JOB_NAME_PREFIX", "egress-sentinel-batch"),
            kms_key_arn=environment.get("KMS_KEY_ARN", ""),
            model_package_group=environment.get("MODEL_PACKAGE_GROUP", ""),
            model_role_arn=environment.get("MODEL_ROLE_ARN", ""),
            model_network=json.loads(environment.get("MODEL_NETWORK", "{}")),
            aws_batch=_aws_batch(environment) if environment.get("AWS_BATCH_QUEUE") else None,
        )


def _aws_batch(environment: Mapping[str, str]) -> AwsBatch:
    return AwsBatch(
        environment["AWS_BATCH_QUEUE"],
        _required(environment, "AWS_BATCH_JOB_DEFINITION"),
        int(_required(environment, "AWS_BATCH_FROM_BYTES")),
        int(_required(environment, "AWS_BATCH_MAX_BYTES")),
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name, "")
    if not value:
        raise SettingsError(f"the environment variable {name} is not set")
    return value
