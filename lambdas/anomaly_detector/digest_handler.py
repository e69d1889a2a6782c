"""The Lambda function of the weekly digest: `anomaly_detector.digest_handler.lambda_handler`."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger
from botocore.config import Config

from anomaly_detector.digest import DigestPublisher
from anomaly_detector.topic import Topic
from anomaly_detector.window import EventError
from egress_alerts.digest import last_whole_week, week_of
from egress_alerts.series import Window, day_of, parse_hour

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Publish the digest of the last whole week before a schedule's time, or of the week of a day: `{"week": DAY}`.

    Returns
    -------
    dict
        `week` (its Monday) and `published`, which is false if the week was published before.

    Raises
    ------
    Exception
        Any error, so that Lambda retries and then keeps the event.
    """
    week = week_of_event(event)
    result = {"week": day_of(week.start), "published": publisher().run(week)}
    logger.info("digest", extra=result)
    return result


def week_of_event(event: dict[str, Any]) -> Window:
    """Return the week that an event asks for.

    Raises
    ------
    EventError
        The event names no week.
    """
    if event.get("detail-type") == "Scheduled Event":
        return last_whole_week(parse_hour(f"{str(event['time'])[:13]}:00:00Z"))
    try:
        return week_of(parse_hour(f"{event['week']}T00:00:00Z"))
    except (KeyError, ValueError) as error:
        raise EventError(
            'the event names no week; accepted are a Scheduled Event and {"week": "2026-10-12"}, with any day of the '
            "week"
        ) from error


@cache
def publisher() -> DigestPublisher:
    """Make the clients at the first event, once for a function instance."""
    # One attempt: if a reply is lost and the client sends the message again, SNS publishes it twice.
    sns = boto3.client("sns", config=Config(retries={"total_max_attempts": 1}))
    return DigestPublisher(
        boto3.client("s3"),
        boto3.resource("dynamodb").Table(os.environ["ALERTS_TABLE"]),
        Topic(sns, os.environ["TOPIC_ARN"]),
        os.environ["BUCKET"],
        os.environ["SCORED_PREFIX"],
        os.environ["DIGEST_PREFIX"],
    )
