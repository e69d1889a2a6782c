"""`egress-sentinel load`: its report matches the endpoint's behaviour."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from anomaly_detection.artifact import pack
from egress_sentinel.deployment.load import Endpoint, LoadResult, Plan, run
from egress_sentinel.serving.local_endpoint import LocalEndpoint
from tests.support.detector import FaultyEndpoint
from tests.support.models import NAMES, matrix, run_training_script, write_part

pytestmark = pytest.mark.integration
ROW = b"ratio\n0.5\n"


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


def test_the_row_has_the_features_of_the_models_manifest(url: str) -> None:
    endpoint = Endpoint("egress-sentinel", url)
    row = endpoint.one_row()
    assert row.decode().splitlines()[0].split(",") == NAMES
    result = run(endpoint, row, Plan(concurrency=3, seconds=0.95, per_second=20))
    assert (result.requests, result.errors) == (20, {})
    assert result.first_request_ms == endpoint.first_ms


def test_the_command_prints_the_percentiles_that_were_asked_for(url: str) -> None:
    given = ["--endpoint-url", url, "--duration", "0.5", "-c", "2", "--percentiles", "50,99.9"]
    done = load(*given, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert list(found["latency_ms"]) == ["p50", "p99.9", "mean", "max"]
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99.9"] <= found["latency_ms"]["max"]
    assert found["requests"] > 1
    table = load(*given)
    assert table.returncode == 0, table.stderr
    assert all(name in table.stdout for name in ("p99.9", "requests/s", "first request"))


@pytest.mark.parametrize("given", ["50,many", "101", "-1", ""])
def test_percentiles_that_are_none_are_one_sentence(given: str) -> None:
    done = load("--endpoint-url", "http://127.0.0.1:9", "--percentiles", given)
    assert (done.returncode, done.stdout) == (2, "")
    assert "--percentiles" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_endpoint_that_is_not_there_is_one_sentence(url: str) -> None:
    done = load("nobody", "--endpoint-url", url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nobody returned no manifest: 400 ValidationError" in done.stderr


def ask(endpoint: FaultyEndpoint, plan: Plan) -> LoadResult:
    return run(Endpoint("any", endpoint.url), ROW, plan)


def test_errors_are_counted_by_kind_and_nothing_is_asked_twice() -> None:
    with FaultyEndpoint() as endpoint:
        endpoint.faults = [200, 429, 429, "model error 500", "cut"]
        result = ask(endpoint, Plan(concurrency=1, seconds=0.35, per_second=20))
        assert len(endpoint.requests) == 1 + 8
    assert result.errors["429 ThrottlingException"] == 2
    assert result.errors["424 ModelError (the model: 500)"] == 1
    assert sum(result.errors.values()) == 4
    assert result.requests == 8


def test_a_duration_ends_it_and_a_rate_paces_it() -> None:
    with FaultyEndpoint() as endpoint:
        begun = time.perf_counter()
        result = ask(endpoint, Plan(concurrency=1, seconds=0.5, per_second=20))
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
        result = run(asked, ROW, Plan(concurrency=1, seconds=0.19, per_second=100, percentiles=(30,)))
    assert result.requests == 20
    assert result.latency_ms["p30"] > 150
