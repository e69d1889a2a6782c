"""The server: moto's server behind handlers that close its gaps.

The handlers answer the requests that moto does not support or answers incorrectly. moto answers all others. Each
module's docstring lists the gaps that it closes.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

from egress_sentinel.serving.server_process import LOOPBACK, STOP_WITH_STDIN, announce, stop_on_signals
from local_aws import alarms, moto_patches, state_machines
from local_aws.account_services import SERVICES, AccountServices
from local_aws.athena import Athena
from local_aws.batch import Batch
from local_aws.functions import Functions
from local_aws.sagemaker import SageMaker
from local_aws.service_model import FEATURE_STORE
from local_aws.strictness import check_answer, check_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

SCALING = "application-autoscaling"
REQUESTS_PATH, ALARMS_PATH = "/local/requests", "/local/alarms"
_CREDENTIAL = re.compile(r"Credential=([^/]+)/\d+/([^/]+)/([^/]+)/aws4_request")
_INVOCATION = re.compile(r"^/endpoints/([^/]+)/invocations$")
_KEPT_ANSWERS, _MAX_KEPT_BYTES = 200, 100_000
_LAMBDA_INVOCATION = re.compile(r"^/2015-03-31/functions/([^/]+)/invocations$")


class Server:
    """The WSGI application. It records which role sent which request, for tests of least privilege."""

    def __init__(self, moto: Callable[..., Iterable[bytes]]) -> None:
        self._moto = moto
        self._requests: list[dict[str, str]] = []
        self._answers: OrderedDict[str, Response] = OrderedDict()
        self.sagemaker = SageMaker()
        self.functions = Functions()
        self.athena = Athena()
        self.batch = Batch()
        self.scaling_tags = moto_patches.ScalingTags()
        self.account_services = AccountServices()
        moto_patches.send_events_to_functions(self.functions.invoke_later)
        moto_patches.send_notifications_to_functions(self.functions.invoke_later)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request."""
        request = Request(environ)
        if request.path == REQUESTS_PATH:
            return Response(json.dumps(self._requests), mimetype="application/json")(environ, start_response)
        if request.path == ALARMS_PATH:
            return Response(json.dumps(alarms.evaluate()), mimetype="application/json")(environ, start_response)
        body = request.get_data(cache=False)
        environ["wsgi.input"] = io.BytesIO(body)
        service = self._remember(request, body)
        repeated = self._repeated_answer(request)
        if repeated is not None:
            return repeated(environ, start_response)
        call, refusal = check_request(service, request, body)
        if call is None or refusal is not None:
            return (refusal or Response(status=501))(environ, start_response)
        if call.service == FEATURE_STORE:
            answer = self.sagemaker.feature_store.answer(call.operation.name, call.given(request, body))
        else:
            answer = self._answer(service, request, body) or self._of_moto(environ, service, request, body)
        checked = check_answer(call, answer)
        self._keep_answer(request, checked)
        return checked(environ, start_response)

    def _repeated_answer(self, request: Request) -> Response | None:
        """Return the answer to an earlier attempt of the same call.

        An SDK repeats a call when a busy machine closes the connection before the answer arrives. Without this, a
        Create call would then fail because its first attempt has created the resource. An attempt that is still running
        has no answer yet. The call then runs again.
        """
        return self._answers.get(_call_id(request)) if "attempt=1;" not in _attempt(request) else None

    def _keep_answer(self, request: Request, answer: Response) -> None:
        is_small = (answer.content_length or 0) < _MAX_KEPT_BYTES
        if request.method == "POST" and answer.status_code < 300 and is_small and _call_id(request):
            self._answers[_call_id(request)] = answer
            while len(self._answers) > _KEPT_ANSWERS:
                self._answers.popitem(last=False)

    def close(self) -> None:
        """Stop the endpoints that are still running."""
        self.functions.close()
        self.sagemaker.close()

    def _remember(self, request: Request, body: bytes) -> str:
        """Record access key, service and operation of a request. Return the service."""
        in_query = f"Credential={request.args.get('X-Amz-Credential', '')}"
        signed = _CREDENTIAL.search(request.headers.get("Authorization", in_query))
        service = signed[3] if signed else ""
        target = request.headers.get("X-Amz-Target", "").rpartition(".")[2]
        if not target and request.mimetype == "application/x-www-form-urlencoded":
            target = (re.search(rb"(?:^|&)Action=(\w+)", body) or [b"", b""])[1].decode()
        text = body.decode("utf-8", "replace") if len(body) < 100_000 else ""
        entry = {"access_key": signed[1] if signed else "", "service": service, "action": target}
        self._requests.append(entry | {"method": request.method, "path": request.full_path.rstrip("?"), "body": text})
        return service

    def _answer(self, service: str, request: Request, body: bytes) -> Response | None:
        """Return the response to a request that moto does not answer."""
        if invocation := _INVOCATION.match(request.path):
            return self.sagemaker.invoke(invocation[1], request, body)
        if invocation := _LAMBDA_INVOCATION.match(request.path):
            return self.functions.invoke(invocation[1], request, body)
        if service == "sagemaker":
            return self.sagemaker.answer(request, body)
        if service == SCALING:
            return self.scaling_tags.answer(request, body)
        if service in SERVICES:
            return self.account_services.answer(service, request, body)
        if service == "states":
            return state_machines.answer(request, body)
        if service == "athena":
            return self.athena.answer(request, body)
        if service == "batch":
            return self.batch.answer(request, body)
        return None

    def _of_moto(self, environ: dict[str, Any], service: str, request: Request, body: bytes) -> Response:
        response = Response.from_app(self._moto, environ)
        if service == "sagemaker":
            self.sagemaker.complete(request, body, response)
        if service == "athena":
            self.athena.complete(request, response)
        if service == "lambda":
            self.functions.complete(request, body, response)
        if service == SCALING:
            self.scaling_tags.learn(body, response)
        return moto_patches.completed(request, response)


def _call_id(request: Request) -> str:
    """Return the id that all attempts of one call share, as AWS's SDKs send it."""
    return request.headers.get("amz-sdk-invocation-id", "")


def _attempt(request: Request) -> str:
    return f"{request.headers.get('amz-sdk-request', 'attempt=1')};"


def serve(
    port: int,
    announce_url: Callable[[str], None],
    report_notification: Callable[[str, str, str], None] | None = None,
) -> None:
    """Serve until KeyboardInterrupt.

    Parameters
    ----------
    port : int
        0 selects a free port.
    announce_url : callable
        Called with the URL when the server listens.
    report_notification : callable, optional
        Called with topic, subject ("" for none) and message of each notification that SNS publishes.
    """
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app

    class RequestHandler(MotoRequestHandler):
        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Do not log requests. Errors are logged."""

    moto_patches.apply()
    if report_notification is not None:
        moto_patches.report_notifications(report_notification)
    app = Server(DomainDispatcherApplication(create_backend_app))
    server = make_server(LOOPBACK, port, app, threaded=True, request_handler=RequestHandler)
    url = f"http://{LOOPBACK}:{server.server_port}"
    # Functions and endpoints that run inside the server also use it as their AWS.
    os.environ["AWS_ENDPOINT_URL"] = url
    state_machines.execute(url)
    with contextlib.closing(app), contextlib.suppress(KeyboardInterrupt):
        announce_url(url)
        server.serve_forever()


def main(argv: Sequence[str] | None = None) -> int:
    """Print the URL as one line of JSON, and serve on a free port until SIGTERM or SIGINT."""
    arguments = sys.argv[1:] if argv is None else argv
    stop_on_signals(with_stdin=STOP_WITH_STDIN in arguments)
    serve(0, lambda url: announce(url=url))
    return 0
