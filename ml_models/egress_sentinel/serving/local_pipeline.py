"""The containers of an endpoint on this machine, one behind the other, as in SageMaker's serial inference pipeline.

What a container answers, with its content type, is the next one's request; the client's Accept goes to each. An error
ends it. An endpoint with one container is the same with no next.
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

# Between containers nothing leaves the instance: the limit on a client's body is not theirs.
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
    """Serve containers for the length of a `with` block.

    Parameters
    ----------
    containers : sequence of Container
        At least one, in their order.
    endpoint_name : str
        The name that clients give to `invoke_endpoint`.
    body_limit_mb : float
        Longest body of a client in MiB.

    Raises
    ------
    LocalEndpointError
        On entering, where a container does not come up or does not pass its health check.
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
        """Answer as SageMaker Runtime does: the last container's answer, or the first error."""
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
    # A pool, other than urllib.request, uses no proxy of this machine.
    with urllib3.PoolManager() as pool:
        return pool.request(method, url, body=body, headers=headers, timeout=_TIMEOUT_SECONDS, retries=False)
