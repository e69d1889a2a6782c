"""A SageMaker endpoint on this machine: the artifact's own code, in its own process, behind boto3's own path.

    python -m egress_sentinel.serving.local_endpoint --model model.tar.gz --endpoint-name egress-sentinel --port 0

prints one line of JSON, `{"url": ..., "endpoint_name": ...}`, when it is ready and serves until SIGTERM or
SIGINT.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from egress_sentinel.errors import UserError
from egress_sentinel.serving.app import (
    MEBIBYTE,
    MODEL_TIMEOUT_SECONDS,
    PRIMARY,
    SERVERLESS_MAX_BODY_BYTES,
    body_limit,
    create_app,
)
from egress_sentinel.serving.program import load_program, unpack
from egress_sentinel.serving.server_process import (
    LOOPBACK,
    STOP_WITH_STDIN,
    ServerProcess,
    ServerStartError,
    announce,
    stop_on_signals,
)
from egress_sentinel.serving.wsgi_server import IDLE_SECONDS, create_server

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from types import TracebackType

_REFUSED = 2
_PREFIX = "local endpoint: "

__all__ = ["LocalEndpoint", "LocalEndpointError", "create_app", "main"]


class LocalEndpointError(UserError):
    """The model cannot be served. The message is one sentence."""


class LocalEndpoint:
    """Serve a model during a `with` block.

    Parameters
    ----------
    model : Path
        A model.tar.gz or an unpacked model directory.
    endpoint_name : str
        The endpoint's name in `invoke_endpoint`.
    port : int
        0 selects a free port.
    body_limit_mb : float
        The largest body in MiB: 4 on a serverless endpoint, 6 on a real-time endpoint.
    log_file : Path, optional
        The file for the container's log with tracebacks.
    timeout_seconds : float
        The time to wait until the model is ready.
    environment : mapping of str to str, optional
        The container's variables, such as SAGEMAKER_PROGRAM.
    container_name : str
        The container's name in errors.

    Attributes
    ----------
    url : str
        The `endpoint_url` for boto3.
    endpoint_name : str

    Raises
    ------
    LocalEndpointError
        The process ends before it is ready when the block is entered.
    """

    def __init__(
        self,
        model: Path,
        *,
        endpoint_name: str = "egress-sentinel",
        port: int = 0,
        body_limit_mb: float = SERVERLESS_MAX_BODY_BYTES / MEBIBYTE,
        log_file: Path | None = None,
        timeout_seconds: float = 60.0,
        environment: Mapping[str, str] | None = None,
        container_name: str = PRIMARY,
    ) -> None:
        self.endpoint_name = endpoint_name
        self.url = ""
        self._model = model
        self._timeout_seconds = timeout_seconds
        arguments = ["--model", str(model), "--endpoint-name", endpoint_name]
        arguments += ["--port", str(port), "--body-limit-mb", str(body_limit_mb)]
        arguments += ["--container-name", container_name]
        self._process = ServerProcess(__name__, arguments, log_file=log_file, environment=environment)

    def __enter__(self) -> LocalEndpoint:
        try:
            self.url = self._process.start(self._timeout_seconds)["url"]
        except ServerStartError as error:
            if error.status == _REFUSED:
                raise LocalEndpointError(error.log_tail.splitlines()[-1].removeprefix(_PREFIX)) from error
            raise LocalEndpointError(f"the local endpoint for {self._model} {error}") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.stop()


def main(argv: Sequence[str] | None = None) -> int:
    """Serve a model until SIGTERM or SIGINT. Return 0, or 2 if the model cannot be served."""
    arguments = _parser().parse_args(argv)
    stop_on_signals(with_stdin=arguments.stop_with_stdin)
    try:
        with contextlib.suppress(KeyboardInterrupt), _model_directory(arguments.model) as model_dir:
            _serve(arguments, model_dir)
    except UserError as error:
        print(f"{_PREFIX}{error}", file=sys.stderr)
        return _REFUSED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m egress_sentinel.serving.local_endpoint", description=__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a model.tar.gz or an unpacked model directory")
    parser.add_argument("--endpoint-name", default="egress-sentinel")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--body-limit-mb", type=float, default=SERVERLESS_MAX_BODY_BYTES / MEBIBYTE)
    parser.add_argument("--model-timeout-seconds", type=float, default=MODEL_TIMEOUT_SECONDS)
    parser.add_argument(
        "--idle-seconds", type=int, default=IDLE_SECONDS, help="close a connection after so long without traffic"
    )
    parser.add_argument("--container-name", default=PRIMARY, help="what errors call it")
    parser.add_argument(STOP_WITH_STDIN, action="store_true", help="end when stdin does")
    return parser


@contextlib.contextmanager
def _model_directory(model: Path) -> Iterator[Path]:
    if model.is_dir():
        yield model.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="egress-sentinel-model-") as directory:
        unpack(model, directory)
        yield Path(directory)


def _serve(arguments: argparse.Namespace, model_dir: Path) -> None:
    # The program's output must not mix with the ready line.
    with contextlib.redirect_stdout(sys.stderr):
        program = load_program(model_dir / "code")
    max_body_bytes = int(arguments.body_limit_mb * MEBIBYTE)
    try:
        app = create_app(
            program,
            str(model_dir),
            arguments.endpoint_name,
            max_body_bytes=max_body_bytes,
            model_timeout_seconds=arguments.model_timeout_seconds,
            container_name=arguments.container_name,
        )
    except TypeError as error:
        raise LocalEndpointError(str(error)) from error
    try:
        server = create_server(
            app,
            LOOPBACK,
            arguments.port,
            body_limit=lambda path: body_limit(path, max_body_bytes),
            idle_seconds=arguments.idle_seconds,
        )
    except OSError as error:
        raise LocalEndpointError(
            f"cannot listen on {LOOPBACK}:{arguments.port}: {error.strerror}; give another --port (0 takes a free one)"
        ) from error
    announce(url=f"http://{LOOPBACK}:{server.effective_port}", endpoint_name=arguments.endpoint_name)
    server.run()


if __name__ == "__main__":
    sys.exit(main())
