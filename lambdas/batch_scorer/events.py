"""The events that the function handles: a file was uploaded, or its job has ended. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from batch_scorer.settings import Settings

AWS_BATCH_CHANGED = "Batch Job State Change"
JOB_CHANGED = "SageMaker Transform Job State Change"
ENDED = ("Completed", "Failed", "Stopped")


class EventError(ValueError):
    """The function does not handle this kind of event."""


@dataclass(frozen=True)
class Drop:
    """A file under the input prefix.

    `job_id` is the same for every event of one upload, and differs between uploads.
    """

    key: str
    etag: str
    time_utc: str
    job_id: str
    size_bytes: int = 0

    @property
    def suffix(self) -> str:
        """The file's ending, such as ".csv"."""
        return PurePosixPath(self.key).suffix.lower()


@dataclass(frozen=True)
class Change:
    """A transform job, or a job of AWS Batch, that has ended: Completed, Failed or Stopped, and why."""

    job_name: str
    status: str
    reason: str


def event_of(event: dict[str, Any], settings: Settings) -> Drop | Change | None:
    """Read an EventBridge event. None if the object is a folder, or if the job still runs.

    Raises
    ------
    EventError
        The event is about neither an object under the input prefix nor a job of this function.
    """
    detail = event.get("detail", {})
    if event.get("detail-type") == AWS_BATCH_CHANGED:
        return _change_of_aws_batch(detail, settings)
    if event.get("detail-type") == JOB_CHANGED:
        name = detail["TransformJobName"]
        _check_name(name, settings)
        change = Change(name, detail["TransformJobStatus"], detail.get("FailureReason", ""))
        return change if change.status in ENDED else None
    key = detail.get("object", {}).get("key", "")
    if not key.startswith(settings.input_prefix):
        raise EventError(f"neither an object under {settings.input_prefix} nor a {JOB_CHANGED!r}: {str(event)[:200]}")
    return None if key.endswith("/") else _drop(key, detail["object"], event["time"])


def _check_name(job_name: str, settings: Settings) -> None:
    if not job_name.startswith(f"{settings.job_name_prefix}-"):
        raise EventError(f"the job {job_name} is not one of {settings.job_name_prefix}-*")


def _change_of_aws_batch(detail: dict[str, Any], settings: Settings) -> Change | None:
    """Translate a job's state into SageMaker's name for it. None if the job has not ended."""
    _check_name(detail["jobName"], settings)
    status = {"SUCCEEDED": "Completed", "FAILED": "Failed"}.get(detail["status"])
    return None if status is None else Change(detail["jobName"], status, detail.get("statusReason", ""))


def _drop(key: str, entry: dict[str, Any], time_utc: str) -> Drop:
    upload = entry.get("version-id") or f"{entry['etag']} {entry.get('sequencer', time_utc)}"
    job_id = hashlib.sha256(f"{key}\n{upload}".encode()).hexdigest()[:16]
    return Drop(key, entry["etag"], time_utc, job_id, int(entry.get("size", 0)))
