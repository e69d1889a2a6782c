"""The Lambda function: `anomaly_detector.handler.lambda_handler`."""

from __future__ import annotations

import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.config import Config

from anomaly_detector.endpoint import Endpoint
from anomaly_detector.feature_store import CALLS_AT_ONCE, FeatureStore
from anomaly_detector.runner import Runner
from anomaly_detector.settings import Settings
from anomaly_detector.topic import Topic
from anomaly_detector.window import window_of

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
metrics = Metrics()
settings = Settings.from_environment(os.environ)
_CLOCKS_DIFFER_SECONDS = 60


@logger.inject_lambda_context
@metrics.log_metrics
def lambda_handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any]:
    """Score the hours that the event asks for. A repeated event changes nothing and sends no notification.

    Returns
    -------
    dict
        `rows_scored`, `alerts` and `updated` (alert ids), `suppressed` (reasons by alert id), `window`.

    Raises
    ------
    Exception
        Any error, so that Lambda retries and then keeps the event.
    """
    started = time.monotonic()
    window = window_of(event, settings.features_prefix)
    deadline = time.time() + context.get_remaining_time_in_millis() / 1000 + _CLOCKS_DIFFER_SECONDS
    outcome = runner().run(window, context.aws_request_id, deadline)
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
    if outcome.rows_scored:
        logger.info("scored", extra=result)
    else:
        logger.warning("no features", extra=result)
    return result


@cache
def runner() -> Runner:
    """Make the clients at the first event, once for a function instance."""
    runtime = boto3.client(
        "sagemaker-runtime", config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=65)
    )
    return Runner(
        settings,
        boto3.client("s3"),
        boto3.resource("dynamodb").Table(settings.alerts_table),
        Endpoint(runtime, settings.endpoint_name, settings.max_body_bytes),
        Topic(boto3.client("sns"), settings.topic_arn),
        feature_store=_feature_store(),
        cloudtrail=_cloudtrail if settings.reads_cloudtrail else None,
    )


def _feature_store() -> FeatureStore | None:
    if not settings.feature_group:
        return None
    config = Config(retries={"mode": "standard", "total_max_attempts": 8}, max_pool_connections=CALLS_AT_ONCE)
    runtime = boto3.client("sagemaker-featurestore-runtime", config=config)
    return FeatureStore(boto3.client("sagemaker"), runtime, settings.feature_group)


@cache
def _cloudtrail(region: str) -> Any:
    retries = Config(retries={"total_max_attempts": 3, "mode": "standard"}, connect_timeout=5, read_timeout=10)
    return boto3.client("cloudtrail", region_name=region, config=retries)
