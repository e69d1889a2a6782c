"""The Lambda function: `drift_monitor.handler.lambda_handler`."""

from __future__ import annotations

import os
from dataclasses import asdict
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from drift_monitor.decision import JUDGED
from drift_monitor.events import windows_of
from drift_monitor.monitor import Monitor
from drift_monitor.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()
settings = Settings.from_environment(os.environ)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Check the day or hour that the event names.

    Returns
    -------
    dict
        The fields of `decision.Outcome`.

    Raises
    ------
    Exception
        Any error. Lambda retries, and then puts the event into the dead-letter queue.
    """
    outcome = monitor().run(windows_of(event, hourly=settings.hourly))
    result = asdict(outcome)
    metrics.add_metric("RowsJudged", MetricUnit.Count, outcome.rows)
    if outcome.status == JUDGED:
        metrics.add_metric("DriftedFeatures", MetricUnit.Count, len(outcome.drifted))
        metrics.add_metric("WorstDrift", MetricUnit.NoUnit, outcome.worst)
        if outcome.flagged_share is not None:
            metrics.add_metric("FlaggedShare", MetricUnit.NoUnit, outcome.flagged_share)
        logger.info("judged", extra=result)
    else:
        logger.warning("not judged", extra=result)
    return result


@cache
def monitor() -> Monitor:
    """Create the clients on the first event, once per function instance."""
    return Monitor(settings, boto3.client("s3"), boto3.client("sagemaker"), boto3.client("sns"))
