"""The Lambda function: `notification_forwarder.handler.lambda_handler`."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from notification_forwarder.forwarder import Forwarder
from notification_forwarder.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
settings = Settings.from_environment(os.environ)


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Forward the notifications of an SNS event.

    Returns
    -------
    dict
        `requests`: the number of requests that were sent.

    Raises
    ------
    Exception
        Any error, so that Lambda retries and then keeps the event.
    """
    records = [record["Sns"] for record in event["Records"]]
    result = {"requests": sum(forwarder().forward(sns["Message"], sns["MessageId"]) for sns in records)}
    logger.info("forwarded", extra=result | {"destination": settings.destination})
    return result


@cache
def forwarder() -> Forwarder:
    """Make the clients at the first event, once for a function instance."""
    return Forwarder(settings, boto3.client("secretsmanager"), boto3.client("sns"))
