"""Prepares the input of a training job and registers its model."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from boto3.dynamodb.conditions import Attr
from botocore.exceptions import ClientError

from egress_alerts.exclusions import EXCLUSION_FIELDS, as_text, build_exclusions
from egress_alerts.planned import read_calendar
from model_registrar.failure import job_name, reason_of
from model_registrar.other_artifact import PROGRAM, description_of_other, read_other_artifact, request_of_other
from model_registrar.package import (
    ArtifactError,
    NoManifestError,
    description_of,
    documents_of,
    folder_of,
    read_artifact,
    request_of,
)

if TYPE_CHECKING:
    from model_registrar.settings import Settings

TRAINING_LOG = "/aws/sagemaker/TrainingJobs"
LOG_LINES = 1000
# The item of the alerts table that is neither an alert nor a verdict.
_DETECTORS_LEDGER = "ledger"


class ServingError(RuntimeError):
    """A new model cannot be compared with the serving model."""


class Registrar:
    """The clients and settings of all invocations, created once per function instance."""

    def __init__(self, settings: Settings, s3: Any, sagemaker: Any, logs: Any, alerts: Any) -> None:
        self._settings = settings
        self._alerts = alerts
        self._s3 = s3
        self._sagemaker = sagemaker
        self._logs = logs

    def prepare(self, execution: str) -> dict[str, Any]:
        """Name an execution's training job, find the model to compare with, and write the training exclusions.

        Returns
        -------
        dict
            `training_job_name` (the same for the same execution), `model_name` and `artifact` (S3 address) of the
            serving model, and `exclude` (S3 address of the folder with the exclusions).

        Raises
        ------
        ServingError
            There is no endpoint, or it serves an inference pipeline.
        """
        if not self._settings.endpoint_name:
            raise ServingError("there is no endpoint; retraining requires one, to compare the new model with its model")
        endpoint = self._sagemaker.describe_endpoint(EndpointName=self._settings.endpoint_name)
        configuration = self._sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
        model_name = configuration["ProductionVariants"][0]["ModelName"]
        container = self._sagemaker.describe_model(ModelName=model_name).get("PrimaryContainer")
        if container is None:
            raise ServingError(f"the model {model_name} is an inference pipeline; a forest cannot be compared with it")
        if package := container.get("ModelPackageName"):
            described = self._sagemaker.describe_model_package(ModelPackageName=package)
            container = described["InferenceSpecification"]["Containers"][0]
        name = job_name(self._settings.training_job_prefix, execution)
        return {
            "training_job_name": name,
            "model_name": model_name,
            "artifact": container["ModelDataUrl"],
            "exclude": self._write_exclusions(name),
        }

    def _write_exclusions(self, training_job_name: str) -> str:
        settings = self._settings
        body = self._s3.get_object(Bucket=settings.bucket, Key=settings.planned_events_key)["Body"].read()
        rows = sorted(self._items(), key=lambda item: str(item["alert_id"]))
        alerts, verdicts = ([row for row in rows if ("verdict" in row) is judged] for judged in (False, True))
        exclusions = build_exclusions(alerts, verdicts, read_calendar(body.decode()))
        folder = f"{settings.exclude_prefix}{training_job_name}/"
        self._s3.put_object(Bucket=settings.bucket, Key=f"{folder}exclude.jsonl", Body=as_text(exclusions).encode())
        return f"s3://{settings.bucket}/{folder}"

    def _items(self) -> list[dict[str, Any]]:
        """Read the alerts and verdicts from the alerts table, with only the fields that exclusions depend on."""
        names = {f"#{number}": name for number, name in enumerate(EXCLUSION_FIELDS)}
        request: dict[str, Any] = {"ProjectionExpression": ", ".join(names), "ExpressionAttributeNames": names}
        request["FilterExpression"] = Attr("alert_id").ne(_DETECTORS_LEDGER)
        items: list[dict[str, Any]] = []
        while True:
            page = self._alerts.scan(**request)
            items += page["Items"]
            if "LastEvaluatedKey" not in page:
                return items
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def register(self, artifact_url: str, image: str = "", content_types: list[str] | None = None) -> dict[str, Any]:
        """Register an artifact as a model package that waits for approval; the same model twice is one package.

        Parameters
        ----------
        artifact_url : str
            The S3 address of a model.tar.gz.
        image : str
            The image that serves it; empty for the deployment's.
        content_types : list of str, optional
            Of an artifact of another training script: the request types that it accepts.

        Returns
        -------
        dict
            `model_package_arn`, `model_id`, `blocked_by` (the failed quality checks) and `description`.

        Raises
        ------
        ArtifactError
            The artifact does not describe its model.
        """
        address = urlparse(artifact_url)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.tar.gz"
            self._s3.download_file(address.netloc, address.path.lstrip("/"), str(path))
            try:
                artifact = read_artifact(path)
            except NoManifestError:
                return self._register_other(path, artifact_url, image, content_types or [])
        if image or content_types:
            raise ArtifactError(
                "the artifact has a manifest.json, which has its content types; leave out --image and --content-type"
            )
        prefix = folder_of(artifact, self._settings)
        for name, body in documents_of(artifact).items():
            self._s3.put_object(Bucket=self._settings.bucket, Key=prefix + name, Body=body)
        created = self._sagemaker.create_model_package(**request_of(artifact, artifact_url, self._settings))
        return {
            "model_package_arn": created["ModelPackageArn"],
            "model_id": artifact.model_id,
            "blocked_by": artifact.blocked_by,
            "description": description_of(artifact),
        }

    def _register_other(self, path: Path, artifact_url: str, image: str, content_types: list[str]) -> dict[str, Any]:
        default = self._settings.environment.get(PROGRAM, "")
        other = read_other_artifact(path, image=image, content_types=content_types, default_program=default)
        created = self._sagemaker.create_model_package(**request_of_other(other, artifact_url, self._settings))
        return {
            "model_package_arn": created["ModelPackageArn"],
            "model_id": other.model_id,
            "blocked_by": other.blocked_by,
            "description": description_of_other(other),
        }

    def explain(self, what: str, step: str, error: str, cause: str, execution: str) -> dict[str, str]:
        """Explain in one sentence why a step of `what` failed. For a training job, add the last line of its log.

        Returns
        -------
        dict
            `sentence`.
        """
        reason = reason_of(error, cause)
        if step == "Train":
            name = job_name(self._settings.training_job_prefix, execution)
            last = self._last_log_line(name)
            reason = f"{reason} (training job {name}{f': {last}' if last else ''})"
        return {"sentence": f"{what} {execution} failed at {step}: {reason}"}

    def _last_log_line(self, training_job_name: str) -> str:
        try:
            answer = self._logs.filter_log_events(
                logGroupName=TRAINING_LOG, logStreamNamePrefix=f"{training_job_name}/", limit=LOG_LINES
            )
        except ClientError as error:
            # A job that failed before its script started has no log. Before the account's first job, there is no group.
            if error.response["Error"]["Code"] == "ResourceNotFoundException":
                return ""
            raise
        lines = [event["message"].strip() for event in answer["events"]]
        from_script = [line for line in lines if line.startswith("training_script:")]
        return next(reversed(from_script or [line for line in lines if line]), "")
