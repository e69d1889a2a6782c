"""Runs a Lambda handler in a separate process, as the Lambda runtime does.

    python -m local_aws.lambda_runner anomaly_detector.handler.lambda_handler

reads one JSON event per line from stdin and writes one line of JSON per event to stdout:
`{"ok": true, "result": ...}` or `{"ok": false, "error_type": ..., "error_message": ..., "traceback": ...}`.
The handler's output and log go to stderr. The function's name and memory size come from the runtime's variables
AWS_LAMBDA_FUNCTION_NAME and AWS_LAMBDA_FUNCTION_MEMORY_SIZE, and the time limit from `--timeout-seconds`.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import subprocess
import sys
import threading
import time
import traceback
import uuid
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

ACCOUNT_ID = "123456789012"
MAX_TIMEOUT_SECONDS = 900.0
_STOP_SECONDS = 10.0


class LambdaError(Exception):
    """The handler raised an exception, or could not run.

    Attributes
    ----------
    error_type : str
        The exception's class name, or one of the Lambda service's: Runtime.ImportModuleError,
        Runtime.HandlerNotFound, Runtime.MarshalError, Runtime.ExitError, Sandbox.Timedout.
    error_message : str
    traceback : str
        "" if there is none.
    """

    def __init__(self, error_type: str, error_message: str, traceback: str = "") -> None:
        super().__init__(f"{error_type}: {error_message}")
        self.error_type = error_type
        self.error_message = error_message
        self.traceback = traceback


class LambdaContext:
    """The context object of one invocation, with the names of the Lambda Python runtime.

    Parameters
    ----------
    deadline_seconds : float
        The end of the invocation in terms of `time.monotonic()`.
    """

    def __init__(self, deadline_seconds: float) -> None:
        region = os.environ.get("AWS_REGION", "us-east-1")
        self.function_name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
        self.function_version = "$LATEST"
        self.memory_limit_in_mb = int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"))
        self.invoked_function_arn = f"arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{self.function_name}"
        self.aws_request_id = str(uuid.uuid4())
        self.log_group_name = f"/aws/lambda/{self.function_name}"
        self.log_stream_name = "local"
        self.identity = None
        self.client_context = None
        self._deadline_seconds = deadline_seconds

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds until the invocation times out, at least 0."""
        return max(0, int(1000 * (self._deadline_seconds - time.monotonic())))


class LambdaProcess:
    """A handler in a separate warm process that runs during a `with` block.

    Parameters
    ----------
    handler : str
        Module and function, such as "anomaly_detector.handler.lambda_handler".
    environment : mapping of str to str
        The function's variables. The process also inherits this process's environment without AWS_ variables, so that
        it cannot reach a real account.
    log_file : Path
        The handler's log, output and tracebacks are appended to this file.
    function_name : str
    memory_limit_mb : int
        Reported to the handler, but not enforced.
    timeout_seconds : float
        After this time, an invocation is aborted and the process is ended.
    only_from : sequence of Path, optional
        The only folders, besides Python's library, that the process imports from. By default, it can import all
        packages that this process can import.
    """

    def __init__(
        self,
        handler: str,
        *,
        environment: Mapping[str, str],
        log_file: Path,
        function_name: str = "anomaly-detector",
        memory_limit_mb: int = 512,
        timeout_seconds: float = MAX_TIMEOUT_SECONDS,
        only_from: Sequence[Path] | None = None,
    ) -> None:
        isolated = only_from is not None
        program = ["-I", "-S", __file__] if isolated else ["-P", "-m", __name__]
        self._command = [sys.executable, *program, handler, "--timeout-seconds", str(timeout_seconds)]
        self._command += [word for folder in only_from or () for word in ("--import-from", str(folder))]
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")} | {
            "AWS_LAMBDA_FUNCTION_NAME": function_name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(memory_limit_mb),
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "TZ": "UTC",
            **environment,
        }
        self._log_file = log_file
        self._timeout_seconds = timeout_seconds
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> LambdaProcess:
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                env=self._environment,
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process, self._process = self._running(), None
        for pipe in (process.stdin, process.stdout):
            # The pipe's buffer may hold an event that the process did not read before it ended.
            with contextlib.suppress(BrokenPipeError):
                if pipe is not None:
                    pipe.close()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def invoke(self, event: Any) -> Any:
        """Invoke the handler with one event and return its result. Both are converted to JSON and back.

        Raises
        ------
        LambdaError
            The handler raised an exception, could not be imported, returned a result that is not JSON, or timed out, or
            its process ended.
        """
        answer = self._exchange(json.dumps(event).encode() + b"\n")
        if not answer["ok"]:
            raise LambdaError(answer["error_type"], answer["error_message"], answer["traceback"])
        return answer["result"]

    def _exchange(self, line: bytes) -> dict[str, Any]:
        process = self._running()
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the Lambda process has no pipes")
        timed_out = threading.Event()

        def cut_off() -> None:
            timed_out.set()
            process.kill()

        timer = threading.Timer(self._timeout_seconds, cut_off)
        timer.start()
        try:
            process.stdin.write(line)
            process.stdin.flush()
            answer = process.stdout.readline()
        except BrokenPipeError:
            answer = b""
        finally:
            timer.cancel()
        if answer:
            parsed: dict[str, Any] = json.loads(answer)
            return parsed
        status = process.wait()
        if timed_out.is_set():
            raise LambdaError("Sandbox.Timedout", f"Task timed out after {self._timeout_seconds:.2f} seconds")
        raise LambdaError(
            "Runtime.ExitError", f"the Lambda process ended with status {status}; its log is {self._log_file}"
        )

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError("LambdaProcess works only inside its `with` block")
        return self._process


def main(argv: Sequence[str] | None = None) -> int:
    """Process events from stdin until its end. Return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m local_aws.lambda_runner", description=__doc__)
    parser.add_argument("handler", help="module.function")
    parser.add_argument("--timeout-seconds", type=float, default=MAX_TIMEOUT_SECONDS)
    parser.add_argument("--import-from", action="append", default=[], help="a folder to import from; repeatable")
    arguments = parser.parse_args(argv)
    sys.path[:0] = arguments.import_from
    events, answers = _private_pipes()
    load_error: LambdaError | None = None
    try:
        handler = _load(arguments.handler)
    except LambdaError as error:
        load_error = error
        print(error.traceback or error, file=sys.stderr, flush=True)
    for line in events:
        answer = _failure(load_error) if load_error else _answer(handler, line, arguments.timeout_seconds)
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()
    return 0


def _private_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Return private copies of stdin and stdout, and redirect the handler's output to stderr at descriptor level."""
    events, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)
    return events, answers


def _load(name: str) -> Callable[[Any, LambdaContext], Any]:
    module_name, _, function_name = name.rpartition(".")
    if not module_name or not function_name:
        raise LambdaError("Runtime.HandlerNotFound", f"handler {name!r} is not of the form module.function")
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # as in the runtime, every exception during the import is an import error
        message = f"cannot import {module_name!r}: {type(error).__name__}: {error}"
        raise LambdaError("Runtime.ImportModuleError", message, traceback.format_exc()) from error
    handler: Callable[[Any, LambdaContext], Any] | None = getattr(module, function_name, None)
    if handler is None:
        raise LambdaError("Runtime.HandlerNotFound", f"{module_name} has no function {function_name!r}")
    return handler


def _answer(handler: Callable[[Any, LambdaContext], Any], line: bytes, timeout_seconds: float) -> dict[str, Any]:
    try:
        result = handler(json.loads(line), LambdaContext(time.monotonic() + timeout_seconds))
    except Exception as error:  # the caller receives every exception of the handler
        traceback.print_exc()
        return _failure(LambdaError(type(error).__name__, str(error), traceback.format_exc()))
    try:
        return {"ok": True, "result": json.loads(json.dumps(result, allow_nan=False))}
    except (TypeError, ValueError) as error:
        return _failure(LambdaError("Runtime.MarshalError", f"the handler's result is not JSON: {error}"))


def _failure(error: LambdaError) -> dict[str, Any]:
    return {
        "ok": False,
        "error_type": error.error_type,
        "error_message": error.error_message,
        "traceback": error.traceback,
    }


if __name__ == "__main__":
    sys.exit(main())
