"""Starts training jobs with the SageMaker Python SDK, follows their progress, and reads their metrics.

This is the only module that uses the SDK: `ModelTrainer` of version 3 (extra `sagemaker`). `ModelTrainer` does not
upload source code here. The hyperparameters `sagemaker_program` and `sagemaker_submit_directory` name the bundle, as in
the retraining state machine. Jobs that are started from a notebook, by Step Functions or by hand are therefore the same
request.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from egress_sentinel.deployment.source_bundle import write_source_bundle
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.training import PROGRAM

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SCIKIT_LEARN = "1.9-0"
LOG_GROUP = "/aws/sagemaker/TrainingJobs"
ENDED = ("Completed", "Failed", "Stopped")
_CHECKS_ROLES = "SAGEMAKER_VALIDATE_ROLE"
_EXTRA = "the SageMaker SDK 3 is not installed; it comes with: pip install 'egress-sentinel[sagemaker]'"


@dataclass(frozen=True)
class TrainingRequest:
    """The settings of a training job.

    Parameters
    ----------
    role_arn : str
        The job's execution role.
    image : str
        The container image, see `scikit_learn_image`.
    train_url, source_url, output_url : str
        S3 addresses: the features' folder, the source bundle, and where JOB/output/model.tar.gz is written.
    hyperparameters : mapping of str to str
        Hyperparameters of the training script, such as n_estimators.
    holdout_share : float
        Last share of the time range, for evaluation, from 0 to 0.5.
    serving_url : str, optional
        The artifact of the serving model, to compare with.
    instance_type : str
    max_seconds : int
    base_name : str
        The prefix of the job's name. The SDK adds the time.
    """

    role_arn: str
    image: str
    train_url: str
    source_url: str
    output_url: str
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    holdout_share: float = 0.2
    serving_url: str | None = None
    instance_type: str = "ml.m5.large"
    max_seconds: int = 3600
    base_name: str = "egress-sentinel"

    def all_hyperparameters(self) -> dict[str, str]:
        """Return the script's hyperparameters, and those with which the container finds the script."""
        return dict(self.hyperparameters) | {
            "holdout_share": str(self.holdout_share),
            "sagemaker_program": PROGRAM,
            "sagemaker_submit_directory": self.source_url,
        }

    def channels(self) -> dict[str, str]:
        """Return the input channels by name."""
        return {"train": self.train_url} | ({"serving": self.serving_url} if self.serving_url else {})


@dataclass(frozen=True)
class TrainingResult:
    """The result of a training job.

    Parameters
    ----------
    name : str
    artifact : str
        The S3 address of model.tar.gz.
    seconds : float
        The billed time from the start to the end of the training.
    metrics : dict
        The script's metrics.json: rows, share_flagged, threshold, ..., and `evaluation` if rows were held out.
    """

    name: str
    artifact: str
    seconds: float
    metrics: dict[str, Any]


def scikit_learn_image(region: str) -> str:
    """Return the address of SageMaker's scikit-learn container in a region.

    Raises
    ------
    UserError
        The SDK is not installed.
    """
    with _sdk():
        from sagemaker.core import image_uris
    image: str = image_uris.retrieve("sklearn", region, version=SCIKIT_LEARN, image_scope="training")
    return image


def upload_source(s3: Any, bucket: str, *, prefix: str = "models/source/") -> str:
    """Upload the source bundle to S3 under a key with its hash. Return its address."""
    with tempfile.TemporaryDirectory(prefix="egress-sentinel-source-") as folder:
        bundle = Path(folder) / "sourcedir.tar.gz"
        write_source_bundle(bundle)
        key = f"{prefix}{hashlib.sha256(bundle.read_bytes()).hexdigest()[:16]}/{bundle.name}"
        s3.upload_file(str(bundle), bucket, key)
    return f"s3://{bucket}/{key}"


def launch(request: TrainingRequest) -> str:
    """Start a training job and return its name, with boto3's default credentials, region and endpoints.

    The SDK's telemetry is switched off. The SDK checks the role's policies first, except with a local AWS, which has no
    policy simulator.

    Raises
    ------
    UserError
        The SDK is not installed, or AWS refuses the job.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    with _sdk():
        from sagemaker.core.training.configs import Compute, InputData, OutputDataConfig, StoppingCondition
        from sagemaker.train import ModelTrainer
    try:
        with _roles_checked_where_possible():
            trainer = ModelTrainer(
                sagemaker_session=_session(),
                training_image=request.image,
                role=request.role_arn,
                base_job_name=request.base_name,
                hyperparameters=request.all_hyperparameters(),
                compute=Compute(instance_type=request.instance_type, instance_count=1, volume_size_in_gb=30),
                output_data_config=OutputDataConfig(s3_output_path=request.output_url),
                stopping_condition=StoppingCondition(max_runtime_in_seconds=request.max_seconds),
            )
            channels = [InputData(channel_name=name, data_source=url) for name, url in request.channels().items()]
            trainer.train(input_data_config=channels, wait=False, logs=False)
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"AWS refuses the training job: {error}") from error
    name: str = trainer._latest_training_job.training_job_name
    return name


def follow(job_name: str, *, poll_seconds: float = 5.0) -> Iterator[str]:
    """Yield each new state and each log line of a training job until the job ends.

    Parameters
    ----------
    job_name : str
    poll_seconds : float
        The time between calls to AWS.

    Yields
    ------
    str
        A state such as "Downloading: ..." or a line of the log.

    Raises
    ------
    UserError
        The job failed or was stopped. Its log lines were yielded before.
    """
    import boto3

    sagemaker, log = boto3.client("sagemaker"), _Log(boto3.client("logs"), job_name)
    last_state = ""
    while True:
        job = sagemaker.describe_training_job(TrainingJobName=job_name)
        if job["SecondaryStatus"] != last_state:
            last_state = job["SecondaryStatus"]
            yield last_state
        yield from log.new_lines()
        if job["TrainingJobStatus"] in ENDED:
            break
        time.sleep(poll_seconds)
    if job["TrainingJobStatus"] != "Completed":
        raise UserError(
            f"{job_name} ended as {job['TrainingJobStatus']}: {job.get('FailureReason', 'no reason given')}"
        )


def result_of(job_name: str) -> TrainingResult:
    """Read the output of a completed training job."""
    import boto3

    job = boto3.client("sagemaker").describe_training_job(TrainingJobName=job_name)
    artifact: str = job["ModelArtifacts"]["S3ModelArtifacts"]
    address = urlparse(artifact.removesuffix("model.tar.gz") + "output.tar.gz")
    body = boto3.client("s3").get_object(Bucket=address.netloc, Key=address.path.lstrip("/"))["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        # SageMaker packs names with and without a leading ./
        member = next(m for m in tar.getmembers() if Path(m.name).name == "metrics.json")
        metrics = json.loads(tar.extractfile(member).read())  # type: ignore[union-attr]
    seconds = (job["TrainingEndTime"] - job["TrainingStartTime"]).total_seconds()
    return TrainingResult(job_name, artifact, seconds, metrics)


class _Log:
    """Reads the log of a job line by line. There is no log before the container starts."""

    def __init__(self, logs: Any, job_name: str) -> None:
        self._logs = logs
        self._job_name = job_name
        self._tokens: dict[str, str] = {}

    def new_lines(self) -> Iterator[str]:
        try:
            found = self._logs.describe_log_streams(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{self._job_name}/")
        except self._logs.exceptions.ResourceNotFoundException:
            return
        for stream in found["logStreams"]:
            name = stream["logStreamName"]
            given = {"nextToken": self._tokens[name]} if name in self._tokens else {}
            page = self._logs.get_log_events(logGroupName=LOG_GROUP, logStreamName=name, startFromHead=True, **given)
            self._tokens[name] = page["nextForwardToken"]
            yield from (event["message"] for event in page["events"])


@contextmanager
def _sdk() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise UserError(_EXTRA) from error


def _session() -> Any:
    """Return an SDK session with the user's defaults, and without telemetry, which would include the account id."""
    from sagemaker.core.helper.session_helper import Session

    session = Session()
    modules: dict[str, Any] = session.sagemaker_config or {"SchemaVersion": "1.0"}
    session.sagemaker_config = modules
    for name in ("SageMaker", "PythonSDK", "Modules"):
        modules = modules.setdefault(name, {})
    modules["TelemetryOptOut"] = True
    return session


@contextmanager
def _roles_checked_where_possible() -> Iterator[None]:
    if "AWS_ENDPOINT_URL" not in os.environ or _CHECKS_ROLES in os.environ:
        yield
        return
    os.environ[_CHECKS_ROLES] = "false"
    try:
        yield
    finally:
        del os.environ[_CHECKS_ROLES]
