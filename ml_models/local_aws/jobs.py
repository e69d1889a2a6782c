"""SageMaker jobs that run in the background, and the events that they send to EventBridge."""

from __future__ import annotations

import threading
import time
import uuid
from typing import Any

from local_aws.account import ACCOUNT_ID, REGION, ApiError


class JobTable:
    """The jobs of one kind.

    Parameters
    ----------
    kind : str
        The prefix of the API's fields: TransformJob or TrainingJob.
    resource : str
        The resource type in ARNs.
    detail_type : str
        The detail type of state change events.
    """

    def __init__(self, kind: str, resource: str, detail_type: str) -> None:
        self._kind = kind
        self._resource = resource
        self._detail_type = detail_type
        self._jobs: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def create(self, given: dict[str, Any]) -> dict[str, str]:
        """Create a job with the status InProgress. A name can be used only once."""
        name = given[f"{self._kind}Name"]
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:{self._resource}/{name}"
        now = time.time()
        with self._lock:
            if name in self._jobs:
                raise ApiError(f"Job name must be unique within an AWS account and region: {name}", "ResourceInUse")
            state = {f"{self._kind}Arn": arn, f"{self._kind}Status": "InProgress"}
            self._jobs[name] = {**given, **state, "CreationTime": now, **self._modified()}
        return {f"{self._kind}Arn": arn}

    def get(self, name: str) -> dict[str, Any]:
        """Describe a job."""
        with self._lock:
            if name not in self._jobs:
                raise ApiError(f"Requested resource not found: {name}")
            return {key: value for key, value in self._jobs[name].items() if key != "Tags"}

    def times(self, name: str, **fields: Any) -> None:
        """Set fields of a job, such as the start time."""
        with self._lock:
            self._jobs[name] |= fields

    def change(self, name: str, status: str, reason: str = "") -> None:
        """End a job with the status InProgress, and send the event."""
        with self._lock:
            job = self._jobs[name]
            if job[f"{self._kind}Status"] != "InProgress":
                return
            job |= {f"{self._kind}Status": status, **self._modified()}
            if reason:
                job["FailureReason"] = reason
        emit(self._detail_type, [job[f"{self._kind}Arn"]], self.get(name))

    def _modified(self) -> dict[str, float]:
        """Return the modification time, if descriptions of this kind have one."""
        return {"LastModifiedTime": time.time()} if self._kind == "TrainingJob" else {}

    def summaries(self) -> list[dict[str, Any]]:
        """List the jobs, newest first."""
        names = ("Name", "Arn", "Status")
        with self._lock:
            return [
                {f"{self._kind}{name}": job[f"{self._kind}{name}"] for name in names}
                | {"CreationTime": job["CreationTime"]}
                for job in reversed(self._jobs.values())
            ]


def emit(detail_type: str, resources: list[str], detail: dict[str, Any], source: str = "aws.sagemaker") -> None:
    """Send an event of an AWS service. PutEvents cannot, since it rejects sources that start with "aws."."""
    from moto.events.models import events_backends

    event: Any = {
        "version": "0",
        "id": str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT_ID,
        "time": time.time(),
        "region": REGION,
        "resources": resources,
        "detail": detail,
    }
    for bus in events_backends[ACCOUNT_ID][REGION].event_buses.values():
        for rule in list(bus.rules.values()):
            rule.send_to_targets(event, transform_input=False)
