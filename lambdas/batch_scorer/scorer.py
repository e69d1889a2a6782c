"""Checks an uploaded file, starts its transform job and joins the scores. A file that fails is moved to another prefix.

A large file goes to AWS Batch, where one job does all steps (`egress_sentinel.deployment.batch_job`).
"""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from batch_scorer import jobs
from batch_scorer.contract import MODEL_PACKAGE
from batch_scorer.errors import GONE, REPLACED, InputError, one_line
from batch_scorer.join import JoinError, join, output_name
from batch_scorer.models import (
    artifact_of_model,
    artifact_of_package,
    contract_at,
    current_model,
    delete_model,
    make_model,
)
from batch_scorer.plan import plan_for
from batch_scorer.prepare import Prepared, prepare
from batch_scorer.table import read_table

if TYPE_CHECKING:
    from batch_scorer.contract import Contract
    from batch_scorer.events import Change, Drop
    from batch_scorer.jobs import Jobs
    from batch_scorer.settings import AwsBatch, Settings

MAX_FILE_BYTES = 2_000_000_000  # the limit of the function's disk and its 15 minutes
MAX_COPY_BYTES = 5_000_000_000  # the limit of one CopyObject request
MAX_REASON = 900  # an object's metadata has at most 2 KB
AWS_BATCH = "aws_batch"


class JobError(RuntimeError):
    """The job is not in the job table, or not yet."""


class BatchScorer:
    """The clients and settings of all invocations, created once per function instance."""

    def __init__(self, settings: Settings, s3: Any, sagemaker: Any, table: Jobs, sns: Any, batch: Any) -> None:
        self._settings = settings
        self._s3 = s3
        self._sagemaker = sagemaker
        self._jobs = table
        self._sns = sns
        self._batch = batch

    def start(self, drop: Drop) -> dict[str, Any]:
        """Check a file and start its transform job. A second event of the same upload changes nothing.

        Returns
        -------
        dict
            `job_id`, `status` and, if it failed, `reason`.

        Raises
        ------
        ClientError, ModelError
            A call to AWS failed. A retry starts from the beginning.
        """
        known = self._jobs.begin(drop.job_id, input_key=drop.key, etag=drop.etag, output_key=self._output_key(drop))
        if known is not None:
            # An earlier attempt may have stopped after it copied the file aside and before it removed it.
            if known["status"] == jobs.FAILED and self._head(drop.key, drop.etag) is not None:
                self._s3.delete_object(Bucket=self._settings.bucket, Key=drop.key)
            return _summary(known)
        try:
            with tempfile.TemporaryDirectory() as temporary:
                started = self._start(drop, Path(temporary))
        except InputError as error:
            return self._fail(drop.job_id, drop.key, drop.etag, str(error))
        except Exception as error:
            # Lambda retries. Until then, the job table shows the reason.
            self._jobs.update(drop.job_id, reason=str(error)[:MAX_REASON])
            raise
        self._jobs.mark_running(drop.job_id, **started)
        return {"job_id": drop.job_id, "status": jobs.RUNNING}

    def finish(self, change: Change) -> dict[str, Any]:
        """Join a job's scores to its file, or move the file aside with the reason.

        Raises
        ------
        JobError
            The table has no such job, or the attempt that started it was killed and Lambda has not retried it yet.
        ClientError
            A call to AWS failed. A retry starts from the beginning.
        """
        job_id = change.job_name.rpartition("-")[2]
        job = self._jobs.get(job_id)
        if job is None:
            raise JobError(f"the job table has no {job_id}, of transform job {change.job_name}")
        if job["status"] in {jobs.DONE, jobs.FAILED}:
            return _summary(job)
        if job["status"] == jobs.PREPARING:
            raise JobError(
                f"transform job {change.job_name} ended before the job table had it; the retry of its upload adds it"
            )
        if job.get("model_package_arn"):
            delete_model(self._sagemaker, job["model_name"])
        is_in_aws_batch = job.get("runner") == AWS_BATCH
        if change.status != "Completed":
            what = "AWS Batch job" if is_in_aws_batch else "transform job"
            ending = f"{what} {change.job_name} ended as {change.status}: {change.reason or 'no reason given'}"
            reason = self._reason(job_id) if is_in_aws_batch else ""
            return self._fail(job_id, job["input_key"], job["etag"], reason or ending)
        try:
            if not is_in_aws_batch:
                with tempfile.TemporaryDirectory() as temporary:
                    self._join(job, Path(temporary))
        except (InputError, JoinError) as error:
            return self._fail(job_id, job["input_key"], job["etag"], str(error))
        self._jobs.update(job_id, status=jobs.DONE, reason="")
        return {"job_id": job_id, "status": jobs.DONE}

    def _start(self, drop: Drop, folder: Path) -> dict[str, Any]:
        aws_batch = self._settings.aws_batch
        if aws_batch is not None and drop.size_bytes >= aws_batch.from_bytes:
            return self._start_in_aws_batch(drop, aws_batch, folder)
        _check_size(drop, MAX_FILE_BYTES)
        source, package_arn = self._fetch(drop.key, drop.etag, folder / f"input{drop.suffix}")
        job_name = self._job_name(drop)
        model_name, artifact = self._model(job_name, package_arn)
        contract = contract_at(self._s3, artifact, folder)
        prepared = prepare(read_table(source), contract, folder)
        work = f"{self._settings.jobs_prefix}{drop.job_id}"
        for part in prepared.parts:
            self._s3.upload_file(str(part), self._settings.bucket, f"{work}/input/{part.name}")
        if package_arn:
            make_model(self._sagemaker, package_arn, model_name, self._settings)
        self._create_job(job_name, model_name, work, prepared, contract)
        return {
            "model_name": model_name,
            "model_id": contract.model_id,
            "model_package_arn": package_arn,
            "transform_job_name": job_name,
            "rows": prepared.rows,
            "parts": len(prepared.parts),
            "feature_names": contract.features or [],
        }

    def _start_in_aws_batch(self, drop: Drop, aws_batch: AwsBatch, folder: Path) -> dict[str, Any]:
        """Write the job's input and submit the job. A second job of the same file writes the same result."""
        _check_size(drop, aws_batch.max_bytes)
        head = self._head(drop.key, drop.etag)
        if head is None:
            raise InputError(REPLACED)
        job_name = self._job_name(drop)
        package_arn = head["Metadata"].get(MODEL_PACKAGE, "")
        model_name, artifact = self._model(job_name, package_arn)
        model_id = contract_at(self._s3, artifact, folder).model_id
        model = {"model_name": package_arn or model_name, "model_id": model_id}
        document = {
            "bucket": self._settings.bucket,
            "input_key": drop.key,
            "input_etag": drop.etag,
            "artifact": artifact,
            "output_key": self._output_key(drop),
            "failure_key": self._failure_key(drop.job_id),
            "metadata": _metadata({"job_id": drop.job_id, "etag": drop.etag, **model}),
        }
        key = f"{self._settings.jobs_prefix}{drop.job_id}/job.json"
        self._s3.put_object(Bucket=self._settings.bucket, Key=key, Body=json.dumps(document).encode())
        submitted = self._batch.submit_job(
            jobName=job_name,
            jobQueue=aws_batch.queue,
            jobDefinition=aws_batch.job_definition,
            parameters={"job": f"s3://{self._settings.bucket}/{key}"},
        )
        return {"runner": AWS_BATCH, "aws_batch_job_id": submitted["jobId"], **model}

    def _job_name(self, drop: Drop) -> str:
        return f"{self._settings.job_name_prefix}-{drop.job_id}"

    def _output_key(self, drop: Drop) -> str:
        return self._settings.output_prefix + output_name(drop.key, self._settings.input_prefix, drop.time_utc)

    def _failure_key(self, job_id: str) -> str:
        return f"{self._settings.jobs_prefix}{job_id}/failure.txt"

    def _reason(self, job_id: str) -> str:
        """Return the reason that a failed job of AWS Batch wrote. Empty if it stopped before it wrote one."""
        try:
            answer = self._s3.get_object(Bucket=self._settings.bucket, Key=self._failure_key(job_id))
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return ""
            raise
        return str(answer["Body"].read().decode())

    def _model(self, job_name: str, package_arn: str) -> tuple[str, str]:
        """Return name and artifact of the model to score with. For a model package, the job creates its own model."""
        if package_arn:
            return job_name, artifact_of_package(self._sagemaker, package_arn, self._settings.model_package_group)
        name = self._settings.model_name or current_model(self._sagemaker, self._settings.endpoint_name)
        return name, artifact_of_model(self._sagemaker, name)

    def _create_job(self, job_name: str, model_name: str, work: str, prepared: Prepared, contract: Contract) -> None:
        plan = plan_for(
            prepared.size_bytes, prepared.longest_line_bytes, len(prepared.parts), prepared.shortest_line_bytes
        )
        where = f"s3://{self._settings.bucket}/{work}"
        source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": f"{where}/input/"}}
        resources = {"InstanceType": plan.instance_type, "InstanceCount": plan.instance_count}
        if self._settings.kms_key_arn:
            resources["VolumeKmsKeyId"] = self._settings.kms_key_arn
        try:
            self._sagemaker.create_transform_job(
                TransformJobName=job_name,
                ModelName=model_name,
                BatchStrategy=plan.strategy,
                MaxPayloadInMB=plan.max_payload_mb,
                MaxConcurrentTransforms=plan.max_concurrent_transforms,
                TransformInput={"DataSource": source, "ContentType": "text/csv", "SplitType": "Line"},
                TransformOutput={
                    "S3OutputPath": f"{where}/output/",
                    "Accept": contract.accept,
                    "AssembleWith": "Line",
                },
                TransformResources=resources,
            )
        except ClientError as error:
            # An earlier attempt created the job.
            if error.response["Error"]["Code"] != "ResourceInUse":
                raise

    def _join(self, job: dict[str, Any], folder: Path) -> None:
        suffix = PurePosixPath(job["input_key"]).suffix.lower()
        source, _ = self._fetch(job["input_key"], job["etag"], folder / f"input{suffix}")
        answers = []
        for part in range(int(job["parts"])):
            name = f"part-{part:05d}.csv.out"
            key = f"{self._settings.jobs_prefix}{job['job_id']}/output/{name}"
            self._s3.download_file(self._settings.bucket, key, str(folder / name))
            answers.append(folder / name)
        target = folder / "joined.csv"
        join(read_table(source), job["feature_names"] or None, answers, target)
        extra = {"Metadata": _metadata(job), "ContentType": "text/csv"}
        self._s3.upload_file(str(target), self._settings.bucket, job["output_key"], ExtraArgs=extra)

    def _fetch(self, key: str, etag: str, target: Path) -> tuple[Path, str]:
        """Download the version that the event names. Return it and the model package in its metadata, if any."""
        try:
            answer = self._s3.get_object(Bucket=self._settings.bucket, Key=key, IfMatch=etag)
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                raise InputError(REPLACED) from error
            raise
        with target.open("wb") as file:
            shutil.copyfileobj(answer["Body"], file, 1 << 20)
        return target, answer["Metadata"].get(MODEL_PACKAGE, "")

    def _fail(self, job_id: str, key: str, etag: str, reason: str) -> dict[str, Any]:
        """Copy the file aside, notify and record the failure. Remove the file last, so that a retry loses nothing."""
        reason = one_line(reason)[:MAX_REASON]
        moved = self._copy_aside(job_id, key, etag, reason)
        where = f"It is now {one_line(moved)}." if moved else "There is nothing to move."
        self._sns.publish(
            TopicArn=self._settings.topic_arn,
            Subject=one_line(f"Batch scoring failed: {Path(key).name}").encode("ascii", "replace").decode()[:100],
            Message=f"s3://{self._settings.bucket}/{one_line(key)} was not scored: {reason}\n{where}\nJob {job_id}",
        )
        self._jobs.update(job_id, status=jobs.FAILED, reason=reason)
        if moved:
            self._s3.delete_object(Bucket=self._settings.bucket, Key=key)
        return {"job_id": job_id, "status": jobs.FAILED, "reason": reason}

    def _copy_aside(self, job_id: str, key: str, etag: str, reason: str) -> str:
        bucket = self._settings.bucket
        target = self._settings.failed_prefix + key.removeprefix(self._settings.input_prefix)
        head = self._head(key, etag)
        if head is None:
            return ""
        metadata = {"job-id": job_id, "input-etag": etag, "reason": reason.encode("ascii", "replace").decode()}
        source = {"Bucket": bucket, "Key": key}
        extra = {"CopySourceIfMatch": etag, "MetadataDirective": "REPLACE", "Metadata": metadata}
        if head.get("ContentLength", 0) > MAX_COPY_BYTES:
            self._s3.copy(source, bucket, target, ExtraArgs=extra)
        else:
            self._s3.copy_object(Bucket=bucket, Key=target, CopySource=source, **extra)
        return f"s3://{bucket}/{target}"

    def _head(self, key: str, etag: str) -> dict[str, Any] | None:
        """Return the metadata of the event's upload. None if it was removed or replaced."""
        try:
            head: dict[str, Any] = self._s3.head_object(Bucket=self._settings.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in GONE:
                return None
            raise
        return head if head["ETag"].strip('"') == etag else None


def _check_size(drop: Drop, max_bytes: int) -> None:
    if drop.size_bytes > max_bytes:
        raise InputError(f"it is {drop.size_bytes:,} bytes long; {max_bytes:,} are accepted: split it")


def _metadata(job: dict[str, Any]) -> dict[str, str]:
    """Return the S3 metadata of a result."""
    model_id = job.get("model_id", "")  # jobs of earlier versions have none
    return {
        "job-id": job["job_id"],
        "input-etag": job["etag"],
        "model-name": job["model_name"],
        "model-id": model_id,
    }


def _summary(job: dict[str, Any]) -> dict[str, Any]:
    kept = {name: job[name] for name in ("job_id", "status")}
    return kept | ({"reason": job["reason"]} if job.get("reason") else {})
