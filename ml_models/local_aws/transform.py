"""Batch transform jobs that run: a file's lines are sent in batches to the model's container.

Closes these gaps of moto 5.2: a transform job is Completed at once, writes no output and sends no event. As in AWS, a
job reads every object under its prefix, sends lines in requests of up to the payload size (MultiRecord) or one by one
(SingleRecord), writes NAME.out, and sends an event to EventBridge when its state changes.
"""

from __future__ import annotations

import tempfile
import threading
import time
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import urllib3

from egress_sentinel.errors import UserError
from egress_sentinel.serving.local_endpoint import LocalEndpoint
from local_aws.account import ApiError, client, download, key_of_role, objects_under
from local_aws.jobs import JobTable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MEGABYTE = 1_000_000
DEFAULT_PAYLOAD_MB = 6
MAX_PAYLOAD_MB = 100


class TransformError(Exception):
    """The job failed. The message is the job's FailureReason."""


class TransformJobs:
    """The API of transform jobs.

    Parameters
    ----------
    artifact : callable
        Returns the artifact's S3 address, the role and the environment of a model by name, or raises ApiError.
    """

    def __init__(self, artifact: Callable[[str], tuple[str, str, dict[str, str]]]) -> None:
        self._artifact = artifact
        self.jobs = JobTable("TransformJob", "transform-job", "SageMaker Transform Job State Change")

    def _CreateTransformJob(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802 - the API's name
        _check(given)
        url, role, environment = self._artifact(given["ModelName"])
        created = self.jobs.create(given)
        arguments = (given["TransformJobName"], url, key_of_role(role), environment | given.get("Environment", {}))
        threading.Thread(target=self._run, args=arguments, daemon=True).start()
        return created

    def _DescribeTransformJob(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self.jobs.get(given["TransformJobName"])

    def _StopTransformJob(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        self.jobs.change(given["TransformJobName"], "Stopped")
        return {}

    def _ListTransformJobs(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {"TransformJobSummaries": self.jobs.summaries()}

    def _run(self, name: str, url: str, credential: str, environment: dict[str, str]) -> None:
        job = self.jobs.get(name)
        self.jobs.times(name, TransformStartTime=time.time())
        try:
            keys = _inputs(job, credential)
            with tempfile.TemporaryDirectory() as folder:
                artifact = Path(folder) / "model.tar.gz"
                download(url, artifact, credential)
                with LocalEndpoint(artifact, environment=environment) as endpoint:
                    _transform(job, keys, endpoint.url, client("s3", credential))
        except (TransformError, UserError) as error:
            self.jobs.change(name, "Failed", str(error))
        else:
            self.jobs.times(name, TransformEndTime=time.time())
            self.jobs.change(name, "Completed")


def _check(given: dict[str, Any]) -> None:
    payload = given.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB)
    if not 0 <= payload <= MAX_PAYLOAD_MB:
        raise ApiError(
            f"1 validation error detected: Value '{payload}' at 'maxPayloadInMB' failed to satisfy constraint"
        )
    if payload * given.get("MaxConcurrentTransforms", 1) > MAX_PAYLOAD_MB:
        raise ApiError("MaxConcurrentTransforms * MaxPayloadInMB must not exceed 100 MB")
    if given.get("BatchStrategy") == "MultiRecord" and given["TransformInput"].get("SplitType", "None") == "None":
        raise ApiError("BatchStrategy MultiRecord needs a SplitType of Line, RecordIO or TFRecord")


def _inputs(job: dict[str, Any], credential: str) -> list[str]:
    source = job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    keys = objects_under(source, credential)
    if not keys:
        raise TransformError(f"ClientError: No objects were found under {source}")
    return keys


def _transform(job: dict[str, Any], keys: list[str], url: str, s3: Any) -> None:
    job = _suggested(url) | job
    source = job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"]
    target = urlparse(job["TransformOutput"]["S3OutputPath"])
    bucket, prefix = urlparse(source).netloc, urlparse(source).path.lstrip("/")
    folder = prefix[: prefix.rfind("/") + 1]
    for key in keys:
        body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
        answer = _answers(job, url, body)
        name = f"{target.path.lstrip('/')}{key.removeprefix(folder)}.out"
        s3.put_object(Bucket=target.netloc, Key=name, Body=answer)


def _suggested(url: str) -> dict[str, Any]:
    """Request the container's defaults for parameters that a job does not set."""
    with urllib3.PoolManager() as pool:
        answer = pool.request("GET", f"{url}/execution-parameters", timeout=60, retries=False)
    if answer.status != HTTPStatus.OK:
        return {}
    strategies = {"MULTI_RECORD": "MultiRecord", "SINGLE_RECORD": "SingleRecord"}
    suggested: dict[str, Any] = answer.json()
    return suggested | {"BatchStrategy": strategies[suggested.get("BatchStrategy", "MULTI_RECORD")]}


def _answers(job: dict[str, Any], url: str, body: bytes) -> bytes:
    headers = {"Content-Type": job["TransformInput"].get("ContentType", "")}
    if accept := job["TransformOutput"].get("Accept"):
        headers["Accept"] = accept
    joint = b"\n" if job["TransformOutput"].get("AssembleWith") == "Line" else b""
    answers = []
    with urllib3.PoolManager() as pool:
        for batch in _batches(job, body):
            answer = pool.request("POST", f"{url}/invocations", body=batch, headers=headers, timeout=600, retries=False)
            if answer.status != HTTPStatus.OK:
                # As in AWS, only the job's log has the response's body.
                raise TransformError("AlgorithmError: See job logs for more information")
            answers.append(answer.data)
    return b"".join(answer + joint for answer in answers)


def _batches(job: dict[str, Any], body: bytes) -> Iterator[bytes]:
    if job["TransformInput"].get("SplitType", "None") != "Line":
        yield body
        return
    limit = job.get("MaxPayloadInMB", DEFAULT_PAYLOAD_MB) * MEGABYTE
    if job.get("BatchStrategy", "MultiRecord") == "SingleRecord":
        limit = 0
    batch: list[bytes] = []
    size = 0
    for line in body.splitlines(keepends=True):
        if batch and size + len(line) > limit:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(line)
        size += len(line)
    if batch:
        yield b"".join(batch)
