"""`egress-sentinel load`: what it counts is what the endpoint did."""

import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest

from anomaly_detection.artifact import pack
from egress_sentinel.deployment.load import Endpoint, LoadResult, Plan, made_up_body, picture, run
from egress_sentinel.serving.local_endpoint import LocalEndpoint
from tests.support.detector import FaultyEndpoint
from tests.support.models import NAMES, matrix, run_training_script, write_part

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("load")
    write_part(folder / "train" / "a.parquet", matrix(400))
    done = run_training_script(folder / "train", folder / "model", "--n_estimators", "20")
    assert done.returncode == 0, done.stderr
    pack(folder / "model", folder / "model.tar.gz")
    with LocalEndpoint(folder / "model.tar.gz") as endpoint:
        yield endpoint.url


def load(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "egress_sentinel.cli", "load", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("content_type", ["text/csv", "application/json", "application/x-parquet"])
def test_rows_are_made_up_from_what_the_model_says_it_takes(url: str, content_type: str) -> None:
    endpoint = Endpoint("egress-sentinel", url)
    assert endpoint.feature_names() == NAMES
    first_ms = endpoint.first_ms
    for rows in (1, 7):
        plan = Plan(made_up_body(NAMES, rows, content_type), content_type, "text/csv;output=scores", rows, 3, 20)
        result = run(endpoint, plan)
        assert result.requests == len(result.latencies_ms) == 20
        assert not result.errors
        assert result.first_request_ms == first_ms
        assert result.rows_per_second == pytest.approx(rows * result.requests_per_second)
        assert result.response_bytes > len("is_anomaly,anomaly_score\n") + rows


def test_the_command_prints_and_draws(url: str, tmp_path: Path) -> None:
    drawn = tmp_path / "latency.svg"
    done = load("--endpoint-url", url, "-n", "30", "-c", "2", "--json", "--picture", str(drawn))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    latency = found["latency_ms"]
    assert found["requests"] == 30
    assert 0 < latency["p50"] <= latency["p90"] <= latency["p95"] <= latency["p99"] <= latency["max"]
    texts = [element.text or "" for element in ET.parse(drawn).iter() if element.tag.endswith("text")]
    assert f"p50 {latency['p50']:.3g}" in texts


def test_an_endpoint_that_is_not_there_is_one_sentence(url: str) -> None:
    done = load("nobody", "--endpoint-url", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nobody does not say what it takes: 400 ValidationError" in done.stderr


def ask(endpoint: FaultyEndpoint, **plan: float) -> LoadResult:
    given = {"concurrency": 1, "requests": 8} | plan
    return run(Endpoint("any", endpoint.url), Plan(b"ratio\n0.5\n", "text/csv", "text/csv", 1, **given))  # type: ignore[arg-type]


def test_errors_are_counted_by_kind_and_nothing_is_asked_twice() -> None:
    with FaultyEndpoint() as endpoint:
        endpoint.faults = [200, 429, 429, "model error 500", "cut"]
        result = ask(endpoint)
        assert len(endpoint.requests) == 1 + 8
    assert result.errors["429 ThrottlingException"] == 2
    assert result.errors["424 ModelError (the model: 500)"] == 1
    assert sum(result.errors.values()) == 4
    assert len(result.latencies_ms) == 4


def test_a_duration_ends_it_and_a_rate_paces_it() -> None:
    with FaultyEndpoint() as endpoint:
        begun = time.perf_counter()
        result = ask(endpoint, requests=None, seconds=0.5, per_second=20.0)  # type: ignore[arg-type]
        assert time.perf_counter() - begun >= 0.4
    assert result.requests == 11  # at 0.00, 0.05, ... 0.50 s


def test_at_a_rate_what_waits_behind_a_slow_answer_has_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A closed loop would see one slow answer of 20; callers who come every 10 ms all wait behind it."""
    with FaultyEndpoint() as endpoint:
        asked = Endpoint("any", endpoint.url)
        answers = iter([0.0, 0.4] + [0.0] * 30)

        def slow(*_: object) -> bytes:
            time.sleep(next(answers))
            return b"x"

        monkeypatch.setattr(asked, "ask", slow)
        result = run(asked, Plan(b"", "text/csv", "text/csv", 1, 1, 20, per_second=100.0))
    assert sum(latency > 150 for latency in result.latencies_ms) >= 15


def test_a_picture_of_equal_latencies_can_be_drawn() -> None:
    equal = LoadResult(1, 2, 1, 2, 2, {f"p{p}": 5.0 for p in (50, 90, 95, 99)}, {}, 1, 1, [5.0, 5.0])
    none = LoadResult(1, 2, 1, 0, 0, {}, {"429 ThrottlingException": 2}, 1, 0, [])
    for result in (equal, none):
        assert ET.fromstring(picture(result, "a < b")).tag.endswith("svg")
