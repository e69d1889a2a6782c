"""A Lambda handler in its own process: results, errors, logs, time limits, variables."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.lambda_runner import LambdaError, LambdaProcess

pytestmark = pytest.mark.integration

HANDLERS = """
import logging, os, subprocess, sys, time

calls = 0

def echo(event, context):
    return event

def count(event, context):
    global calls
    calls += 1
    return calls

def loud(event, context):
    print("printed line")
    logging.getLogger().warning("logged line")
    subprocess.run(["echo", "line of a child"], check=True)
    return {"stdin": sys.stdin.read()}

def describe(event, context):
    return {"name": context.function_name, "memory": context.memory_limit_in_mb,
            "arn": context.invoked_function_arn, "request_id": context.aws_request_id,
            "millis": context.get_remaining_time_in_millis(), "environment": dict(os.environ)}

class BadHour(Exception):
    pass

def fail(event, context):
    raise BadHour(f"no features for {event['hour']}")

def marshal(event, context):
    return {"when": object()}

def not_a_number(event, context):
    return float("nan")

def leave(event, context):
    os._exit(7)

def sleep(event, context):
    time.sleep(60)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("lambda")
    (folder / "some_handlers.py").write_text(HANDLERS)
    (folder / "broken_handler.py").write_text("import no_such_module_anywhere\n")
    return folder


@pytest.fixture(scope="module")
def handler(folder: Path) -> Callable[..., LambdaProcess]:
    def make(name: str, **options: Any) -> LambdaProcess:
        environment = {"PYTHONPATH": str(folder), "BUCKET": "data"}
        return LambdaProcess(name, environment=environment, log_file=folder / "lambda.log", **options)

    return make


@pytest.fixture(scope="module")
def echo(handler: Callable[..., LambdaProcess]) -> Iterator[LambdaProcess]:
    with handler("some_handlers.echo") as process:
        yield process


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(event=JSON)
def test_any_json_goes_there_and_back(echo: LambdaProcess, event: Any) -> None:
    assert echo.invoke(event) == event


def test_a_long_event_is_no_trouble(echo: LambdaProcess) -> None:
    assert echo.invoke("x" * 6_000_000) == "x" * 6_000_000


def test_the_process_stays_warm(handler: Callable[..., LambdaProcess]) -> None:
    with handler("some_handlers.count") as process:
        assert [process.invoke({}) for _ in range(3)] == [1, 2, 3]


def test_what_is_printed_goes_to_the_log_and_not_into_the_answers(
    handler: Callable[..., LambdaProcess], folder: Path
) -> None:
    with handler("some_handlers.loud") as process:
        assert [process.invoke({}) for _ in range(2)] == [{"stdin": ""}] * 2
    log = (folder / "lambda.log").read_text()
    for line in ("printed line", "logged line", "line of a child"):
        assert log.count(line) == 2


def test_the_context_and_the_variables(handler: Callable[..., LambdaProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "a-real-account")
    with handler("some_handlers.describe", function_name="detector", memory_limit_mb=256, timeout_seconds=30) as one:
        first, second = one.invoke({}), one.invoke({})
    assert (first["name"], first["memory"]) == ("detector", 256)
    assert first["arn"].endswith(":function:detector")
    assert 25_000 < first["millis"] <= 30_000
    assert first["request_id"] != second["request_id"]
    assert first["environment"]["BUCKET"] == "data"
    assert "AWS_PROFILE" not in first["environment"]


def test_an_error_has_its_type_message_and_traceback_and_the_next_event_is_taken(
    handler: Callable[..., LambdaProcess], folder: Path
) -> None:
    with handler("some_handlers.fail") as process:
        with pytest.raises(LambdaError, match="BadHour: no features for 3") as caught:
            process.invoke({"hour": 3})
        with pytest.raises(LambdaError, match="KeyError"):
            process.invoke({})
    assert caught.value.error_type == "BadHour"
    assert "some_handlers.py" in caught.value.traceback
    assert "BadHour: no features for 3" in (folder / "lambda.log").read_text()


@pytest.mark.parametrize(
    ("name", "error_type", "message"),
    [
        ("broken_handler.f", "Runtime.ImportModuleError", "cannot import 'broken_handler': ModuleNotFoundError"),
        ("absent_handler.f", "Runtime.ImportModuleError", "No module named 'absent_handler'"),
        ("some_handlers.absent", "Runtime.HandlerNotFound", "some_handlers has no function 'absent'"),
        ("no_dot", "Runtime.HandlerNotFound", "module.function"),
        ("some_handlers.marshal", "Runtime.MarshalError", "not JSON"),
        ("some_handlers.not_a_number", "Runtime.MarshalError", "not JSON"),
        ("some_handlers.leave", "Runtime.ExitError", "status 7"),
    ],
)
def test_what_the_runtime_refuses(
    handler: Callable[..., LambdaProcess], name: str, error_type: str, message: str
) -> None:
    with handler(name) as process, pytest.raises(LambdaError, match=message) as caught:
        process.invoke({})
    assert caught.value.error_type == error_type


def test_after_its_process_ended_each_call_raises_the_error(handler: Callable[..., LambdaProcess]) -> None:
    with handler("some_handlers.leave") as process:
        for _ in range(2):
            with pytest.raises(LambdaError, match="ended with status 7"):
                process.invoke("x" * 200_000)


def test_a_handler_that_takes_too_long_is_cut_off(handler: Callable[..., LambdaProcess]) -> None:
    with (
        handler("some_handlers.sleep", timeout_seconds=2) as process,
        pytest.raises(LambdaError, match=r"Task timed out after 2\.00 seconds"),
    ):
        process.invoke({})


def test_by_hand_one_line_in_one_line_out(folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "local_aws.lambda_runner", "some_handlers.echo"],
        input=b'{"a": 1}\n[2]\n',
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        check=True,
    )
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"ok": True, "result": {"a": 1}},
        {"ok": True, "result": [2]},
    ]
