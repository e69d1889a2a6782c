"""The SageMaker scikit-learn container's HTTP contract, and SageMaker Runtime's own path in front of it."""

from __future__ import annotations

import json
import threading
import uuid
from typing import TYPE_CHECKING, Any

import flask
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder, run_wsgi_app

from egress_sentinel.serving.program import TEXT_TYPES, transform_function

if TYPE_CHECKING:
    from types import ModuleType

MEBIBYTE = 1024 * 1024
SERVERLESS_MAX_BODY_BYTES = 4 * MEBIBYTE
# The largest payload of a batch transform job, which asks the container without the runtime in front of it.
CONTAINER_MAX_BODY_BYTES = 100 * MEBIBYTE
MODEL_TIMEOUT_SECONDS = 60.0
ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
PRIMARY = "primary"
CUSTOM_ATTRIBUTES = "X-Amzn-SageMaker-Custom-Attributes"
_DEFAULT_TYPE = "application/json"
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container {}. "
    "Review the latency metrics for each container in Amazon CloudWatch, resolve the issue, and try again."
)


def create_app(
    program: ModuleType,
    model_dir: str,
    endpoint_name: str,
    *,
    max_body_bytes: int = SERVERLESS_MAX_BODY_BYTES,
    model_timeout_seconds: float = MODEL_TIMEOUT_SECONDS,
    container_name: str = PRIMARY,
) -> flask.Flask:
    """Serve an inference program as its container and as a SageMaker endpoint.

    `GET /ping`, `POST /invocations` and `GET /execution-parameters` answer as the container does: the body is
    a str for a content type of exactly text/csv or application/json and bytes otherwise, no content type
    means JSON, every exception is an HTML 500. `POST /endpoints/NAME/invocations` answers as SageMaker Runtime
    does.

    Parameters
    ----------
    program : module
        `model_fn(model_dir)` with either `input_fn(body, content_type)`, `predict_fn(data, model)` and
        `output_fn(prediction, accept)`, or `transform_fn(model, body, content_type, accept)`; optionally
        `execution_parameters_fn()`.
    model_dir : str
        What `model_fn` gets, once, on the first request.
    endpoint_name : str
        The one endpoint there is.
    max_body_bytes : int
        Longest body on the runtime's path. Up to 4 MiB the refusal is a serverless endpoint's, above it a
        real-time endpoint's. The container's own paths take 100 MiB and answer 413 to more.
    model_timeout_seconds : float
        How long the runtime waits for the container.
    container_name : str
        What errors call it.

    Returns
    -------
    flask.Flask

    Raises
    ------
    TypeError
        The program lacks one of its functions.
    """
    app = flask.Flask(__name__, static_folder=None)
    container = _Container(program, model_dir, body_limit("/invocations", max_body_bytes))
    runtime = _Runtime(app, endpoint_name, max_body_bytes, model_timeout_seconds, container_name)
    app.add_url_rule("/ping", view_func=container.ping)
    app.add_url_rule("/invocations", view_func=container.invocations, methods=["POST"])
    app.add_url_rule(
        "/endpoints/<name>/invocations",
        view_func=runtime.invoke_endpoint,
        methods=["POST"],
        endpoint="runtime",
    )
    if hasattr(program, "execution_parameters_fn"):
        app.add_url_rule("/execution-parameters", view_func=container.execution_parameters)
    return app


def body_limit(path: str, max_body_bytes: int) -> int:
    """Return the longest body, in bytes, that a path of the app accepts."""
    return max_body_bytes if path.startswith("/endpoints/") else max(max_body_bytes, CONTAINER_MAX_BODY_BYTES)


class _Container:
    def __init__(self, program: ModuleType, model_dir: str, max_body_bytes: int) -> None:
        self._max_body_bytes = max_body_bytes
        self._program = program
        self._model_dir = model_dir
        self._model: Any = None
        self._loaded = False
        self._lock = threading.Lock()
        self._transform = transform_function(program)

    def ping(self) -> flask.Response:
        self._get_model()
        return flask.Response(status=200, mimetype=_DEFAULT_TYPE)

    def invocations(self) -> Any:
        request = flask.request
        request.max_content_length = self._max_body_bytes
        content_type = request.headers.get("Content-Type") or _DEFAULT_TYPE
        accept = request.headers.get("Accept") or "*/*"
        data = request.get_data()
        # The container replaces invalid UTF-8 by U+FFFD, and the program handles it.
        body = data.decode("utf-8", errors="replace") if content_type in TEXT_TYPES else data
        model = self._get_model()
        result = self._transform(model, body, content_type, _DEFAULT_TYPE if accept == "*/*" else accept)
        if isinstance(result, tuple):
            return flask.Response(result[0], mimetype=result[1])
        return result

    def execution_parameters(self) -> flask.Response:
        return flask.jsonify(self._program.execution_parameters_fn())

    def _get_model(self) -> Any:
        with self._lock:
            if not self._loaded:
                self._model = self._program.model_fn(self._model_dir)
                self._loaded = True
            return self._model


class _Runtime:
    """SageMaker Runtime's InvokeEndpoint.

    Shapes of the errors: botocore's service model of sagemaker-runtime. Their wording, and that a body too long
    is a ValidationError on serverless endpoints but a bare 413 on real-time ones, as users have seen them:
    github.com/aws/sagemaker-python-sdk issues 171, 2955 and 4271.

    One difference: if the container sets no CustomAttributes, the response repeats those of the request, so that a
    caller can see that they arrived.
    """

    def __init__(
        self, app: flask.Flask, name: str, max_body_bytes: int, timeout_seconds: float, container_name: str
    ) -> None:
        self._container_name = container_name
        self._app = app
        self._name = name
        self._max_body_bytes = max_body_bytes
        self._timeout_seconds = timeout_seconds

    def invoke_endpoint(self, name: str) -> flask.Response:
        request_id = str(uuid.uuid4())
        body = self._read_body()
        if name != self._name:
            response = _error(
                400, "ValidationError", {"message": f"Endpoint {name} of account {ACCOUNT_ID} not found."}
            )
        elif body is None:
            response = self._oversize(request_id)
        else:
            response = self._forward(body)
        response.headers["x-amzn-RequestId"] = request_id
        return response

    def _read_body(self) -> bytes | None:
        """Return the body, or None where it is too long."""
        if (flask.request.content_length or 0) > self._max_body_bytes:
            return None
        body = flask.request.stream.read(self._max_body_bytes + 1)
        return body if len(body) <= self._max_body_bytes else None

    def _oversize(self, request_id: str) -> flask.Response:
        if self._max_body_bytes <= SERVERLESS_MAX_BODY_BYTES:
            return _error(400, "ValidationError", {"message": f"Request {request_id} has oversize body."})
        message = f"HTTP content length exceeded {self._max_body_bytes} bytes."
        return flask.Response(message, status=413, mimetype="text/plain")

    def _forward(self, body: bytes) -> flask.Response:
        attributes = flask.request.headers.get(CUSTOM_ATTRIBUTES)
        answer = self._ask_container(body, _container_headers(flask.request.headers))
        if answer is None:
            return self._model_error(0, _TIMED_OUT.format(self._container_name))
        status, headers, content = answer
        if status >= 400:
            return self._model_error(status, content.decode("utf-8", errors="replace"))
        response = flask.Response(content, status=200, content_type=headers.get("Content-Type"))
        response.headers["x-Amzn-Invoked-Production-Variant"] = "AllTraffic"
        attributes = headers.get(CUSTOM_ATTRIBUTES, attributes)
        if attributes is not None:
            response.headers[CUSTOM_ATTRIBUTES] = attributes
        return response

    def _ask_container(self, body: bytes, headers: Headers) -> tuple[int, Headers, bytes] | None:
        """Return the container's status, headers and body, or None where it takes too long."""
        environ = EnvironBuilder(path="/invocations", method="POST", data=body, headers=headers).get_environ()
        answers: list[tuple[int, Headers, bytes]] = []

        def ask() -> None:
            chunks, status, answer_headers = run_wsgi_app(self._app.wsgi_app, environ, buffered=True)
            answers.append((int(status.split(" ", 1)[0]), answer_headers, b"".join(chunks)))

        # Not a pool: a model that never returns must not keep the process from ending.
        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        thread.join(self._timeout_seconds)
        return answers[0] if answers else None

    def _model_error(self, status: int, message: str) -> flask.Response:
        group = f"/aws/sagemaker/Endpoints/{self._name}"
        kind = "client" if 400 <= status < 500 else "server"
        console = (
            f"https://{REGION}.console.aws.amazon.com/cloudwatch/home?region={REGION}#logEventViewer:group={group}"
        )
        text = (
            f'Received {kind} error ({status}) from {self._container_name} with message "{message}". '
            f"See {console} in account {ACCOUNT_ID} for more information."
        )
        fields = {
            "ErrorCode": "CLIENT_ERROR_FROM_MODEL" if kind == "client" else "INTERNAL_FAILURE_FROM_MODEL",
            "LogStreamArn": f"arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{group}",
            "Message": text,
            "OriginalMessage": message,
            "OriginalStatusCode": status,
        }
        return _error(424, "ModelError", fields)


def _container_headers(headers: Any) -> Headers:
    passed_on = ("Content-Type", "Accept", CUSTOM_ATTRIBUTES)
    return Headers([(name, headers[name]) for name in passed_on if name in headers])


def _error(status: int, code: str, fields: dict[str, Any]) -> flask.Response:
    response = flask.Response(json.dumps(fields), status=status, mimetype="application/json")
    response.headers["x-amzn-ErrorType"] = code
    return response
