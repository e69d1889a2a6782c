"""Lambda functions that run: the uploaded zip, with only the packages of the runtime and of its layers.

Closes these gaps of moto 5.2: functions run only in Docker, and responses lack `DeadLetterConfig`, `LoggingConfig` and
`KMSKeyArn`. As in AWS, an asynchronous event is retried and then goes to the dead-letter queue.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
import logging
import os
import tempfile
import threading
import uuid
import zipfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from werkzeug.wrappers import Request, Response

from local_aws.account import ACCOUNT_ID, REGION, client
from local_aws.alarms import publish_run
from local_aws.lambda_runner import LambdaError, LambdaProcess

RUNTIME = ("boto3", "botocore", "s3transfer", "jmespath", "dateutil", "urllib3", "six")
_NOT_ECHOED = ("DeadLetterConfig", "LoggingConfig", "KMSKeyArn")
_log = logging.getLogger(__name__)


class Functions:
    """Runs functions and stores the fields that moto loses."""

    def __init__(self) -> None:
        self._forgotten: dict[str, dict[str, Any]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="egress-sentinel-functions-")
        self._lock = threading.Lock()

    def close(self) -> None:
        """Remove the unpacked zips."""
        self._folder.cleanup()

    def invoke(self, name: str, request: Request, body: bytes) -> Response:
        """Answer an Invoke call."""
        function = name.rpartition(":")[2]
        if request.headers.get("X-Amz-Invocation-Type") == "Event":
            self.invoke_later(function, json.loads(body))
            return Response(status=202)
        try:
            result = self._run(function, json.loads(body or b"{}"))
        except LambdaError as error:
            failure = {"errorType": error.error_type, "errorMessage": error.error_message}
            return Response(
                json.dumps(failure), 200, {"X-Amz-Function-Error": "Unhandled"}, mimetype="application/json"
            )
        return Response(json.dumps(result), mimetype="application/json")

    def invoke_later(self, function: str, event: Any) -> None:
        """Run a function in the background. If it fails, retry, and then send the event to its dead-letter queue."""
        threading.Thread(target=self._run_with_retries, args=(function, event), daemon=True).start()

    def complete(self, request: Request, body: bytes, response: Response) -> None:
        """Add the fields that are missing in moto's response about a function."""
        if "/functions" not in request.path or response.status_code >= 300 or not response.get_data().startswith(b"{"):
            return
        answer = json.loads(response.get_data())
        configuration = answer.get("Configuration", answer)
        name = configuration.get("FunctionName")
        if name is None:
            return
        if request.method in {"POST", "PUT"} and body.startswith(b"{"):
            given = json.loads(body)
            kept = self._forgotten.setdefault(name, {})
            kept.update({key: given[key] for key in _NOT_ECHOED if key in given})
        configuration |= self._forgotten.get(name, {})
        response.set_data(json.dumps(answer))

    def _run_with_retries(self, function: str, event: Any) -> None:
        for _ in range(1 + self._retries(function)):
            try:
                self._run(function, event)
            except LambdaError as error:
                _log.warning("%s: %s", function, error)
                last = error
            else:
                return
        target = self._forgotten.get(function, {}).get("DeadLetterConfig", {}).get("TargetArn")
        if target:
            sqs = client("sqs")
            url = sqs.get_queue_url(QueueName=target.rpartition(":")[2])["QueueUrl"]
            attributes = {"ErrorMessage": {"DataType": "String", "StringValue": str(last)[:1000]}}
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event), MessageAttributes=attributes)

    def _retries(self, function: str) -> int:
        from botocore.exceptions import ClientError

        try:
            configured = client("lambda").get_function_event_invoke_config(FunctionName=function)
        except ClientError:
            return 2
        return int(configured.get("MaximumRetryAttempts", 2))

    def _run(self, function: str, event: Any) -> Any:
        from moto.awslambda.models import lambda_backends

        found = lambda_backends[ACCOUNT_ID][REGION].get_function(function)
        folder = self._unpacked(function, found)
        environment = {**found.environment_vars, **_credentials(function)}
        log_file = Path(self._folder.name) / f"{function}-{uuid.uuid4()}.log"
        process = LambdaProcess(
            str(found.handler),
            environment=environment,
            log_file=log_file,
            function_name=function,
            memory_limit_mb=int(found.memory_size),
            timeout_seconds=float(found.timeout),
            only_from=[folder / "task", folder / "packages"],
        )
        failed = True
        try:
            with process:
                result = process.invoke(event)
            failed = False
        finally:
            publish_run(function, log_file.read_text(encoding="utf-8").splitlines(), failed=failed)
        return result

    def _unpacked(self, function: str, found: Any) -> Path:
        """Unpack the zip, and link the packages of the runtime and of its layers next to it."""
        folder = Path(self._folder.name) / f"{function}-{found.code_sha_256.replace('/', '_')}"
        with self._lock:
            if not folder.exists():
                beside = Path(tempfile.mkdtemp(dir=self._folder.name))
                with zipfile.ZipFile(io.BytesIO(found.code_bytes)) as archive:
                    archive.extractall(beside / "task")
                _link_packages([*RUNTIME, *_of_layers(found)], beside / "packages")
                beside.rename(folder)
        return folder


def _of_layers(function: Any) -> list[str]:
    """Return the top-level packages of a function's layers. The local builds of these packages are used."""
    from moto.awslambda.models import lambda_backends

    names: set[str] = set()
    for layer in function.layers:
        arn, _, version = layer["Arn"].rpartition(":")
        held = lambda_backends[ACCOUNT_ID][REGION].get_layer_version(arn.rpartition(":")[2], version)
        with zipfile.ZipFile(io.BytesIO(held.code_bytes)) as archive:
            names |= {name.split("/")[1] for name in archive.namelist() if name.startswith("python/")}
    return sorted(names)


def _link_packages(names: list[str], folder: Path) -> None:
    folder.mkdir()
    for name in names:
        with contextlib.suppress(ModuleNotFoundError):
            found = find_spec(name)
            if found is None or found.origin is None:
                continue
            source = Path(found.origin)
            source = source.parent if source.stem == "__init__" else source
            (folder / source.name).symlink_to(source)
            for libraries in source.parent.glob(f"{name}.libs"):
                (folder / libraries.name).symlink_to(libraries)


def _credentials(function: str) -> dict[str, str]:
    """Return the credentials that the runtime gives to a function. They are named after its role."""
    url = os.environ["AWS_ENDPOINT_URL"]
    return {
        "AWS_ENDPOINT_URL": url,
        "AWS_ENDPOINT_URL_SAGEMAKER_RUNTIME": url,
        "AWS_ACCESS_KEY_ID": f"function-{function}",
        "AWS_SECRET_ACCESS_KEY": base64.b64encode(function.encode()).decode(),
        "AWS_DEFAULT_REGION": REGION,
        "AWS_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }
