"""The Lambda function: `model_registrar.handler.lambda_handler`."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

import boto3
from aws_lambda_powertools import Logger

from model_registrar.registrar import Registrar
from model_registrar.settings import Settings

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

logger = Logger()
settings = Settings.from_environment(os.environ)


class EventError(ValueError):
    """The event's action is unknown."""


@logger.inject_lambda_context
def lambda_handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Run the event's `action` with the event's other fields as arguments.

    `{"action": "register", "artifact": "s3://..."}` by a person or the state machine, with `image` and `content_types`
    for an artifact of another training script; `prepare` with `execution`, and `explain` with `step`, `error`, `cause`,
    `execution` and, where it is not retraining, `what`, by a state machine.

    Returns
    -------
    dict
        The result of the `Registrar` method of that name.

    Raises
    ------
    EventError
        The action is unknown.
    Exception
        Any error. The state machine names the step that failed.
    """
    action = event.get("action")
    if action == "prepare":
        result = registrar().prepare(event["execution"])
    elif action == "register":
        result = registrar().register(event["artifact"], event.get("image", ""), event.get("content_types"))
    elif action == "explain":
        what = event.get("what", "Retraining")
        result = registrar().explain(what, event["step"], event["error"], event["cause"], event["execution"])
    else:
        raise EventError(f"the action is {action!r}; use prepare, register or explain")
    logger.info(action, extra=result)
    return result


@cache
def registrar() -> Registrar:
    """Create the clients on the first event, once per function instance."""
    alerts = boto3.resource("dynamodb").Table(settings.alerts_table) if settings.alerts_table else None
    return Registrar(settings, boto3.client("s3"), boto3.client("sagemaker"), boto3.client("logs"), alerts)
