"""Checks definitions of state machines for faults that Step Functions rejects at creation or when it runs a state.

The language: https://states-language.net. Integrations:
https://docs.aws.amazon.com/step-functions/latest/dg/integrate-services.html. Moto's parser checks the grammar. This
module checks names, targets, paths, calls of services and sizes.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from local_aws.service_model import service_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import Shape

_DEFINITION_BYTES = 1024 * 1024
_PAYLOAD_BYTES = 256 * 1024
_NAME_CHARACTERS = 80
_NESTED_FUNCTIONS = 10

_COMMON = {"Type", "Comment", "QueryLanguage"}
_PATHS = {"InputPath", "OutputPath"}
_NEXT = {"Next", "End"}
_RESULTS = {"Parameters", "ResultSelector", "ResultPath", "Retry", "Catch"}
_FIELDS = {
    "Task": _PATHS
    | _NEXT
    | _RESULTS
    | {"Resource", "Credentials", "TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath"},
    "Pass": _PATHS | _NEXT | {"Result", "ResultPath", "Parameters"},
    "Choice": _PATHS | {"Choices", "Default"},
    "Wait": _PATHS | _NEXT | {"Seconds", "Timestamp", "SecondsPath", "TimestampPath"},
    "Succeed": _PATHS,
    "Fail": {"Error", "ErrorPath", "Cause", "CausePath"},
    "Parallel": _PATHS | _NEXT | _RESULTS | {"Branches"},
    "Map": _PATHS
    | _NEXT
    | _RESULTS
    | {
        "ItemProcessor",
        "ItemsPath",
        "ItemSelector",
        "ItemReader",
        "ItemBatcher",
        "ResultWriter",
        "MaxConcurrency",
        "Label",
    },
}
_STEP = r"(?:\.[A-Za-z_]\w*|\['[^']+'\]|\[\d+\]"
_PATH = re.compile(rf"\$\$?{_STEP}|\[\*\])*")
_REFERENCE_PATH = re.compile(rf"\${_STEP})*")
_RESOURCE = re.compile(r"arn:[a-z-]+:states:::(aws-sdk:)?([a-z0-9]+):(\w+)(\.sync(?::2)?|\.waitForTaskToken)?")
_FUNCTION = re.compile(r"States\.(\w+)\((.*)\)", re.DOTALL)
_LITERAL = re.compile(r"'(?:[^'\\]|\\.)*'|-?\d+(?:\.\d+)?|true|false|null", re.DOTALL)
_FUNCTIONS = {
    "Array", "ArrayPartition", "ArrayContains", "ArrayRange", "ArrayGetItem", "ArrayLength", "ArrayUnique",
    "Base64Encode", "Base64Decode", "Hash", "JsonMerge", "StringToJson", "JsonToString", "MathRandom",
    "MathAdd", "StringSplit", "UUID", "Format",
}  # fmt: skip
_STATES_ERRORS = {
    "ALL", "BranchFailed", "DataLimitExceeded", "ExceedToleratedFailureThreshold", "HeartbeatTimeout", "Http.Socket",
    "IntrinsicFailure", "ItemReaderFailed", "NoChoiceMatched", "ParameterPathFailure", "Permissions",
    "QueryEvaluationError",
    "ResultPathMatchFailure", "ResultWriterFailed", "Runtime", "TaskFailed", "Timeout",
}  # fmt: skip
# Errors that Lambda's integration adds to those of Lambda's service model.
_SDK_ERRORS = {"AWSLambdaException", "SdkClientException", "Unknown"}
# Optimized integrations, and whether Step Functions can wait for them.
_OPTIMIZED = {
    "athena:startQueryExecution": {".sync"},
    "lambda:invoke": {".waitForTaskToken"},
    "sagemaker:createTrainingJob": {".sync"},
    "sagemaker:createTransformJob": {".sync"},
    "sns:publish": {".waitForTaskToken"},
    "states:startExecution": {".sync", ".sync:2", ".waitForTaskToken"},
}


def check_definition(definition: str) -> list[str]:
    """Return why Step Functions rejects a definition, or why a state always fails. Empty if the definition is valid.

    Parameters
    ----------
    definition : str
        JSON.
    """
    if len(definition.encode()) > _DEFINITION_BYTES:
        return [f"the definition has more than {_DEFINITION_BYTES} bytes"]
    try:
        machine = json.loads(definition)
    except ValueError as error:
        return [f"the definition is not JSON: {error}"]
    return list(_faults_of_machine(machine, ""))


def _faults_of_machine(machine: dict[str, Any], path: str) -> Iterator[str]:
    states = machine.get("States", {})
    if machine.get("StartAt") not in states:
        yield f"{path}/StartAt names no state: {machine.get('StartAt')}"
    for name, state in states.items():
        where = f"{path}/States/{name}"
        if len(name) > _NAME_CHARACTERS:
            yield f"{where} has a name of more than {_NAME_CHARACTERS} characters"
        yield from _faults_of_state(state, where)
        yield from (
            f"{where} continues with {target}, which is not a state"
            for target in _targets(state)
            if target not in states
        )
    for name in states.keys() - _reached(machine):
        yield f"{path}/States/{name} is not reachable from any state"


def _faults_of_state(state: dict[str, Any], where: str) -> Iterator[str]:
    kind = state.get("Type", "")
    if kind not in _FIELDS:
        yield f"{where}/Type is not a type of state: {kind}"
        return
    yield from (
        f"{where} has the field {field}, which {kind} has not" for field in state.keys() - _FIELDS[kind] - _COMMON
    )
    if _FIELDS[kind] >= _NEXT and len(state.keys() & _NEXT) != 1:
        yield f"{where} requires either Next or End"
    yield from _faults_of_paths(state, where)
    for field in ("Parameters", "ResultSelector", "ItemSelector", "Result"):
        if len(json.dumps(state.get(field)).encode()) > _PAYLOAD_BYTES:
            yield f"{where}/{field} has more than {_PAYLOAD_BYTES} bytes, the limit of a state's input and result"
        if field != "Result":
            yield from _faults_of_template(state.get(field), f"{where}/{field}")
    yield from _faults_of_errors(state, where)
    if kind == "Task":
        yield from _faults_of_call(state, where)
    for number, branch in enumerate(state.get("Branches", [])):
        yield from _faults_of_machine(branch, f"{where}/Branches/{number}")
    if "ItemProcessor" in state:
        yield from _faults_of_machine(state["ItemProcessor"], f"{where}/ItemProcessor")


def _faults_of_paths(state: dict[str, Any], where: str) -> Iterator[str]:
    for field in state.keys() & {"InputPath", "OutputPath", "ItemsPath", "ErrorPath", "CausePath"}:
        if state[field] is not None and not _PATH.fullmatch(state[field]):
            yield f"{where}/{field} is not a path: {state[field]}"
    results = [state.get("ResultPath"), *(caught.get("ResultPath") for caught in state.get("Catch", []))]
    for path in results:
        if path is not None and not _REFERENCE_PATH.fullmatch(path):
            yield f"{where}/ResultPath is not a reference path: {path}"
    for choice in state.get("Choices", []):
        if "Variable" in choice and not _PATH.fullmatch(choice["Variable"]):
            yield f"{where}/Choices/Variable is not a path: {choice['Variable']}"


def _faults_of_template(value: Any, where: str) -> Iterator[str]:
    """Check the value of each key that ends with `.$`."""
    if isinstance(value, list):
        for item in value:
            yield from _faults_of_template(item, where)
    if not isinstance(value, dict):
        return
    for key, item in value.items():
        if not key.endswith(".$"):
            yield from _faults_of_template(item, f"{where}/{key}")
        elif not isinstance(item, str):
            yield f"{where}/{key} is neither a path nor a function"
        elif fault := _fault_of_expression(item.strip(), 0):
            yield f"{where}/{key}: {fault}"


def _fault_of_expression(text: str, depth: int) -> str | None:
    if text.startswith("$"):
        return None if _PATH.fullmatch(text) else f"no path: {text[:80]}"
    found = _FUNCTION.fullmatch(text)
    if found is None:
        return f"neither a path nor a function: {text[:80]}"
    if found[1] not in _FUNCTIONS:
        return f"States.{found[1]} is not an intrinsic function"
    if depth >= _NESTED_FUNCTIONS:
        return f"functions are nested more than {_NESTED_FUNCTIONS} times"
    arguments = _arguments(found[2])
    if found[1] == "Format" and len(re.findall(r"(?<!\\)\{\}", arguments[0])) != len(arguments) - 1:
        return f"States.Format has {len(arguments) - 1} values for the {{}} of {arguments[0][:80]}"
    faults = (
        _fault_of_expression(argument, depth + 1)
        for argument in arguments
        if argument and not _LITERAL.fullmatch(argument)
    )
    return next(filter(None, faults), None)


def _arguments(text: str) -> list[str]:
    """Split at commas outside quotes and brackets."""
    found, start, depth, place = [], 0, 0, 0
    while place < len(text):
        if literal := re.compile(r"'(?:[^'\\]|\\.)*'", re.DOTALL).match(text, place):
            place = literal.end()
            continue
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(text[place], 0)
        if text[place] == "," and depth == 0:
            found.append(text[start:place].strip())
            start = place + 1
        place += 1
    return [*found, text[start:].strip()]


def _faults_of_errors(state: dict[str, Any], where: str) -> Iterator[str]:
    for field in ("Retry", "Catch"):
        handlers = state.get(field, [])
        for number, handler in enumerate(handlers):
            names = handler.get("ErrorEquals", [])
            if "States.ALL" in names and (len(names) > 1 or number < len(handlers) - 1):
                yield f"{where}/{field}: States.ALL must be the only name, in the last entry"
            yield from (f"{where}/{field}: {name} is not an error" for name in names if not _is_error(name))


def _is_error(name: str) -> bool:
    prefix, dot, error = name.partition(".")
    if not dot:
        return True  # an error that the machine defines
    if prefix == "States":
        return error in _STATES_ERRORS
    try:
        model = service_model(prefix.lower())
    except ValueError:
        return False
    return error in model.shape_names or error in _SDK_ERRORS


def _faults_of_call(state: dict[str, Any], where: str) -> Iterator[str]:
    """Check a task's service, operation and parameters."""
    found = _RESOURCE.fullmatch(state.get("Resource", ""))
    if found is None:
        yield f"{where}/Resource is not an integration: {state.get('Resource')}"
        return
    by_sdk, service, action, waits = found.groups()
    can_wait = {".waitForTaskToken"} if by_sdk else _OPTIMIZED.get(f"{service}:{action}", set())
    if waits and waits not in can_wait:
        yield f"{where}/Resource: {service}:{action} has no {waits}"
    if not by_sdk and f"{service}:{action}" not in _OPTIMIZED:
        yield f"{where}/Resource: {service}:{action} is not an optimized integration"
    try:
        model = service_model("stepfunctions" if service == "states" else service)
    except ValueError:
        yield f"{where}/Resource: there is no service {service}"
        return
    operation = f"{action[0].upper()}{action[1:]}"
    if operation not in model.operation_names:
        yield f"{where}/Resource: {service} has no operation {operation}"
        return
    shape = model.operation_model(operation).input_shape
    yield from _faults_of_members(shape, state.get("Parameters", {}), f"{where}/Parameters")


def _faults_of_members(shape: Shape | None, given: Any, where: str) -> Iterator[str]:
    """Check the names of members. In a task they start with a capital letter."""
    members: dict[str, Any] = {f"{n[0].upper()}{n[1:]}": m for n, m in getattr(shape, "members", {}).items()}
    if isinstance(given, list):
        for item in given:
            yield from _faults_of_members(getattr(shape, "member", None), item, where)
    if not members or not isinstance(given, dict):
        return
    names = {key.removesuffix(".$"): value for key, value in given.items()}
    yield from (f"{where} has {name}, which the operation does not have" for name in names.keys() - members.keys())
    required = {f"{name[0].upper()}{name[1:]}" for name in getattr(shape, "required_members", [])}
    yield from (f"{where} lacks {name}" for name in required - names.keys())
    for name in names.keys() & members.keys():
        yield from _faults_of_members(members[name], names[name], f"{where}/{name}")


def _targets(state: dict[str, Any]) -> set[str]:
    handlers = [*state.get("Choices", []), *state.get("Catch", []), state]
    found = {handler["Next"] for handler in handlers if "Next" in handler}
    return found | {state["Default"]} if "Default" in state else found


def _reached(machine: dict[str, Any]) -> set[str]:
    states: dict[str, Any] = machine.get("States", {})
    found: set[str] = set()
    waiting = {machine.get("StartAt", "")} & states.keys()
    while waiting:
        name = waiting.pop()
        found.add(name)
        waiting |= (_targets(states[name]) & states.keys()) - found
    return found
