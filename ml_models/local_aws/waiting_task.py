"""Tasks that call SageMaker, Athena or another state machine and, with `.sync`, wait for the started job."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError
from moto.stepfunctions.parser.api import HistoryEventType, TaskFailedEventDetails
from moto.stepfunctions.parser.asl.component.common.error_name.custom_error_name import CustomErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.failure_event import FailureEvent, FailureEventException
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name import StatesErrorName
from moto.stepfunctions.parser.asl.component.common.error_name.states_error_name_type import StatesErrorNameType
from moto.stepfunctions.parser.asl.component.state.exec.state_task.service.state_task_service_callback import (
    StateTaskServiceCallback,
)
from moto.stepfunctions.parser.asl.utils.boto_client import boto_client_for

if TYPE_CHECKING:
    from collections.abc import Callable

_POLL_SECONDS = 0.3


def _training_job(boto: Any, given: dict[str, Any], _: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    job = boto.describe_training_job(TrainingJobName=given["TrainingJobName"])
    return job["TrainingJobStatus"], job


def _query(boto: Any, _: dict[str, Any], started: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    answer = boto.get_query_execution(QueryExecutionId=started["QueryExecutionId"])
    return answer["QueryExecution"]["Status"]["State"], answer


def _execution(boto: Any, _: dict[str, Any], started: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    answer = boto.describe_execution(executionArn=started["executionArn"])
    return answer["status"], {f"{name[0].upper()}{name[1:]}": value for name, value in answer.items()}


# The calls that `.sync` waits for: how to get the state, and the states of success and failure.
_WAITED_FOR: dict[str, tuple[Callable[..., tuple[str, dict[str, Any]]], set[str], set[str]]] = {
    "create_training_job": (_training_job, {"Completed"}, {"Failed", "Stopped"}),
    "start_query_execution": (_query, {"SUCCEEDED"}, {"FAILED", "CANCELLED"}),
    "start_execution": (_execution, {"SUCCEEDED"}, {"FAILED", "TIMED_OUT", "ABORTED"}),
}


def _as_boto_names(parameters: dict[str, Any]) -> dict[str, Any]:
    """Convert a task's parameters to boto3's names, with the input as text and a name for the execution."""
    named = {f"{name[0].lower()}{name[1:]}": value for name, value in parameters.items()}
    return {"name": str(uuid.uuid4()), **named, "input": json.dumps(named.get("input", {}))}


class WaitingTask(StateTaskServiceCallback):
    """A call of a service. moto's interpreter creates one for each task."""

    def __init__(self) -> None:
        super().__init__(supported_integration_patterns=set())

    def _validate_service_integration_is_supported(self) -> None:
        pass

    def _is_integration_pattern(self) -> bool:
        return False  # this class waits itself

    def _eval_service_task(
        self, env: Any, resource_runtime_part: Any, normalised_parameters: Any, state_credentials: Any
    ) -> None:
        action, service = self._get_boto_service_action(), self._get_boto_service_name()
        boto = boto_client_for(
            service=service, region=resource_runtime_part.region, state_credentials=state_credentials
        )
        if service == "stepfunctions":
            normalised_parameters = _as_boto_names(normalised_parameters)
        answer = getattr(boto, action)(**normalised_parameters)
        if self.resource.condition is not None:
            answer = self._wait(env, boto, action, normalised_parameters, answer)
        answer.pop("ResponseMetadata", None)
        env.stack.append(json.loads(json.dumps(answer, default=str)))

    def _wait(self, env: Any, boto: Any, action: str, given: Any, started: Any) -> Any:
        look, good, bad = _WAITED_FOR[action]
        while True:
            state, answer = look(boto, given, started)
            if state in good:
                return answer
            if state in bad:
                answer.pop("ResponseMetadata", None)
                cause = json.dumps(answer, default=str)
                failed = StatesErrorName(typ=StatesErrorNameType.StatesTaskFailed)
                raise FailureEventException(self._failure(env, failed, "States.TaskFailed", cause))
            time.sleep(_POLL_SECONDS)

    def _from_error(self, env: Any, ex: Exception) -> Any:
        if isinstance(ex, ClientError):
            error: Any = ex.response["Error"]
            service = self.resource.service_name
            name = f"{'StepFunctions' if service == 'states' else service.title()}.{error['Code']}"
            return self._failure(env, CustomErrorName(name), name, error.get("Message", ""))
        return super()._from_error(env=env, ex=ex)

    def _failure(self, env: Any, error_name: Any, error: str, cause: str) -> Any:
        details: Any = TaskFailedEventDetails(
            resource=self._get_sfn_resource(), resourceType=self._get_sfn_resource_type(), error=error, cause=cause
        )
        event: Any = {"taskFailedEventDetails": details}
        return FailureEvent(
            env=env,
            error_name=error_name,
            event_type=HistoryEventType.TaskFailed,
            event_details=event,
        )
