"""Traces an alert to its model, and a model to its training job, code and data."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.feedback import alert_in_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from egress_sentinel.deployment.registry import Package, Registry

_OF_ALERT = ("alert_id", "account_id", "region", "start_hour_utc", "end_hour_utc", "model_id")


def lineage_of(sagemaker: Any, dynamodb: Any, registry: Registry, alerts_table: str, name: str) -> list[dict[str, Any]]:
    """Trace an alert or a model to its training job, code and data.

    Parameters
    ----------
    sagemaker, dynamodb : boto3 clients
    registry : Registry
    alerts_table : str
        Searched if no model has this id.
    name : str
        A `model_id` or an `alert_id`.

    Returns
    -------
    list of dict
        One entry per registered package of the model. `alert` has the alert, if `name` is one, and the `scored` files
        with its rows. Also `model_package_arn`, `status`, `artifact`, the registered metadata (model_id, data_sha256,
        git_commit, ...), and `training_job` (image, channels and hyperparameters), which is None if this account has no
        such job.

    Raises
    ------
    UserError
        Neither a model nor an alert has this id, or the alert's model is not registered.
    """
    packages = registry.packages()
    found = _of_model(packages, name)
    if found:
        return [_record(sagemaker, package) for package in found]
    try:
        alert = alert_in_table(dynamodb, alerts_table, name)
    except UserError as error:
        raise UserError(f"no registered model has the id {name}, and {error}") from error
    model_id = str(alert.get("model_id") or "")
    found = _of_model(packages, model_id) if model_id else []
    if not found:
        model = f"the model {model_id}, which is not registered" if model_id else "a model without an id"
        raise UserError(f"the alert {name} comes from {model}; `models register ARTIFACT` registers one")
    about = {key: value for key, value in alert.items() if key in _OF_ALERT} | {"scored": _scored_files(alert)}
    return [{"alert": about, **_record(sagemaker, package)} for package in found]


def _of_model(packages: list[Package], model_id: str) -> list[Package]:
    return [package for package in packages if package.facts.get("model_id") == model_id]


def _record(sagemaker: Any, package: Package) -> dict[str, Any]:
    record = {"model_package_arn": package.arn, "status": package.status, "artifact": package.artifact}
    return record | package.facts | {"training_job": _job(sagemaker, package.facts.get("training_job_name", ""))}


def _job(sagemaker: Any, name: str) -> dict[str, Any] | None:
    from botocore.exceptions import BotoCoreError, ClientError

    if not name:
        return None
    try:
        job = sagemaker.describe_training_job(TrainingJobName=name)
    except (BotoCoreError, ClientError) as error:
        # The model may come from another account, or AWS may have removed the job. Missing permissions are an error.
        if isinstance(error, ClientError) and "not found" in str(error).lower():
            return None
        raise UserError(f"cannot read the training job {name} from AWS: {error}") from error
    return {
        "status": job["TrainingJobStatus"],
        "image": job["AlgorithmSpecification"].get("TrainingImage"),
        "channels": {
            channel["ChannelName"]: channel["DataSource"]["S3DataSource"]["S3Uri"]
            for channel in job.get("InputDataConfig", [])
        },
        "hyperparameters": job.get("HyperParameters", {}),
    }


def _scored_files(alert: Mapping[str, Any]) -> list[str]:
    """Return the keys of the scored rows of an alert's days, in the deployment's bucket."""
    first, last = (datetime.fromisoformat(str(alert[name])).astimezone(UTC).date() for name in _OF_ALERT[3:5])
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    return [f"scored/day={day}/scores.parquet" for day in days]
