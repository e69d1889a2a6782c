"""State machines of Step Functions that run on moto's interpreter.

Closes these gaps of moto 5.2: machines are not executed by default, ValidateStateMachineDefinition and
ListStateMachineVersions, which the provider calls, are missing, `.sync` is not supported for SageMaker and Athena and
fails for another machine, an object cannot be put as JSON, and the calls of all machines have the same access key.
EventBridge rules can start machines.
"""

from __future__ import annotations

import json
import os
import uuid
from importlib import import_module
from typing import Any
from urllib.parse import urlparse

from werkzeug.wrappers import Request, Response

from local_aws.account import ApiError, client
from local_aws.asl import check_definition


def execute(url: str) -> None:
    """Make moto execute machines whose tasks call this server. Called once, before the server starts."""
    from moto.core.config import default_user_config

    default_user_config["stepfunctions"]["execute_state_machine"] = True
    # Must run before the modules of the tasks are imported, since they bind the function at import.
    _sign_as_the_role(url)
    from local_aws.waiting_task import WaitingTask

    factory: Any = import_module("moto.stepfunctions.parser.asl.component.state.exec.state_task.state_task_factory")
    os.environ["MOTO_PORT"] = str(urlparse(url).port)
    of_moto = factory.state_task_service_for

    def service_for(service_name: str) -> Any:
        return WaitingTask() if service_name in {"athena", "sagemaker", "states"} else of_moto(service_name)

    factory.state_task_service_for = service_for
    _name_executions()


def _name_executions() -> None:
    """Name an execution without a name, as Step Functions does. moto treats two such executions as the same."""
    from moto.stepfunctions.parser.models import StepFunctionsParserBackend

    start_execution = StepFunctionsParserBackend.start_execution

    def start_named(self: Any, state_machine_arn: str, name: str | None = None, *rest: Any, **named: Any) -> Any:
        return start_execution(self, state_machine_arn, name or str(uuid.uuid4()), *rest, **named)

    StepFunctionsParserBackend.start_execution = start_named  # type: ignore[method-assign]


def _sign_as_the_role(url: str) -> None:
    """Sign the calls of a machine's tasks with the name of its role, so that requests show which role sent them."""
    import boto3
    from botocore.config import Config

    # A Lambda function may run for 15 minutes. Only the service validates a task's parameters.
    config = Config(parameter_validation=False, retries={"total_max_attempts": 1}, read_timeout=900, proxies={})

    def client_for(region: str, service: str, state_credentials: Any) -> Any:
        key = state_credentials.role_arn.rpartition("/")[2]
        found = boto3.client(
            service,  # type: ignore[call-overload]
            endpoint_url=url,
            region_name=region,
            aws_access_key_id=key,
            aws_secret_access_key=key,
            config=config,
        )
        if service == "s3":
            found.meta.events.register("before-parameter-build.s3.PutObject", _write_json)
        return found

    calls: Any = import_module("moto.stepfunctions.parser.asl.utils.boto_client")
    calls.boto_client_for = client_for


def _write_json(params: dict[str, Any], **_: Any) -> None:
    """Convert a body that is not a text to JSON, as Step Functions does."""
    if isinstance(params.get("Body"), dict | list):
        params["Body"] = json.dumps(params["Body"]).encode()


def answer(request: Request, body: bytes) -> Response | None:
    """Answer ValidateStateMachineDefinition and ListStateMachineVersions, which moto lacks. Machines have no versions.

    A machine with an invalid definition is rejected.
    """
    action = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
    if action == "ListStateMachineVersions":
        return Response(json.dumps({"stateMachineVersions": []}), mimetype="application/x-amz-json-1.0")
    if action in {"CreateStateMachine", "UpdateStateMachine"}:
        found = check_definition(json.loads(body).get("definition", "{}")) if b'"definition"' in body else []
        return ApiError(f"Invalid State Machine Definition: {found}", "InvalidDefinition").response() if found else None
    if action == "ValidateStateMachineDefinition":
        return Response(json.dumps(_validated(json.loads(body)["definition"])), mimetype="application/x-amz-json-1.0")
    return None


def _validated(definition: str) -> dict[str, Any]:
    """Parse a definition as an execution does."""
    from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser, ASLParserException

    messages = check_definition(definition)
    try:
        AmazonStateLanguageParser.parse(definition)
    except (ASLParserException, ValueError) as error:
        messages.append(str(error))
    found = [{"severity": "ERROR", "code": "SCHEMA_VALIDATION_FAILED", "message": message} for message in messages]
    return {"result": "FAIL" if found else "OK", "diagnostics": found, "truncated": False}


def start(arn: str, event: dict[str, Any]) -> None:
    """Start an execution with an EventBridge event as its input. The execution is named after the event."""
    client("stepfunctions").start_execution(stateMachineArn=arn, name=event["id"], input=json.dumps(event, default=str))
