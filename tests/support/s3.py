"""An S3 on this machine that refuses, breaks off and stalls as a test asks; it looks at no signature."""

import contextlib
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

MODIFIED = 1_790_000_000


@dataclass
class FakeS3:
    """One bucket, whatever its name."""

    objects: dict[str, bytes]
    # HTTP status, code, message, header: the answer to every listing, to every GetObject.
    list_error: tuple[int, str, str, dict[str, str]] | None = None
    get_error: tuple[int, str, str, dict[str, str]] | None = None
    # So often; later requests succeed.
    errors: int = 1_000
    # Wrong sizes of objects in the listing.
    sizes: dict[str, int] = field(default_factory=dict)
    # GetObject answers only so many bytes and hangs up, this many times.
    cut_at: int = 0
    cuts: int = 0
    # GetObject sends half of the object, signals that, and then sends no more.
    stalls: bool = False
    stalled: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)
    ranges: list[str] = field(default_factory=list)
    url: str = ""

    def environment(self, temporary: Path) -> dict[str, str]:
        """Return the variables of a process that uses this S3 alone."""
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "secret",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
            "TMPDIR": str(temporary),
        }


def _etag(body: bytes) -> str:
    return sha256(body).hexdigest()[:32]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, fake: FakeS3) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.fake = fake


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = parse_qs(address.query)
        if "list-type" in query:
            self._answer_list(query.get("prefix", [""])[0])
        else:
            self._answer_object(unquote(address.path).split("/", 2)[2])

    def do_HEAD(self) -> None:
        self._send(404, b"", {})

    def _answer_list(self, prefix: str) -> None:
        fake = self.server.fake
        if fake.list_error and fake.errors:
            fake.errors -= 1
            self._refuse(*fake.list_error)
            return
        sizes = {key: len(body) for key, body in sorted(fake.objects.items()) if key.startswith(prefix)} | fake.sizes
        entries = "".join(
            f"<Contents><Key>{quote(key)}</Key><LastModified>2026-09-21T14:13:20.000Z</LastModified>"
            f"<ETag>&quot;{_etag(fake.objects[key])}&quot;</ETag><Size>{size}</Size></Contents>"
            for key, size in sizes.items()
        )
        text = f"<ListBucketResult><EncodingType>url</EncodingType>{entries}</ListBucketResult>"
        self._send(200, text.encode(), {})

    def _answer_object(self, key: str) -> None:
        if self.server.fake.get_error:
            self._refuse(*self.server.fake.get_error)
            return
        body = self.server.fake.objects[key]
        if self.headers["If-Match"] not in (None, f'"{_etag(body)}"'):
            self._refuse(412, "PreconditionFailed", "It has changed.", {})
            return
        wanted = self.headers.get("Range", "")
        self.server.fake.ranges.append(wanted)
        start = int(re.findall(r"bytes=(\d+)-", wanted)[0]) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("Last-Modified", formatdate(MODIFIED, usegmt=True))
        self.end_headers()
        if self.server.fake.stalls:
            self.wfile.write(body[: len(body) // 2])
            self.wfile.flush()
            self.server.fake.stalled.set()
            self.server.fake.ended.wait(30)
            return
        if self.server.fake.cuts:
            self.server.fake.cuts -= 1
            self.wfile.write(body[start : start + self.server.fake.cut_at])
            self.close_connection = True
            return
        self.wfile.write(body[start:])

    def _refuse(self, status: int, code: str, message: str, headers: dict[str, str]) -> None:
        self._send(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode(), headers)

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body)), "Content-Type": "application/xml"} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def fake_s3(objects: dict[str, bytes]) -> Iterator[FakeS3]:
    fake = FakeS3(objects)
    server = _Server(fake)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        fake.ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
