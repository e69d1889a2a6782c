"""Describes a failed step in one sentence. Pure."""

from __future__ import annotations

import hashlib
import json
from typing import Any

MAX_REASON = 1000


def job_name(prefix: str, execution: str) -> str:
    """Return the name of an execution's training job. It has at most 63 characters and is the same each time."""
    return f"{prefix}-{hashlib.sha256(execution.encode()).hexdigest()[:16]}"


def reason_of(error: str, cause: str) -> str:
    """Extract the readable part of the error and the cause that Step Functions caught.

    Parameters
    ----------
    error : str
        Such as States.TaskFailed, or the class name of an exception that a Lambda function raised.
    cause : str
        Plain text or JSON: a Lambda function's error, or the description of a training job, of a query, or of an
        execution of another state machine, which in turn has an error and a cause.
    """
    try:
        document: Any = json.loads(cause)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        return f"{error}: {cause}"[:MAX_REASON]
    if "ExecutionArn" in document and document.get("Cause"):
        return reason_of(str(document.get("Error", error)), str(document["Cause"]))
    status = document.get("QueryExecution", {}).get("Status", {})
    for reason in (document.get("FailureReason"), document.get("errorMessage"), status.get("StateChangeReason")):
        if reason:
            return str(reason)[:MAX_REASON]
    return f"{error}: {cause}"[:MAX_REASON]
