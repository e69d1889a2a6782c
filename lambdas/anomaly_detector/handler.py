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
from anomaly_detector.endpoint import Endpoint
from anomaly_detector.feature_rows import FeatureError, feature_descriptions, read_features
from anomaly_detector.scored_rows import ScoredRows
from anomaly_detector.settings import Settings
from anomaly_detector.topic import Topic
from anomaly_detector.window import window_of
from egress_alerts.detector import Detector, Outcome
from egress_alerts.planned import read_calendar

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

    from egress_alerts.planned import PlannedEvent
    from egress_alerts.series import Window

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
        `rows_scored`, `alerts` and `updated` (alert ids), `suppressed` (why, by alert id), `window`.

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
    outcome = run(window)
    metrics.add_metric("RowsScored", MetricUnit.Count, outcome.rows_scored)
    metrics.add_metric("NewAlerts", MetricUnit.Count, len(outcome.new_alerts))
    metrics.add_metric("DollarsAtStake", MetricUnit.NoUnit, outcome.usd_per_day_at_stake)
    metrics.add_metric("DurationSeconds", MetricUnit.Seconds, time.monotonic() - started)
    result = {
        "rows_scored": outcome.rows_scored,
        "alerts": outcome.new_alerts,
        "updated": outcome.updated_alerts,
        "suppressed": outcome.suppressed,
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


def run(window: Window) -> Outcome:
    """Read the window's features and the calendar, and let the detector decide.

    Raises
    ------
    FeatureError
        There are no features, and somebody asked for these hours.
    """
    features = read_features(s3(), settings.bucket, settings.features_prefix, window)
    if features.num_rows == 0:
        if not window.may_be_empty:
            where = f"s3://{settings.bucket}/{settings.features_prefix}"
            raise FeatureError(f"there are no features from {window} under {where}day=YYYY-MM-DD/")
        logger.warning("no features", extra={"window": str(window)})
        return Outcome()
    return detector().run(window, features, feature_descriptions(features), calendar())


def calendar() -> list[PlannedEvent]:
    """Read the calendar of planned events; none when no key is set."""
    key = settings.planned_events_key
    return read_calendar(s3().get_object(Bucket=settings.bucket, Key=key)["Body"].read().decode()) if key else []


@cache
def s3() -> Any:
    """Make the client at the first event, once for a function instance."""
    return boto3.client("s3")


@cache
def detector() -> Detector:
    """Make the detector at the first event, once for a function instance."""
    runtime = boto3.client(
        "sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=65)
    )
    return Detector(
        settings.policy,
        Endpoint(runtime, settings.endpoint_name, settings.max_body_bytes),
        ScoredRows(s3(), settings.bucket, settings.scored_prefix),
        AlertStore(boto3.resource("dynamodb").Table(settings.alerts_table)),
        Topic(boto3.client("sns"), settings.topic_arn),
    )
