"""The Lambda function: `anomaly_detector.handler.lambda_handler`."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from botocore.config import Config

from anomaly_detector.alert_store import AlertStore
from anomaly_detector.detector import Detector
from anomaly_detector.endpoint import Endpoint
from anomaly_detector.scored_rows import ScoredRows
from anomaly_detector.settings import Settings
from anomaly_detector.window import window_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()
idempotency = IdempotencyConfig(event_key_jmespath="id")
settings = Settings.from_environment(os.environ)
# A client of our own: Powertools would open a second session, which reads all of botocore's catalogue again.
idempotency_table = DynamoDBPersistenceLayer(
    table_name=settings.idempotency_table, boto3_client=boto3.client("dynamodb")
)


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Score the hours that the event asks for; an event with an id is done once.

    Returns
    -------
    dict
        `rows_scored`, `alerts` and `updated` (alert ids), `quiet` (why, by alert id), `window`.

    Raises
    ------
    Exception
        Whatever went wrong, so that Lambda retries and then keeps the event.
    """
    idempotency.register_lambda_context(context)
    # An event without an id was written by hand, and whoever asks again wants it again.
    return handle_once(event=event) if "id" in event else handle(event)


def handle(event: dict[str, Any]) -> dict[str, Any]:
    """Score the hours that the event asks for, however often it asks."""
    started = time.monotonic()
    window = window_of(event, settings.features_prefix)
    outcome = detector().run(window)
    if outcome.rows_scored == 0:
        logger.warning("no features", extra={"window": str(window)})
    metrics.add_metric("RowsScored", MetricUnit.Count, outcome.rows_scored)
    metrics.add_metric("NewAlerts", MetricUnit.Count, len(outcome.new_alerts))
    metrics.add_metric("DollarsAtStake", MetricUnit.NoUnit, outcome.usd_per_day_at_stake)
    metrics.add_metric("DurationSeconds", MetricUnit.Seconds, time.monotonic() - started)
    result = {
        "rows_scored": outcome.rows_scored,
        "alerts": outcome.new_alerts,
        "updated": outcome.updated_alerts,
        "quiet": outcome.quiet,
        "window": str(window),
    }
    logger.info("scored", extra=result)
    return result


handle_once = idempotent_function(
    lambda *, event: handle(event),
    data_keyword_argument="event",
    persistence_store=idempotency_table,
    config=idempotency,
    key_prefix="anomaly_detector",
)


@cache
def detector() -> Detector:
    """Make the clients at the first event, once for a function instance."""
    s3 = boto3.client("s3")
    runtime = boto3.client(
        "sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=65)
    )
    return Detector(
        settings,
        s3,
        Endpoint(runtime, settings.endpoint_name, settings.max_body_bytes),
        ScoredRows(s3, settings.bucket, settings.scored_prefix),
        AlertStore(boto3.resource("dynamodb").Table(settings.alerts_table)),
        boto3.client("sns"),
    )
