"""Scores files in batches: through a deployment's bucket, or here, by the same Lambda and a local transform job."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egress_sentinel.errors import UserError
from local_aws import LocalAws, create_detector_resources, create_model
from local_aws.lambda_runner import LambdaProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from local_aws import DetectorResources

HANDLER = "batch_scorer.handler.lambda_handler"
INPUT, OUTPUT, FAILED = "batch/input/", "batch/output/", "batch/failed/"
MODEL_NAME = "egress-sentinel"
JOB_CHANGED = "SageMaker Transform Job State Change"
_POLL_SECONDS = 0.3
_JOB_SECONDS = 3600.0


@dataclass(frozen=True)
class _Upload:
    name: str
    etag: str
    at: datetime


def _plain(_title: str, items: list[str]) -> Iterable[str]:
    return items


def score_locally(
    files: Sequence[Path],
    model_tar: Path,
    output_dir: Path,
    *,
    track: Callable[[str, list[str]], Iterable[str]] = _plain,
) -> list[Path]:
    """Score files with a model of this machine.

    The Lambda and the inference script are the deployed ones; the transform job runs in a local AWS.

    Parameters
    ----------
    files : sequence of Path
        CSV with a header line or without, or parquet.
    model_tar : Path
        A model.tar.gz.
    output_dir : Path
        An existing directory, which gets TIMESTAMP-NAME.csv for each file and `batch_scorer.log`.
    track : callable
        Wraps the files' names, to show progress.

    Returns
    -------
    list of Path
        The results, in the files' order.

    Raises
    ------
    UserError
        A file that cannot be scored; its line is named.
    """
    by_name = _by_name(files)
    if not model_tar.is_file():
        raise UserError(f"there is no model {model_tar}; a model.tar.gz is accepted")
    with LocalAws() as aws:
        resources = create_detector_resources(aws)
        environment = local_environment(aws, resources, model_tar)
        with LambdaProcess(
            HANDLER, environment=environment, log_file=output_dir / "batch_scorer.log", function_name="batch-scorer"
        ) as scorer:
            return [
                _score(aws, resources.bucket, scorer, by_name[name], output_dir)
                for name in track("batch", list(by_name))
            ]


def score_in_bucket(
    files: Sequence[Path],
    bucket: str,
    output_dir: Path,
    *,
    track: Callable[[str, list[str]], Iterable[str]] = _plain,
    timeout_seconds: float = _JOB_SECONDS,
) -> list[Path]:
    """Drop files into a deployment's bucket, wait for their results and download them.

    boto3's own credentials and addresses are used. Parameters and errors are those of `score_locally`; a result that
    does not come within `timeout_seconds` is a UserError too.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    by_name = _by_name(files)
    try:
        s3 = boto3.client("s3")
        dropped = {name: _drop(s3, bucket, path) for name, path in by_name.items()}
        return [_wait(s3, bucket, dropped[name], output_dir, timeout_seconds) for name in track("batch", list(by_name))]
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"S3 refuses bucket {bucket}: {error}") from error


def _by_name(files: Sequence[Path]) -> dict[str, Path]:
    by_name = {path.name: path for path in files}
    if len(by_name) < len(files):
        raise UserError("two of the files have the same name; their results could not be told apart")
    for path in files:
        if not path.is_file():
            raise UserError(f"there is no file {path}; CSV and parquet files are accepted")
    return by_name


def local_environment(aws: LocalAws, resources: DetectorResources, model_tar: Path) -> dict[str, str]:
    """Make what the function works with beside the detector's resources, and return its environment variables."""
    create_model(aws, resources.bucket, model_tar, MODEL_NAME)
    table = "egress-sentinel-batch-jobs"
    aws.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "job_id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "job_id", "KeyType": "HASH"}],
    )
    return aws.environment() | {
        "BUCKET": resources.bucket,
        "ENDPOINT_NAME": "none",
        "MODEL_NAME": MODEL_NAME,
        "JOBS_TABLE": table,
        "TOPIC_ARN": resources.topic_arn,
        "POWERTOOLS_SERVICE_NAME": "batch-scorer",
        "POWERTOOLS_METRICS_NAMESPACE": "EgressSentinel",
    }


def _score(aws: LocalAws, bucket: str, scorer: LambdaProcess, path: Path, output_dir: Path) -> Path:
    s3 = aws.client("s3")
    upload = _drop(s3, bucket, path)
    entry = {"key": f"{INPUT}{path.name}", "etag": upload.etag, "sequencer": uuid.uuid4().hex}
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    dropped = {"bucket": {"name": bucket}, "object": entry}
    started = scorer.invoke({"detail-type": "Object Created", "time": now, "detail": dropped})
    _refuse_failed(path.name, started)
    ended = _ended(aws.client("sagemaker"), f"egress-sentinel-batch-{started['job_id']}")
    _refuse_failed(path.name, scorer.invoke({"detail-type": JOB_CHANGED, "time": now, "detail": ended}))
    return _wait(s3, bucket, upload, output_dir, timeout_seconds=1)


def _ended(sagemaker: Any, job_name: str) -> dict[str, str]:
    """Wait for a transform job, and return of it what EventBridge would say."""
    while (job := sagemaker.describe_transform_job(TransformJobName=job_name))["TransformJobStatus"] == "InProgress":
        time.sleep(_POLL_SECONDS)
    names = ("TransformJobName", "TransformJobStatus", "FailureReason")
    return {name: job[name] for name in names if name in job}


def _refuse_failed(name: str, result: dict[str, Any]) -> None:
    if result["status"] == "failed":
        raise UserError(f"{name} was not scored: {result['reason']}")


def _drop(s3: Any, bucket: str, path: Path) -> _Upload:
    """Upload a file under the input prefix."""
    key = f"{INPUT}{path.name}"
    s3.upload_file(str(path), bucket, key)
    head = s3.head_object(Bucket=bucket, Key=key)
    return _Upload(path.name, head["ETag"].strip('"'), head["LastModified"])


def _wait(s3: Any, bucket: str, upload: _Upload, output_dir: Path, timeout_seconds: float) -> Path:
    """Wait until the result of an upload, or the upload moved aside, is there; download the result."""
    deadline = time.monotonic() + timeout_seconds
    while True:
        for key, metadata in _of_upload(s3, bucket, upload):
            if "reason" in metadata:
                raise UserError(f"{upload.name} was not scored: {metadata['reason']}; it is now s3://{bucket}/{key}")
            target = output_dir / Path(key).name
            s3.download_file(bucket, key, str(target))
            return target
        if time.monotonic() > deadline:
            where = f"s3://{bucket}/{OUTPUT}"
            raise UserError(f"there is no result for {upload.name} under {where} after {timeout_seconds:,.0f} seconds")
        time.sleep(_POLL_SECONDS)


def _of_upload(s3: Any, bucket: str, upload: _Upload) -> Iterator[tuple[str, dict[str, str]]]:
    """Find what became of an upload: objects whose metadata name its ETag."""
    ending = f"-{Path(upload.name).stem}.csv"
    listed = [*_listed(s3, bucket, OUTPUT), *_listed(s3, bucket, f"{FAILED}{upload.name}")]
    for entry in listed:
        key = entry["Key"]
        is_newer = entry["LastModified"] >= upload.at
        if is_newer and (key.endswith(ending) or key == f"{FAILED}{upload.name}"):
            metadata = s3.head_object(Bucket=bucket, Key=key)["Metadata"]
            if metadata.get("input-etag") == upload.etag:
                yield key, metadata


def _listed(s3: Any, bucket: str, prefix: str) -> list[dict[str, Any]]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [entry for page in pages for entry in page.get("Contents", [])]
