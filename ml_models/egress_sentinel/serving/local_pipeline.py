"""Serves the containers of an endpoint locally in a chain, as in SageMaker's serial inference pipeline.

Each container's response, with its content type, is the next container's request. All containers get the client's
Accept. An error ends the chain. An endpoint with one container is a chain of length one.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING

import urllib3

from egress_sentinel.serving.local_endpoint import LocalEndpoint, LocalEndpointError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

# The limit on a client's body does not apply between containers.
_BETWEEN_MB = 1024.0
_TIMEOUT_SECONDS = 70
_UNSENT = {"host", "content-length"}


@dataclass(frozen=True)
class Container:
    """An artifact and the environment in which it is served."""

    artifact: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    name: str = "primary"


class LocalPipeline:
    """Serve containers during a `with` block.

    Parameters
    ----------
    containers : sequence of Container
        At least one, in order.
    endpoint_name : str
        The name that clients give to `invoke_endpoint`.
    body_limit_mb : float
        The largest body of a client in MiB.

    Raises
    ------
    LocalEndpointError
        A container does not start, or fails its health check, when the block is entered.
    """

    def __init__(self, containers: Sequence[Container], *, endpoint_name: str, body_limit_mb: float) -> None:
        self.endpoint_name = endpoint_name
        self._names = [container.name for container in containers]
        self._endpoints = [
            LocalEndpoint(
                container.artifact,
                endpoint_name=endpoint_name,
                body_limit_mb=_BETWEEN_MB if number else body_limit_mb,
                environment=container.environment,
                container_name=container.name,
            )
            for number, container in enumerate(containers)
        ]
        self._running = ExitStack()

    def __enter__(self) -> LocalPipeline:
        with ExitStack() as starting:
            for endpoint, name in zip(self._endpoints, self._names, strict=True):
                starting.enter_context(endpoint)
                if _ask("GET", f"{endpoint.url}/ping").status != HTTPStatus.OK:
                    raise LocalEndpointError(f"The {name} container did not pass the ping health check.")
            self._running = starting.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def invoke(self, body: bytes, headers: Mapping[str, str]) -> urllib3.BaseHTTPResponse:
        """Return the last container's response, or the first error, as SageMaker Runtime does."""
        sent = {key: value for key, value in headers.items() if key.lower() not in _UNSENT}
        for number, endpoint in enumerate(self._endpoints):
            answer = _ask("POST", f"{endpoint.url}/endpoints/{self.endpoint_name}/invocations", body, sent)
            if answer.status != HTTPStatus.OK or number == len(self._endpoints) - 1:
                break
            body = answer.data
            sent = {key: value for key, value in sent.items() if key.lower() != "content-type"}
            sent["Content-Type"] = answer.headers["Content-Type"]
        return answer


def _ask(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
) -> urllib3.BaseHTTPResponse:
    # Unlike urllib.request, a pool ignores the proxy settings.
    with urllib3.PoolManager() as pool:
        return pool.request(method, url, body=body, headers=headers, timeout=_TIMEOUT_SECONDS, retries=False)
