"""Validates requests and responses against botocore's models of AWS's services.

Before it sends a request, boto3 checks only types, lengths and required members, and Terraform only the rules of its
provider. This module also checks patterns, enums and upper limits, as AWS does.
"""

from __future__ import annotations

import json
import numbers
import re
from functools import cache
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import parse_qsl, unquote

from werkzeug.datastructures import MultiDict

from local_aws.patterns import compile_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from botocore.model import OperationModel, ServiceModel, Shape
    from werkzeug.wrappers import Request

# Names in signatures that are not boto3's.
_SERVICES = {"states": "stepfunctions", "monitoring": "cloudwatch"}
_RUNTIME_PATH = re.compile(r"^/endpoints/[^/]+/invocations")
_CBOR, _JSON, _QUERY, _REST_JSON, _REST_XML = "smithy-rpc-v2-cbor", "json", "query", "rest-json", "rest-xml"
_FORMS = {_QUERY, "ec2"}
_NUMBERS = {"integer": numbers.Integral, "long": numbers.Integral, "float": numbers.Real, "double": numbers.Real}
_LENGTHS = {"string", "blob", "list", "map"}
# AWS Batch's reference of EvaluateOnExit: "The values aren't case sensitive".
_CASELESS = {"RetryAction"}
# SDKs use `x-id` to name an S3 operation for proxies.
_NO_CONSTANT = "x-id"


class Call:
    """A call of a service's operation.

    Parameters
    ----------
    service : str
        boto3's name of the service.
    operation : OperationModel
        The operation.
    protocol : str
        The protocol of the request.
    """

    def __init__(self, service: str, operation: OperationModel, protocol: str) -> None:
        self.service = service
        self.operation = operation
        self.protocol = protocol

    @property
    def name(self) -> str:
        """Service and operation, such as `s3:PutObject`."""
        return f"{self.service}:{self.operation.name}"

    def given(self, request: Request, body: bytes) -> dict[str, Any]:
        """Return the members of the request."""
        shape = self.operation.input_shape
        if shape is None:
            return {}
        if self.protocol == _JSON:
            members: dict[str, Any] = json.loads(body or b"{}")
            return members
        if self.protocol == _CBOR:
            return _parsed(_CBOR, shape, body, {}, 200)
        from moto.core.parse import PROTOCOL_PARSERS

        parser: Any = PROTOCOL_PARSERS[self.protocol](cast("Any", self.operation))
        path = _path_of(request)
        uri = {name: unquote(value) for name, value in _match_path(self.operation, path).items()}
        values = (
            MultiDict(parse_qsl(body.decode(), keep_blank_values=True)) if self.protocol in _FORMS else request.args
        )
        asked = {"values": values, "headers": request.headers, "body": body, "url_params": uri}
        found: dict[str, Any] = parser.parse(asked)
        return found

    def problems_of_request(self, given: dict[str, Any]) -> list[str]:
        """Return why AWS would reject the request. Empty if it is valid."""
        return list(_problems(self.operation.input_shape, given, ""))

    def problems_of_answer(self, status: int, headers: dict[str, str], body: bytes) -> list[str]:
        """Return how a response differs from the operation's output. Errors have no output to compare with."""
        shape = self.operation.output_shape
        if shape is None or status >= 300:
            return []
        if self.protocol == _JSON:
            answer = json.loads(body or b"{}")
            return list(_problems(shape, answer, "", is_answer=True))
        body = b"" if self.operation.has_streaming_output else body
        answer = _parsed(self.protocol, shape, body, headers, status)
        return list(_problems(shape, answer, "", is_answer=True))


def find_call(signed_service: str, request: Request, body: bytes) -> Call | None:
    """Return the operation of a request. None if no service model has it.

    Parameters
    ----------
    signed_service : str
        The service name in the request's signature.
    request : Request
        The request.
    body : bytes
        Its body.
    """
    service = _SERVICES.get(signed_service, signed_service)
    if service == "sagemaker" and _RUNTIME_PATH.match(request.path):
        service = "sagemaker-runtime"
    try:
        model = service_model(service)
    except ValueError:
        return None
    name, protocol = _named_operation(request, body)
    if name:
        if protocol == _QUERY and model.metadata["protocol"] == "ec2":
            protocol = "ec2"
        return Call(service, model.operation_model(name), protocol) if name in model.operation_names else None
    found = _operation_by_path(service, request)
    return Call(service, model.operation_model(found), str(model.metadata["protocol"])) if found else None


def _named_operation(request: Request, body: bytes) -> tuple[str, str]:
    """Return operation and protocol of a request that names its operation."""
    if request.headers.get("Smithy-Protocol") == "rpc-v2-cbor":
        return request.path.rpartition("/")[2], _CBOR
    if target := request.headers.get("X-Amz-Target"):
        return target.rpartition(".")[2], _JSON
    if request.mimetype == "application/x-www-form-urlencoded":
        named = re.search(rb"(?:^|&)Action=(\w+)", body)
        return (named[1].decode() if named else ""), _QUERY
    return "", ""


def _operation_by_path(service: str, request: Request) -> str | None:
    """Return the most specific operation that matches the method, path and required parameters of a REST request."""
    model, path, best = service_model(service), _path_of(request), (-1, "")
    for name in model.operation_names:
        operation = model.operation_model(name)
        if operation.http["method"] != request.method or not _has_path(operation, path) or _is_elsewhere(operation):
            continue
        required = _required_outside_body(operation)
        constants = _constants(operation)
        if all(_is_there(request, *where) for where in required) and all(
            key in request.args and (not value or request.args[key] == value) for key, value in constants.items()
        ):
            best = max(best, (len(required) + len(constants), name))
    return best[1] or None


def _is_elsewhere(operation: OperationModel) -> bool:
    """Return whether an operation is an old name of another one, or belongs to S3 Express, which has its own host."""
    return bool(operation.deprecated) or operation.name == "ListDirectoryBuckets"


def _is_there(request: Request, location: str, name: str) -> bool:
    return name in request.args if location == "querystring" else name in request.headers


@cache
def _required_of(service: str, operation: str) -> tuple[tuple[str, str], ...]:
    shape = service_model(service).operation_model(operation).input_shape
    members: Any = getattr(shape, "members", {})
    return tuple(
        (members[name].serialization["location"], members[name].serialization["name"])
        for name in getattr(shape, "required_members", [])
        if members[name].serialization.get("location") in {"querystring", "header"}
    )


def _required_outside_body(operation: OperationModel) -> tuple[tuple[str, str], ...]:
    return _required_of(operation.service_model.service_name, operation.name)


def _constants(operation: OperationModel) -> dict[str, str]:
    query = operation.http["requestUri"].partition("?")[2]
    pairs = (part.partition("=") for part in query.split("&") if part)
    return {key: value for key, _, value in pairs if key != _NO_CONSTANT}


def _has_path(operation: OperationModel, path: str) -> bool:
    return _path_pattern(operation.http["requestUri"]).fullmatch(path) is not None


def _match_path(operation: OperationModel, path: str) -> dict[str, str]:
    found = _path_pattern(operation.http["requestUri"]).fullmatch(path)
    return {} if found is None else {k.replace("__", "-"): v for k, v in found.groupdict().items()}


@cache
def _path_pattern(uri: str) -> re.Pattern[str]:
    pieces = re.split(r"\{([\w-]+)(\+?)\}", uri.partition("?")[0].rstrip("/"))
    pattern = ""
    for text, name, greedy in zip(pieces[::3], [*pieces[1::3], ""], [*pieces[2::3], ""], strict=True):
        pattern += re.escape(text)
        pattern += f"(?P<{name.replace('-', '__')}>{'.+' if greedy else '[^/]+'})" if name else ""
    return re.compile(f"{pattern}/?")


def _path_of(request: Request) -> str:
    """Return the path as sent, since an ARN in it may have an encoded slash."""
    raw = str(request.environ.get("RAW_URI") or request.path)
    return raw.partition("?")[0]


def _parsed(protocol: str, shape: Shape, body: bytes, headers: dict[str, str], status: int) -> dict[str, Any]:
    """Parse a body by its shape, without the fields that botocore adds."""
    from botocore.parsers import create_parser

    lowered = {name.lower(): value for name, value in headers.items()}
    found: dict[str, Any] = create_parser(protocol).parse(
        {"body": body, "headers": lowered, "status_code": status, "context": {}}, shape
    )
    found.pop("ResponseMetadata", None)
    return found


def _problems(shape: Shape | None, value: Any, path: str, *, is_answer: bool = False) -> Iterator[str]:
    """Yield the faults of a value in AWS's words. In a response, unknown members are faults, too."""
    if shape is None or value is None:
        return
    kind: str = shape.type_name
    if kind == "structure":
        yield from _problems_of_structure(shape, value, path, is_answer=is_answer)
        return
    if kind == "list" and isinstance(value, list):
        member: Any = getattr(shape, "member", None)
        for number, item in enumerate(value, 1):
            yield from _problems(member, item, f"{path}.{number}.member", is_answer=is_answer)
    elif kind == "map" and isinstance(value, dict):
        for key, item in value.items():
            yield from _problems(getattr(shape, "key", None), key, f"{path}.{key}.key", is_answer=is_answer)
            yield from _problems(getattr(shape, "value", None), item, f"{path}.{key}", is_answer=is_answer)
    if not _has_type(kind, value):
        yield _unmet(path, f"be of type {kind}")
        return
    yield from _problems_of_value(shape, value, path, is_answer=is_answer)


def _problems_of_structure(shape: Any, value: Any, path: str, *, is_answer: bool) -> Iterator[str]:
    if not isinstance(value, dict):
        yield _unmet(path, "be a structure")
        return
    if shape.is_document_type:
        return
    for name in shape.required_members:
        if value.get(_wire_name(shape, name), value.get(name)) is None:
            yield f"Value null at '{_member_path(path, name)}' failed to satisfy constraint: Member must not be null"
    known = {_wire_name(shape, name): member for name, member in shape.members.items()} | dict(shape.members)
    for name, item in value.items():
        where = _member_path(path, name)
        if name in known:
            yield from _problems(known[name], item, where, is_answer=is_answer)
        elif is_answer and name != "__type":
            yield f"Value at '{where}' is not a member of {shape.name}"


def _member_path(path: str, name: str) -> str:
    """Append a member to a path, with its first letter in lower case as in AWS's errors."""
    return f"{path}.{name[0].lower()}{name[1:]}".lstrip(".")


def _wire_name(shape: Any, name: str) -> str:
    return str(shape.members[name].serialization.get("name", name))


def _has_type(kind: str, value: Any) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind in _NUMBERS:
        return isinstance(value, _NUMBERS[kind]) and not isinstance(value, bool)
    if kind == "string":
        return isinstance(value, str)
    return kind not in {"list", "map"} or isinstance(value, list if kind == "list" else dict)


def _problems_of_value(shape: Shape, value: Any, path: str, *, is_answer: bool) -> Iterator[str]:
    limits, kind = shape.metadata, shape.type_name
    size = len(value) if kind in _LENGTHS and hasattr(value, "__len__") else value
    what = "length" if kind in _LENGTHS else "value"
    # Responses share shapes with requests, but AWS returns 0 and empty lists and maps in spite of a minimum.
    has_minimum = "min" in limits and not (is_answer and kind != "string")
    if has_minimum and isinstance(size, numbers.Real) and size < limits["min"]:
        yield _unmet(path, f"have {what} greater than or equal to {limits['min']}")
    if "max" in limits and isinstance(size, numbers.Real) and size > limits["max"]:
        yield _unmet(path, f"have {what} less than or equal to {limits['max']}")
    caseless = shape.name in _CASELESS and isinstance(value, str)
    if "enum" in limits and (value.upper() if caseless else value) not in limits["enum"]:
        yield _unmet(path, f"satisfy enum value set: {limits['enum']}")
    if kind == "string" and "pattern" in limits and not compile_pattern(limits["pattern"]).fullmatch(value):
        yield _unmet(path, f"satisfy regular expression pattern: {limits['pattern']}")


def _unmet(path: str, constraint: str) -> str:
    return f"Value at '{path}' failed to satisfy constraint: Member must {constraint}"


@cache
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service.

    Parameters
    ----------
    service : str
        boto3's name of the service.

    Raises
    ------
    ValueError
        There is no such model.
    """
    from botocore.exceptions import UnknownServiceError
    from botocore.session import get_session
    from moto.core.model import ServiceModel as OfMoto  # botocore's, extended for moto's parsers

    try:
        description = get_session().get_component("data_loader").load_service_model(service, "service-2")
    except UnknownServiceError as error:
        raise ValueError(f"botocore has no model of {service!r}") from error
    return OfMoto(description, service)
