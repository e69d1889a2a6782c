"""Rejects requests that AWS rejects, and responses that AWS does not return.

A request that no service model has, and a response that does not match the operation's output shape, are faults of the
local AWS. It returns 501 and 500, so that tests fail. `DEVIATIONS` lists the accepted differences with their reasons.
docs/local-aws.md has the same list.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from werkzeug.wrappers import Response

from local_aws.limits import refusal_of
from local_aws.service_model import find_call

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from local_aws.service_model import Call


@dataclass(frozen=True)
class Deviation:
    """An accepted difference from AWS's response.

    Parameters
    ----------
    call : str
        Service and operation, such as `s3:GetObject`.
    member : str
        A pattern of the member's path.
    what : str
        The difference.
    why : str
        The reason to accept it.
    """

    call: str
    member: str
    what: str
    why: str


DEVIATIONS = (
    Deviation(
        "lambda:GetFunctionCodeSigningConfig",
        "codeSigningConfigArn",
        "left out although the model requires it",
        "The functions have no code signing, and the provider reads a missing ARN as none.",
    ),
    Deviation(
        "ec2:CreateVpcEndpoint",
        r"vpcEndpoint\.state",
        "in lower case, where the model has `Available`",
        "AWS answers in lower case too, and the provider waits for `available`.",
    ),
    Deviation(
        "ec2:DescribeVpcEndpoints",
        r"vpcEndpoints\.\d+\.member\.state",
        "in lower case, where the model has `Available`",
        "AWS answers in lower case too, and the provider waits for `available`.",
    ),
)


def check_request(service: str, request: Request, body: bytes) -> tuple[Call | None, Response | None]:
    """Return the operation of a request, and an error response if AWS would reject the request.

    Parameters
    ----------
    service : str
        The service name in the signature.
    request : Request
        The request.
    body : bytes
        Its body.
    """
    call = find_call(service, request, body)
    if call is None:
        asked = request.headers.get("X-Amz-Target") or f"{request.method} {request.full_path}"
        message = (
            f"the local AWS finds no operation of {service or 'an unsigned request'} in botocore's models: {asked}"
        )
        return None, _error("json", "UnknownOperationException", message, 501)
    given = call.given(request, body)
    problems = call.problems_of_request(given)
    if not problems:
        refused = refusal_of(call.name, given)
        return call, _error(call.protocol, "ValidationException", refused, 400) if refused else None
    count = "1 validation error" if len(problems) == 1 else f"{len(problems)} validation errors"
    return call, _error(call.protocol, "ValidationException", f"{count} detected: {'; '.join(problems)}", 400)


def check_answer(call: Call, response: Response) -> Response:
    """Return the response, or an error response that lists its differences from AWS's.

    Parameters
    ----------
    call : Call
        The operation.
    response : Response
        The response of the local AWS.
    """
    problems = call.problems_of_answer(response.status_code, dict(response.headers), response.get_data())
    left = [problem for problem in problems if not _is_known(call.name, problem)]
    if not left:
        return response
    message = f"the local AWS's response to {call.name} differs from AWS's: {'; '.join(left)}"
    return _error(call.protocol, "InternalFailure", message, 500)


def _is_known(call: str, problem: str) -> bool:
    where = re.search(r" at '([^']*)'", problem)
    path = where[1] if where else ""
    return any(d.call == call and re.fullmatch(d.member, path) for d in DEVIATIONS)


def _error(protocol: str, code: str, message: str, status: int) -> Response:
    """Return an error in the form of a protocol."""
    if protocol == "smithy-rpc-v2-cbor":
        body = b"\xa2" + b"".join(map(_cbor_text, ("__type", code, "message", message)))
        return Response(body, status, {"smithy-protocol": "rpc-v2-cbor"}, mimetype="application/cbor")
    if protocol in {"query", "ec2", "rest-xml"}:
        error = f"<Code>{code}</Code><Message>{escape(message)}</Message>"
        forms = {
            "query": f"<ErrorResponse><Error>{error}</Error><RequestId>local</RequestId></ErrorResponse>",
            "ec2": f"<Response><Errors><Error>{error}</Error></Errors><RequestID>local</RequestID></Response>",
            "rest-xml": f"<Error>{error}<RequestId>local</RequestId></Error>",
        }
        return Response(forms[protocol], status, mimetype="text/xml")
    body = json.dumps({"__type": code, "message": message}).encode()
    return Response(body, status, {"x-amzn-errortype": code}, mimetype="application/x-amz-json-1.1")


def _cbor_text(text: str) -> bytes:
    encoded = text.encode()
    return b"\x7a" + len(encoded).to_bytes(4, "big") + encoded
