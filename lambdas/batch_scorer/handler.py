"""The Lambda function: `batch_scorer.handler.lambda_handler`."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from batch_scorer.events import Change, event_of
from batch_scorer.jobs import Jobs
from batch_scorer.scorer import BatchScorer
from batch_scorer.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()
settings = Settings.from_environment(os.environ)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Start the job of an uploaded file, or finish a job that has ended. A repeated event changes nothing.

    Returns
    -------
    dict
        `job_id`, `status` ("running", "done", "failed", "nothing to do") and, if the job failed, `reason`.

    Raises
    ------
    Exception
        An error that a retry may resolve. Lambda retries, and then puts the event into the dead-letter queue.
    """
    asked = event_of(event, settings)
    if asked is None:
        return {"status": "nothing to do"}
    result = scorer().finish(asked) if isinstance(asked, Change) else scorer().start(asked)
    metrics.add_metric("BatchFailed", MetricUnit.Count, int(result["status"] == "failed"))
    logger.info("batch", extra=result)
    return result


@cache
def scorer() -> BatchScorer:
    """Create the clients on the first event, once per function instance."""
    return BatchScorer(
        settings,
        boto3.client("s3"),
        boto3.client("sagemaker"),
        Jobs(boto3.resource("dynamodb").Table(settings.jobs_table)),
        boto3.client("sns"),
        boto3.client("batch"),
    )
