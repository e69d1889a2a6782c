"""Load-tests an endpoint with concurrent clients: throughput, latency percentiles and errors."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

_MANIFEST = "application/json;output=manifest"
_CSV, _SCORES = "text/csv", "text/csv;output=scores"
_SEED = 42


@dataclass(frozen=True)
class Plan:
    """How to load an endpoint.

    Parameters
    ----------
    concurrency : int
        The number of concurrent clients. Each sends one request after another.
    seconds : float
        The time in which requests are started.
    per_second : float, optional
        Start requests at this rate. Latency is then measured from the time at which a request was due, which includes
        time in a queue. By default, each client sends its next request when it has received a response.
    percentiles : sequence of float
        The percentiles of the latency to report.
    """

    concurrency: int = 4
    seconds: float = 10.0
    per_second: float | None = None
    percentiles: Sequence[float] = (50, 90, 95, 99)


@dataclass(frozen=True)
class LoadResult:
    """The results of a load test.

    Parameters
    ----------
    first_request_ms : float
        Latency of the first request, which is sent alone and may include a cold start.
    requests : int
        The number of successful and failed requests, without the first one.
    seconds : float
        The time from the start to the last response.
    requests_per_second : float
        Successful requests per second.
    latency_ms : dict of str to float
        The percentiles (p50, ...), mean and max of the successful requests. Empty if there are none.
    errors : dict of str to int
        Number of errors by kind, such as "429 ThrottlingException".
    """

    first_request_ms: float
    requests: int
    seconds: float
    requests_per_second: float
    latency_ms: dict[str, float]
    errors: dict[str, int]


class Endpoint:
    """An endpoint behind SageMaker Runtime's path.

    Parameters
    ----------
    name : str
    url : str, optional
        The URL of `egress-sentinel serve`. By default AWS, or AWS_ENDPOINT_URL.
    concurrency : int
        The number of open connections.
    content_type, accept : str
        The headers of each request.

    Attributes
    ----------
    first_ms : float or None
        Latency of the first request, which may include a cold start.

    Raises
    ------
    UserError
        boto3 has no region.
    """

    def __init__(
        self,
        name: str,
        url: str | None = None,
        concurrency: int = 4,
        *,
        content_type: str = _CSV,
        accept: str = _SCORES,
    ) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        self.name = name
        self.first_ms: float | None = None
        self._types = (content_type, accept)
        # A retry would hide a throttle, and its wait would count as latency.
        config: dict[str, Any] = {"retries": {"total_max_attempts": 1}, "max_pool_connections": concurrency}
        given: dict[str, Any] = {}
        if url:
            given = {"endpoint_url": url, "region_name": "us-east-1"}
            given |= {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
            config["proxies"] = {}
        try:
            self._runtime = boto3.session.Session().client("sagemaker-runtime", config=Config(**config), **given)
        except BotoCoreError as error:
            raise UserError(f"cannot reach the endpoint {name}: {error}") from error

    def ask(self, body: bytes, content_type: str = "", accept: str = "") -> bytes:
        """Return the response's body. Errors are botocore's."""
        usual_type, usual_accept = self._types
        begun = time.perf_counter()
        answer = self._runtime.invoke_endpoint(
            EndpointName=self.name, Body=body, ContentType=content_type or usual_type, Accept=accept or usual_accept
        )
        content: bytes = answer["Body"].read()
        if self.first_ms is None:
            self.first_ms = (time.perf_counter() - begun) * 1000
        return content

    def one_row(self) -> bytes:
        """Return a CSV row of artificial values for the features in the model's manifest, the same each time.

        Raises
        ------
        UserError
            The endpoint does not respond, or has no manifest.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            manifest = json.loads(self.ask(b"{}", "application/json", _MANIFEST))
            names = [str(name) for name in manifest["feature_names"]]
        except ClientError as error:
            raise UserError(f"the endpoint {self.name} returned no manifest: {_kind(error)}") from error
        except BotoCoreError as error:
            raise UserError(f"cannot reach the endpoint {self.name}: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"the endpoint {self.name} has no manifest that names its features") from error
        values = np.random.default_rng(_SEED).normal(0, 1, len(names)).round(4)
        return f"{','.join(names)}\n{','.join(map(str, values.tolist()))}\n".encode()


def run(endpoint: Endpoint, body: bytes, plan: Plan) -> LoadResult:
    """Send one request, and then the plan's requests.

    Parameters
    ----------
    endpoint : Endpoint
    body : bytes
        The body of each request.
    plan : Plan

    Raises
    ------
    UserError
        The first request failed; the message has the endpoint's reason.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        endpoint.ask(body)
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"the endpoint {endpoint.name} did not answer the first request: {error}") from error
    clients = _Clients(endpoint, body, plan)
    clients.run()
    return clients.result(endpoint.first_ms or 0.0)


class _Clients:
    """The concurrent clients and their measurements."""

    def __init__(self, endpoint: Endpoint, body: bytes, plan: Plan) -> None:
        self._endpoint = endpoint
        self._body = body
        self._plan = plan
        self._numbers = count()
        self._lock = threading.Lock()
        self._latencies_ms: list[float] = []
        self._errors: Counter[str] = Counter()
        self._start = self._end = 0.0

    def run(self) -> None:
        self._start = time.perf_counter()
        with ThreadPoolExecutor(self._plan.concurrency) as pool:
            for client in [pool.submit(self._client) for _ in range(self._plan.concurrency)]:
                client.result()

    def result(self, first_ms: float) -> LoadResult:
        seconds = self._end - self._start
        latency = {}
        if self._latencies_ms:
            percents = self._plan.percentiles
            latency = {f"p{p:g}": float(np.percentile(self._latencies_ms, p)) for p in percents}
            latency |= {"mean": float(np.mean(self._latencies_ms)), "max": max(self._latencies_ms)}
        return LoadResult(
            first_request_ms=first_ms,
            requests=len(self._latencies_ms) + self._errors.total(),
            seconds=seconds,
            requests_per_second=len(self._latencies_ms) / seconds if seconds else 0.0,
            latency_ms=latency,
            errors=dict(self._errors.most_common()),
        )

    def _client(self) -> None:
        while (due := self._next_due()) is not None:
            self._ask(due)

    def _next_due(self) -> float | None:
        """Wait until the next request is due, and return that time. None when the plan's time is over."""
        plan = self._plan
        with self._lock:
            number = next(self._numbers)
        due = self._start + number / plan.per_second if plan.per_second else time.perf_counter()
        if due > self._start + plan.seconds:
            return None
        time.sleep(max(0.0, due - time.perf_counter()))
        return due

    def _ask(self, due: float) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        error = ""
        try:
            self._endpoint.ask(self._body)
        except ClientError as refused:
            error = _kind(refused)
        except BotoCoreError as failed:
            error = type(failed).__name__
        now = time.perf_counter()
        with self._lock:
            self._end = max(self._end, now)
            if error:
                self._errors[error] += 1
            else:
                self._latencies_ms.append((now - due) * 1000)


def _kind(error: Any) -> str:
    """Return an error's status and name, and the model's status if the model rejected the request."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    original = error.response.get("OriginalStatusCode")
    return f"{status} {error.response['Error']['Code']}" + (f" (the model: {original})" if original else "")
