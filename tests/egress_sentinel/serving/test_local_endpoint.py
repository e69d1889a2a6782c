"""A SageMaker endpoint on this machine, asked by plain HTTP, by boto3 and by the AWS CLI."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from egress_sentinel.serving.local_endpoint import LocalEndpoint, LocalEndpointError
from tests.support.sample_data import required_program

pytestmark = pytest.mark.integration

PROGRAM = """
import os, pathlib, sys, time
import flask

def model_fn(model_dir):
    print("loading the model")
    with open(os.path.join(model_dir, "loads"), "a") as loads:
        loads.write("x")
    time.sleep(0.2)
    return pathlib.Path(model_dir, "word").read_text()

def input_fn(body, content_type):
    return {"body_type": type(body).__name__, "content_type": content_type, "length": len(body),
            "text": body[:99] if isinstance(body, str) else body[:99].decode()}

def predict_fn(data, model):
    if data["text"] == "slow":
        time.sleep(30)
    if data["text"] == "raise":
        raise ValueError("a row is broken")
    return data | {"model": model, "pandas": "pandas" in sys.modules, "file": __file__,
                   "attributes": flask.request.headers.get("X-Amzn-SageMaker-Custom-Attributes")}

def output_fn(prediction, accept):
    prediction["accept"] = accept
    if prediction["text"] == "refuse":
        return flask.Response('{"error": {"status": 415}}', status=415, mimetype="application/json")
    if prediction["text"] == "bare":
        return "bare"
    if prediction["text"] == "own attributes":
        return flask.Response("", headers={"X-Amzn-SageMaker-Custom-Attributes": "of the model"})
    return flask.json.dumps(prediction), "application/json"
"""
PACKAGE = "anomaly_detection"


def write_model(directory: Path, program: str = PROGRAM) -> Path:
    package = directory / "code" / PACKAGE
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inference_script.py").write_text(program)
    (directory / "word").write_text("forest")
    return directory


def pack(directory: Path, tar_path: Path) -> Path:
    with tarfile.open(tar_path, "w:gz") as tar:
        for entry in sorted(directory.iterdir()):
            tar.add(entry, entry.name)
    return tar_path


def http(url: str, body: bytes | None = None, **headers: str) -> tuple[int, str, bytes]:
    names = {"content_type": "Content-Type", "accept": "Accept"}
    request = urllib.request.Request(url, data=body, headers={names[k]: v for k, v in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, response.headers.get("Content-Type", ""), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers.get("Content-Type", ""), error.read()


def runtime(url: str) -> Any:
    return boto3.client(
        "sagemaker-runtime",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
        config=Config(proxies={}, retries={"max_attempts": 1}),
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def endpoint(model: Path) -> Iterator[LocalEndpoint]:
    with LocalEndpoint(model, endpoint_name="sentinel", log_file=model.parent / "endpoint.log") as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def client(endpoint: LocalEndpoint) -> Iterator[Any]:
    client = runtime(endpoint.url)
    yield client
    client.close()


def test_twenty_requests_at_once_load_the_model_once(model: Path, endpoint: LocalEndpoint) -> None:
    def ask(number: int) -> str:
        _, _, answer = http(f"{endpoint.url}/invocations", str(number).encode(), content_type="text/csv")
        return json.loads(answer)["text"]

    with ThreadPoolExecutor(20) as pool:
        assert list(pool.map(ask, range(20))) == [str(n) for n in range(20)]
    assert (model / "loads").read_text() == "x"


def test_ping_is_empty(endpoint: LocalEndpoint) -> None:
    status, _, body = http(f"{endpoint.url}/ping")
    assert (status, body) == (200, b"")


@pytest.mark.parametrize(
    ("content_type", "body_type"),
    [
        ("text/csv", "str"),
        ("application/json", "str"),
        ("text/csv; charset=utf-8", "bytes"),
        ("application/jsonlines", "bytes"),
        ("application/x-npy", "bytes"),
    ],
)
def test_only_the_exact_text_types_arrive_as_str(
    endpoint: LocalEndpoint, client: Any, content_type: str, body_type: str
) -> None:
    _, _, direct = http(f"{endpoint.url}/invocations", "é".encode(), content_type=content_type)
    through_aws = client.invoke_endpoint(EndpointName="sentinel", Body="é".encode(), ContentType=content_type)
    for answer in (json.loads(direct), json.loads(through_aws["Body"].read())):
        assert (answer["body_type"], answer["content_type"]) == (body_type, content_type)
        assert answer["length"] == (1 if body_type == "str" else 2)


def test_what_is_not_utf8_reaches_the_program_as_the_container_gives_it(endpoint: LocalEndpoint) -> None:
    status, _, answer = http(f"{endpoint.url}/invocations", b"a\xffb", content_type="text/csv")
    assert (status, json.loads(answer)["text"]) == (200, "a\ufffdb")


def test_no_content_type_and_no_accept_mean_json(client: Any) -> None:
    response = client.invoke_endpoint(EndpointName="sentinel", Body=b"{}")
    answer = json.loads(response["Body"].read())
    assert (answer["content_type"], answer["body_type"]) == ("application/json", "str")
    assert answer["accept"] == "application/json"
    assert response["ContentType"] == "application/json"
    assert response["InvokedProductionVariant"] == "AllTraffic"


@pytest.mark.parametrize(
    ("accept", "seen"), [("*/*", "application/json"), ("text/csv;output=scores", "text/csv;output=scores")]
)
def test_accept_reaches_the_program(client: Any, accept: str, seen: str) -> None:
    response = client.invoke_endpoint(EndpointName="sentinel", Body=b"{}", Accept=accept)
    assert json.loads(response["Body"].read())["accept"] == seen


def test_a_bare_string_is_html_and_an_exception_an_html_500(endpoint: LocalEndpoint, model: Path) -> None:
    assert http(f"{endpoint.url}/invocations", b"bare") == (200, "text/html; charset=utf-8", b"bare")
    status, content_type, body = http(f"{endpoint.url}/invocations", b"raise", content_type="text/csv")
    assert (status, content_type.split(";")[0]) == (500, "text/html")
    assert b"Internal Server Error" in body
    log = (model.parent / "endpoint.log").read_text()
    assert "ValueError: a row is broken" in log
    assert "loading the model" in log


def test_execution_parameters_are_there_only_where_the_program_has_them(
    endpoint: LocalEndpoint, tmp_path: Path
) -> None:
    assert http(f"{endpoint.url}/execution-parameters")[0] == 404
    program = (
        "def model_fn(d): return 'm'\n"
        "def transform_fn(model, body, content_type, accept): return model + body, accept\n"
        "def execution_parameters_fn(): return {'MaxPayloadInMB': 6}\n"
    )
    with LocalEndpoint(write_model(tmp_path / "m", program)) as other:
        assert json.loads(http(f"{other.url}/execution-parameters")[2]) == {"MaxPayloadInMB": 6}
        _, content_type, body = http(f"{other.url}/invocations", b"b", content_type="text/csv", accept="text/x")
        assert (content_type.split(";")[0], body) == ("text/x", b"mb")


def test_custom_attributes_reach_the_program_and_come_back(client: Any) -> None:
    response = client.invoke_endpoint(EndpointName="sentinel", Body=b"{}", CustomAttributes="trace=7")
    assert response["CustomAttributes"] == "trace=7"
    assert json.loads(response["Body"].read())["attributes"] == "trace=7"
    own = client.invoke_endpoint(
        EndpointName="sentinel", Body=b"own attributes", ContentType="text/csv", CustomAttributes="trace=7"
    )
    assert own["CustomAttributes"] == "of the model"


def test_an_unknown_endpoint_is_a_validation_error(client: Any) -> None:
    with pytest.raises(client.exceptions.ValidationError, match=r"Endpoint other of account \d+ not found") as caught:
        client.invoke_endpoint(EndpointName="other", Body=b"{}")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_the_serverless_limit_is_four_mebibytes(client: Any) -> None:
    limit = 4 * 1024 * 1024
    response = client.invoke_endpoint(EndpointName="sentinel", Body=b"1" * limit, ContentType="text/csv")
    assert json.loads(response["Body"].read())["length"] == limit
    with pytest.raises(client.exceptions.ValidationError, match="oversize body"):
        client.invoke_endpoint(EndpointName="sentinel", Body=b"1" * (limit + 1), ContentType="text/csv")


def test_the_real_time_limit_is_a_413(model: Path) -> None:
    with LocalEndpoint(model, endpoint_name="real-time", body_limit_mb=6) as endpoint:
        client = runtime(endpoint.url)
        client.invoke_endpoint(EndpointName="real-time", Body=b"1" * 6291456)
        with pytest.raises(ClientError, match="content length exceeded 6291456 bytes") as caught:
            client.invoke_endpoint(EndpointName="real-time", Body=b"1" * 20_000_000)
        client.close()
    assert caught.value.response["Error"]["Code"] == "413"


@pytest.mark.parametrize(
    ("body", "status", "kind", "message"),
    [("refuse", 415, "client", '{"error": {"status": 415}}'), ("raise", 500, "server", "Internal Server Error")],
)
def test_the_containers_errors_are_model_errors(client: Any, body: str, status: int, kind: str, message: str) -> None:
    with pytest.raises(client.exceptions.ModelError) as caught:
        client.invoke_endpoint(EndpointName="sentinel", Body=body.encode(), ContentType="text/csv")
    response = caught.value.response
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["OriginalStatusCode"] == status
    assert message in response["OriginalMessage"]
    assert response["LogStreamArn"].endswith(":log-group:/aws/sagemaker/Endpoints/sentinel")
    assert f"Received {kind} error ({status}) from primary" in response["Error"]["Message"]
    assert response["Error"]["Code"] == "ModelError"


def start(model: Path, *arguments: str, **variables: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "egress_sentinel.serving.local_endpoint", "--model", str(model), "--port", "0"]
    return subprocess.Popen(
        [*command, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | variables,
    )


def test_a_model_that_takes_too_long_is_a_model_error_and_does_not_hold_the_process(model: Path) -> None:
    process = start(model, "--endpoint-name", "slow", "--model-timeout-seconds", "0.5")
    assert process.stdout is not None
    client = runtime(json.loads(process.stdout.readline())["url"])
    with pytest.raises(client.exceptions.ModelError, match="timed out") as caught:
        client.invoke_endpoint(EndpointName="slow", Body=b"slow", ContentType="text/csv")
    assert caught.value.response["OriginalStatusCode"] == 0
    client.close()
    process.terminate()
    process.communicate(timeout=5)
    assert process.returncode == 0


def test_a_model_that_does_not_load_fails_the_ping(tmp_path: Path) -> None:
    broken = PROGRAM.replace("time.sleep(0.2)", 'raise OSError("no forest")')
    with LocalEndpoint(write_model(tmp_path / "m", broken), log_file=tmp_path / "log") as endpoint:
        assert http(f"{endpoint.url}/ping")[0] == 500
        assert http(f"{endpoint.url}/ping")[0] == 500
    assert "OSError: no forest" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_artifacts_own_code_serves_and_a_signal_leaves_nothing(
    model: Path, tmp_path: Path, stop: signal.Signals
) -> None:
    tar = pack(model, tmp_path / "model.tar.gz")
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    process = start(tar, "--endpoint-name", "sentinel", TMPDIR=str(scratch))
    assert process.stdout is not None
    ready = json.loads(process.stdout.readline())
    answer = json.loads(http(f"{ready['url']}/invocations", b"x", content_type="text/csv")[2])
    assert ready["endpoint_name"] == "sentinel"
    assert Path(answer["file"]).is_relative_to(scratch)
    assert answer["model"] == "forest"
    assert answer["pandas"] is False
    process.send_signal(stop)
    rest, _ = process.communicate(timeout=10)
    assert (process.returncode, rest) == (0, b"")
    assert list(scratch.iterdir()) == []


def test_the_program_may_have_another_name(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "serve_it.py").write_text(PROGRAM)
    (tmp_path / "word").write_text("w")
    process = start(tmp_path, SAGEMAKER_PROGRAM="serve_it.py")
    assert process.stdout is not None
    assert http(json.loads(process.stdout.readline())["url"] + "/ping")[0] == 200
    process.terminate()
    process.communicate(timeout=10)


def outside_member(path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("../escaped")
        member.size = 1
        tar.addfile(member, io.BytesIO(b"x"))
    return path


def cut_short(path: Path) -> Path:
    pack(write_model(path.parent / "whole", PROGRAM + "# " + os.urandom(50_000).hex()), path)
    path.write_bytes(path.read_bytes()[:30_000])
    return path


def not_a_tar(path: Path) -> Path:
    path.write_text("hello")
    return path


def without_code(path: Path) -> Path:
    path.mkdir()
    return path


def lacking_a_function(path: Path) -> Path:
    return write_model(path, "def model_fn(d): return 1\n")


def failing_import(path: Path) -> Path:
    return write_model(path, "import no_such_module_anywhere\n")


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda path: path, "No such file"),
        (not_a_tar, "cannot read the model"),
        (cut_short, "cannot read the model"),
        (outside_member, "outside the destination"),
        (without_code, "must bring the code"),
        (lacking_a_function, "lacks input_fn, predict_fn, output_fn"),
        (failing_import, "cannot import anomaly_detection.inference_script"),
    ],
)
def test_a_model_that_cannot_be_served_is_one_sentence_and_status_2(make: Any, sentence: str, tmp_path: Path) -> None:
    process = start(make(tmp_path / "given"))
    output, errors = process.communicate(timeout=30)
    assert (process.returncode, output) == (2, b"")
    assert sentence in errors.decode().splitlines()[-1]
    assert not (tmp_path / "escaped").exists()


def test_the_context_manager_raises_the_reason_for_a_failed_start(tmp_path: Path) -> None:
    with (
        pytest.raises(LocalEndpointError, match=r"^cannot read the model .*absent\.tar\.gz: .*No such file"),
        LocalEndpoint(tmp_path / "absent.tar.gz"),
    ):
        pass


def test_the_error_when_the_process_dies_or_takes_too_long(tmp_path: Path) -> None:
    dies = write_model(tmp_path / "dies", "import os\nprint('out of luck', flush=True)\nos._exit(9)\n")
    with pytest.raises(LocalEndpointError, match=r"(?s)ended with status 9: .*out of luck"), LocalEndpoint(dies):
        pass
    waits = write_model(tmp_path / "waits", "import time\ntime.sleep(60)\n")
    with (
        pytest.raises(LocalEndpointError, match="not ready in time"),
        LocalEndpoint(waits, timeout_seconds=2),
    ):
        pass


def is_gone_within(url: str, *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            http(f"{url}/ping")
        except OSError:
            return True
        time.sleep(0.05)
    return False


def test_the_server_ends_when_its_owner_is_killed(model: Path) -> None:
    owner = (
        "import sys, time, pathlib; from egress_sentinel.serving.local_endpoint import LocalEndpoint\n"
        "with LocalEndpoint(pathlib.Path(sys.argv[1])) as e: print(e.url, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", owner, str(model)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        assert http(f"{url}/ping")[0] == 200
        process.kill()
    assert is_gone_within(url, seconds=10)


def test_the_aws_cli_invokes_it(endpoint: LocalEndpoint, tmp_path: Path) -> None:
    answer = tmp_path / "answer.json"
    (tmp_path / "body.csv").write_text("1,2")
    command = [required_program("aws"), "sagemaker-runtime", "invoke-endpoint", "--endpoint-url", endpoint.url]
    command += ["--endpoint-name", "sentinel", "--body", f"fileb://{tmp_path}/body.csv", "--content-type", "text/csv"]
    credentials = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run([*command, str(answer)], env=os.environ | credentials, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["InvokedProductionVariant"] == "AllTraffic"
    assert json.loads(answer.read_text())["text"] == "1,2"
