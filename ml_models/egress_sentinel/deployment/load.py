"""Asks an endpoint as many clients at once would, and says how long it took: requests a second, latencies, errors."""

from __future__ import annotations

import io
import json
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from html import escape
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

MANIFEST = "application/json;output=manifest"
CSV, JSON, PARQUET = "text/csv", "application/json", "application/x-parquet"
PERCENTILES = (50, 90, 95, 99)
SEED = 42
_BINS, _WIDTH, _HEIGHT, _MARGIN = 40, 640, 240, 46


@dataclass(frozen=True)
class Plan:
    """What is asked, how often, by how many.

    Parameters
    ----------
    body : bytes
    content_type : str
    accept : str
    rows : int
        Rows in the body; 0 where that is not known.
    concurrency : int
        Clients that ask at the same time, each one request after the other.
    requests : int, optional
        How many in all; None asks until `seconds` have passed.
    seconds : float, optional
        When no further request is begun; None: after `requests`.
    per_second : float, optional
        Requests are begun at this rate, and a latency counts from when its request was due: what waits in a queue
        waits. None: each client asks as soon as it has its answer.
    """

    body: bytes
    content_type: str
    accept: str
    rows: int = 0
    concurrency: int = 4
    requests: int | None = 200
    seconds: float | None = None
    per_second: float | None = None


@dataclass(frozen=True)
class LoadResult:
    """What was seen.

    Parameters
    ----------
    first_request_ms : float
        The very first one to this endpoint, alone, be it for the manifest: a cold start, where the endpoint was cold.
    requests : int
        Answered or refused, without the first one.
    seconds : float
        From the first to the last of them.
    requests_per_second, rows_per_second : float
        Of those that were answered.
    latency_ms : dict of str to float
        p50, p90, p95, p99, mean and max of those that were answered; empty where none was.
    errors : dict of str to int
        How many of which kind, such as "429 ThrottlingException".
    request_bytes, response_bytes : int
        Of one body, and of the last answer.
    latencies_ms : list of float
        Each of them, in the order of the answers.
    """

    first_request_ms: float
    requests: int
    seconds: float
    requests_per_second: float
    rows_per_second: float
    latency_ms: dict[str, float]
    errors: dict[str, int]
    request_bytes: int
    response_bytes: int
    latencies_ms: list[float] = field(repr=False)

    def record(self) -> dict[str, Any]:
        """Return it for JSON, without the single latencies."""
        return {name: value for name, value in asdict(self).items() if name != "latencies_ms"}


class Endpoint:
    """An endpoint behind SageMaker Runtime's path.

    Parameters
    ----------
    name : str
    url : str, optional
        Of `egress-sentinel serve`; by default AWS, or what AWS_ENDPOINT_URL names.
    concurrency : int
        Connections that are kept open.

    Attributes
    ----------
    first_ms : float or None
        How long the very first answer took: a cold start, where the endpoint was cold.

    Raises
    ------
    UserError
        boto3 has no region to work in.
    """

    def __init__(self, name: str, url: str | None = None, concurrency: int = 4) -> None:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        self.name = name
        self.first_ms: float | None = None
        # A retry would hide a throttle, and its wait would stand as latency.
        config: dict[str, Any] = {"retries": {"total_max_attempts": 1}, "max_pool_connections": concurrency}
        given: dict[str, Any] = {}
        if url:
            given = {"endpoint_url": url, "region_name": "us-east-1"}
            given |= {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
            config["proxies"] = {}
        try:
            self._runtime = boto3.session.Session().client("sagemaker-runtime", config=Config(**config), **given)
        except BotoCoreError as error:
            raise UserError(f"cannot ask the endpoint {name}: {error}") from error

    def ask(self, body: bytes, content_type: str, accept: str) -> bytes:
        """Return an answer; errors are botocore's."""
        begun = time.perf_counter()
        answer = self._runtime.invoke_endpoint(
            EndpointName=self.name, Body=body, ContentType=content_type, Accept=accept
        )
        content: bytes = answer["Body"].read()
        if self.first_ms is None:
            self.first_ms = (time.perf_counter() - begun) * 1000
        return content

    def feature_names(self) -> list[str]:
        """Return what the model takes, as its manifest says.

        Raises
        ------
        UserError
            It is not there, or it says nothing of the kind.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            manifest = json.loads(self.ask(b"{}", JSON, MANIFEST))
            return [str(name) for name in manifest["feature_names"]]
        except ClientError as error:
            raise UserError(f"the endpoint {self.name} does not say what it takes: {_kind(error)}") from error
        except BotoCoreError as error:
            raise UserError(f"cannot ask the endpoint {self.name}: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(
                f"the endpoint {self.name} has no manifest that names its features; give a body of your own (--body)"
            ) from error


def made_up_body(names: Sequence[str], rows: int, content_type: str) -> bytes:
    """Return rows of usual values for features of these names, the same each time.

    Parameters
    ----------
    names : sequence of str
    rows : int
        At least 1.
    content_type : str
        text/csv, application/json (one record for one row, else columns and data) or application/x-parquet.

    Raises
    ------
    UserError
        The content type is another one.
    """
    values = np.random.default_rng(SEED).normal(0, 1, (rows, len(names))).astype(np.float32).round(4)
    if content_type == CSV:
        lines = [",".join(names), *(",".join(map(str, row)) for row in values.tolist())]
        return ("\n".join(lines) + "\n").encode()
    if content_type == JSON:
        document = (
            dict(zip(names, values[0].tolist(), strict=True))
            if rows == 1
            else {"columns": list(names), "data": values.tolist()}
        )
        return json.dumps(document).encode()
    if content_type == PARQUET:
        import pyarrow as pa
        import pyarrow.parquet as pq

        file = io.BytesIO()
        pq.write_table(pa.table(dict(zip(names, values.T, strict=True))), file)
        return file.getvalue()
    raise UserError(f"no rows are made up as {content_type!r}; accepted are {CSV}, {JSON}, {PARQUET} and --body")


def run(endpoint: Endpoint, plan: Plan, tick: Callable[[], None] = lambda: None) -> LoadResult:
    """Ask once, and then as the plan says.

    Parameters
    ----------
    endpoint : Endpoint
    plan : Plan
    tick : callable
        Called after each answer, to show progress.

    Raises
    ------
    UserError
        The very first request is not answered: the reason is the endpoint's own.
    """
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        endpoint.ask(plan.body, plan.content_type, plan.accept)
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"the endpoint {endpoint.name} did not answer the first request: {error}") from error
    crowd = _Crowd(endpoint, plan, tick)
    crowd.run()
    return crowd.result(endpoint.first_ms or 0.0)


class _Crowd:
    """The clients, and what they have seen."""

    def __init__(self, endpoint: Endpoint, plan: Plan, tick: Callable[[], None]) -> None:
        self._endpoint = endpoint
        self._plan = plan
        self._tick = tick
        self._numbers = count()
        self._lock = threading.Lock()
        self._latencies_ms: list[float] = []
        self._errors: Counter[str] = Counter()
        self._response_bytes = 0
        self._start = self._end = 0.0

    def run(self) -> None:
        self._start = time.perf_counter()
        with ThreadPoolExecutor(self._plan.concurrency) as pool:
            for client in [pool.submit(self._client) for _ in range(self._plan.concurrency)]:
                client.result()

    def result(self, first_ms: float) -> LoadResult:
        seconds = self._end - self._start
        answered = len(self._latencies_ms)
        latency = {f"p{p}": float(np.percentile(self._latencies_ms, p)) for p in PERCENTILES} if answered else {}
        if answered:
            latency |= {"mean": float(np.mean(self._latencies_ms)), "max": max(self._latencies_ms)}
        return LoadResult(
            first_request_ms=first_ms,
            requests=answered + self._errors.total(),
            seconds=seconds,
            requests_per_second=answered / seconds if seconds else 0.0,
            rows_per_second=answered * self._plan.rows / seconds if seconds else 0.0,
            latency_ms=latency,
            errors=dict(self._errors.most_common()),
            request_bytes=len(self._plan.body),
            response_bytes=self._response_bytes,
            latencies_ms=self._latencies_ms,
        )

    def _client(self) -> None:
        while (due := self._next_due()) is not None:
            self._ask(due)
            self._tick()

    def _next_due(self) -> float | None:
        """Return when the next request is due, waiting for that time; None where there is none any more."""
        with self._lock:
            number = next(self._numbers)
        plan = self._plan
        due = self._start + number / plan.per_second if plan.per_second else time.perf_counter()
        is_late = plan.seconds is not None and due > self._start + plan.seconds
        if is_late or (plan.requests is not None and number >= plan.requests):
            return None
        time.sleep(max(0.0, due - time.perf_counter()))
        return due

    def _ask(self, due: float) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        error = ""
        try:
            content = self._endpoint.ask(self._plan.body, self._plan.content_type, self._plan.accept)
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
                self._response_bytes = len(content)


def picture(result: LoadResult, title: str) -> str:
    """Return an SVG of the latencies' distribution, on a logarithmic axis, with the percentiles."""
    values = np.maximum(np.asarray(result.latencies_ms, np.float64), 1e-3)
    low, high = (float(values.min()), float(values.max()) * 1.001) if values.size else (1.0, 10.0)
    high = max(high, low * 1.5)
    edges = np.geomspace(low, high, _BINS + 1)
    counts, _ = np.histogram(values, edges)
    tallest = max(int(counts.max()), 1)

    def x_of(milliseconds: float) -> float:
        return float(_MARGIN + (_WIDTH - 2 * _MARGIN) * np.log(milliseconds / low) / np.log(high / low))

    base, top = _HEIGHT - 40, 64
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" '
        f'height="{_HEIGHT}" font-family="sans-serif" font-size="12">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_MARGIN}" y="20" font-weight="bold" font-size="13">{escape(title)}</text>',
    ]
    for number, amount in enumerate(counts.tolist()):
        left, right = x_of(edges[number]), x_of(edges[number + 1])
        height = (base - top) * amount / tallest
        lines.append(
            f'<rect x="{left:.1f}" y="{base - height:.1f}" width="{right - left - 1:.1f}" height="{height:.1f}" '
            'fill="#2f6f9f"/>'
        )
    lines.append(f'<line x1="{_MARGIN}" y1="{base}" x2="{_WIDTH - _MARGIN}" y2="{base}" stroke="#333333"/>')
    for edge, anchor in ((low, "start"), (high, "end")):
        lines.append(f'<text x="{x_of(edge):.1f}" y="{base + 16}" text-anchor="{anchor}">{edge:.3g} ms</text>')
    for number, percent in enumerate(PERCENTILES if values.size else ()):
        value = result.latency_ms[f"p{percent}"]
        x, y = x_of(min(max(value, low), high)), 36 + 12 * (number % 2)
        anchor = "start" if x < _WIDTH / 2 else "end"
        lines += [
            f'<line x1="{x:.1f}" y1="{y + 4}" x2="{x:.1f}" y2="{base}" stroke="#b23a2e" stroke-dasharray="4 3"/>',
            f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}" fill="#b23a2e">p{percent} {value:.3g}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _kind(error: Any) -> str:
    """Return the status and the name of an error, and for one of the model the model's own status."""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", "")
    original = error.response.get("OriginalStatusCode")
    return f"{status} {error.response['Error']['Code']}" + (f" (the model: {original})" if original else "")
