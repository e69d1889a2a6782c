"""The endpoint's server against clients that send too much, too little, or nothing: raw sockets, one process."""

import contextlib
import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

MEBIBYTE = 1024 * 1024
PROGRAM = """
import time

def model_fn(model_dir):
    return None

def transform_fn(model, body, content_type, accept):
    if body == "slow":
        time.sleep(3)
    return str(len(body)), "text/plain"
"""
CONTAINER, RUNTIME = "/invocations", "/endpoints/sentinel/invocations"


class Server(NamedTuple):
    url: str
    pid: int

    def peak_bytes(self) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) * 1024

    def connect(self) -> socket.socket:
        address = urlsplit(self.url)
        return socket.create_connection((address.hostname, address.port), timeout=20)

    def ping(self) -> int:
        with urllib.request.urlopen(f"{self.url}/ping", timeout=10) as answer:
            return answer.status


def write_model(folder: Path) -> Path:
    package = folder / "code" / "anomaly_detection"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "inference_script.py").write_text(PROGRAM)
    return folder


@contextlib.contextmanager
def serve(folder: Path, *arguments: str) -> Iterator[Server]:
    command = [sys.executable, "-m", "egress_sentinel.serving.local_endpoint", "--model", str(write_model(folder))]
    command += ["--endpoint-name", "sentinel", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        yield Server(json.loads(process.stdout.readline())["url"], process.pid)
        process.terminate()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serve(tmp_path_factory.mktemp("serverless") / "model") as server:
        yield server


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("impatient") / "model"
    with serve(folder, "--idle-seconds", "1", "--body-limit-mb", "6") as server:
        yield server


def head(path: str, *headers: str) -> bytes:
    return "\r\n".join(
        [f"POST {path} HTTP/1.1", "Host: localhost", "Content-Type: text/csv", *headers, "", ""]
    ).encode()


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def answer_of(connection: socket.socket) -> tuple[int, bytes]:
    with connection.makefile("rb") as stream:
        status = int(stream.readline().split()[1])
        length = 0
        while line := stream.readline().strip():
            name, _, value = line.partition(b":")
            length = int(value) if name.lower() == b"content-length" else length
        return status, stream.read(length)


def send_chunked(server: Server, path: str, size: int) -> tuple[int, bytes]:
    with server.connect() as connection:
        connection.sendall(head(path, "Transfer-Encoding: chunked"))
        for start in range(0, size, MEBIBYTE):
            connection.sendall(chunk(b"1" * min(MEBIBYTE, size - start)))
        connection.sendall(b"0\r\n\r\n")
        return answer_of(connection)


@pytest.mark.parametrize("path", [CONTAINER, RUNTIME])
def test_an_endless_chunk_is_cut_off_and_not_kept(server: Server, path: str) -> None:
    server.ping()
    before, sent, piece = server.peak_bytes(), 0, b"1" * MEBIBYTE
    with server.connect() as connection, contextlib.suppress(ConnectionError):
        connection.sendall(head(path, "Transfer-Encoding: chunked") + b"ffffffffffff\r\n")
        while sent < 400 * MEBIBYTE:
            connection.sendall(piece)
            sent += MEBIBYTE
    assert sent < 400 * MEBIBYTE
    assert server.peak_bytes() - before < 32 * MEBIBYTE
    assert server.ping() == 200


@pytest.mark.parametrize("size", [4 * MEBIBYTE + 1, 20 * MEBIBYTE])
def test_a_chunked_body_above_the_serverless_limit_is_a_validation_error(server: Server, size: int) -> None:
    status, body = send_chunked(server, RUNTIME, size)
    assert status == 400
    assert json.loads(body)["message"].endswith("has oversize body.")


def test_a_chunked_body_above_the_real_time_limit_is_a_413(impatient: Server) -> None:
    status, body = send_chunked(impatient, RUNTIME, 6 * MEBIBYTE + 1)
    assert (status, body) == (413, b"HTTP content length exceeded 6291456 bytes.")


@pytest.mark.parametrize("path", [CONTAINER, RUNTIME])
def test_a_chunked_body_at_the_limit_arrives_whole(server: Server, path: str) -> None:
    assert send_chunked(server, path, 4 * MEBIBYTE) == (200, b"4194304")


def test_the_container_takes_a_batch_transforms_payload_and_no_more(server: Server) -> None:
    assert send_chunked(server, CONTAINER, 20 * MEBIBYTE) == (200, b"20971520")
    status, _ = send_chunked(server, CONTAINER, 100 * MEBIBYTE + 1)
    assert status == 413


def test_after_a_body_that_is_too_long_the_connection_serves_the_next_request(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head(RUNTIME, f"Content-Length: {5 * MEBIBYTE}") + b"1" * (5 * MEBIBYTE))
        assert answer_of(connection)[0] == 400
        connection.sendall(head(RUNTIME, "Content-Length: 3") + b"1,2")
        assert answer_of(connection) == (200, b"3")


def test_an_endless_chunk_size_line_is_a_bad_request(server: Server) -> None:
    with server.connect() as connection:
        connection.sendall(head(CONTAINER, "Transfer-Encoding: chunked") + b"1;" + b"x" * (100 * 1024))
        assert answer_of(connection)[0] == 400


def test_bodies_shorter_than_their_content_length_hold_no_thread_and_are_closed(impatient: Server) -> None:
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(impatient.connect()) for _ in range(40)]
        for connection in connections:
            connection.sendall(head(CONTAINER, "Content-Length: 1000") + b"1,2")
        assert impatient.ping() == 200
        assert [connection.recv(1) for connection in connections] == [b""] * 40


def test_a_connection_without_a_request_is_closed(impatient: Server) -> None:
    with impatient.connect() as connection:
        assert connection.recv(1) == b""


def test_a_request_that_is_being_answered_is_not_idle(impatient: Server) -> None:
    with impatient.connect() as connection:
        connection.sendall(head(CONTAINER, "Content-Length: 4") + b"slow")
        assert answer_of(connection) == (200, b"4")


def test_a_port_that_is_taken_is_one_sentence_and_status_2(server: Server, tmp_path: Path) -> None:
    port = str(urlsplit(server.url).port)
    command = [sys.executable, "-m", "egress_sentinel.cli", "serve", str(write_model(tmp_path / "m")), "--port", port]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use; give another --port" in done.stderr
