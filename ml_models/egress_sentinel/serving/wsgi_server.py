"""The waitress server of the local endpoint, with limits on request bodies and on idle connections.

Waitress reads a whole request before a worker thread handles it, so a client that stops in the middle of a body blocks
no thread. By default, waitress responds to a body that is too long while the client is still sending, and many clients
then see a reset connection instead of the response. Here, the rest of such a body is read and discarded, and the
application responds.
"""

from __future__ import annotations

import logging
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

import waitress
from waitress.buffers import OverflowableBuffer
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.utilities import BadRequest

if TYPE_CHECKING:
    from collections.abc import Callable

    from waitress.adjustments import Adjustments
    from waitress.server import BaseWSGIServer

IDLE_SECONDS = 60
_MEBIBYTE = 1024 * 1024
# Up to this much of a body beyond the limit is discarded. After that, the connection is closed.
_DROPPED_BYTES = 64 * _MEBIBYTE
# Larger bodies are written to a temporary file.
_SPOOLED_BYTES = 8 * _MEBIBYTE
_FRAMING_BYTES = 64 * 1024
_WORKER_THREADS = 16
_CONNECTIONS = 500


def create_server(
    app: Any, host: str, port: int, *, body_limit: Callable[[str], int], idle_seconds: int = IDLE_SECONDS
) -> BaseWSGIServer:
    """Bind a server. Its `run` serves until KeyboardInterrupt.

    Parameters
    ----------
    app : WSGI application
        Receives complete bodies up to the limit. For a longer body, it receives only a Content-Length above the limit.
    host : str
    port : int
        0 selects a free port. `effective_port` is the port in use.
    body_limit : callable
        Returns the limit on the body of a path in bytes.
    idle_seconds : int
        A connection without traffic and without a running request is closed after this time.

    Raises
    ------
    OSError
        The port cannot be bound.
    """
    # Do not warn about requests that wait for a worker thread.
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)
    server: BaseWSGIServer = waitress.create_server(
        app,
        host=host,
        port=port,
        threads=_WORKER_THREADS,
        connection_limit=_CONNECTIONS,
        asyncore_use_poll=True,
        recv_bytes=_FRAMING_BYTES,
        channel_timeout=idle_seconds,
        cleanup_interval=1,
        # Waitress's limits are disabled. Bodies are limited below, and no worker thread waits until a client has read
        # its response, which is in a temporary file if it is larger than 1 MiB.
        max_request_body_size=1 << 62,
        outbuf_high_watermark=1 << 62,
        ident=None,
    )
    server.channel_class = _channel_class(body_limit)
    return server


def _channel_class(body_limit: Callable[[str], int]) -> type[HTTPChannel]:
    class Channel(HTTPChannel):  # type: ignore[misc] # waitress has no types
        parser_class = staticmethod(partial(_Parser, body_limit))

    return Channel


class _Parser(HTTPRequestParser):  # type: ignore[misc] # waitress has no types
    """Reads one request, keeps its body up to the path's limit, and discards the rest."""

    def __init__(self, body_limit: Callable[[str], int], adjustments: Adjustments) -> None:
        super().__init__(adjustments)
        self._body_limit = body_limit
        self._body: _Body | None = None
        self.completed: bool = False

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if self.body_rcv is not None:
            limit = self._body_limit(self.path)
            self._body = _Body(limit if self.content_length <= limit else 0)
            self.body_rcv.buf = self._body

    def received(self, data: bytes) -> int:
        consumed: int = super().received(data)
        if self._body is not None and not self.completed:
            if self._body.dropped_bytes > _DROPPED_BYTES:
                self._cut()
            elif self._framing_bytes() > _FRAMING_BYTES:
                self.error = BadRequest("A chunk's size line or the trailer is too long")
                self.completed = True
        return consumed

    def _cut(self) -> None:
        """Stop reading. The application responds, and then the connection is closed."""
        if self._body is not None and self.chunked:
            self.headers["CONTENT_LENGTH"] = str(len(self._body))
        self.headers["CONNECTION"] = "close"
        self.completed = True

    def _framing_bytes(self) -> int:
        receiver: Any = self.body_rcv
        return len(receiver.control_line) + len(receiver.trailer) if self.chunked else 0


class _Body:
    """The buffer of a request's body. It counts all bytes, and keeps them up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = OverflowableBuffer(_SPOOLED_BYTES)
        self._length = 0
        self.dropped_bytes = 0

    def __len__(self) -> int:
        return self._length

    def append(self, data: bytes) -> None:
        self._length += len(data)
        if self._length <= self._limit:
            self._kept.append(data)
            return
        if not self.dropped_bytes:
            self._kept.close()
        self.dropped_bytes += len(data)

    def getfile(self) -> BinaryIO:
        kept: BinaryIO = BytesIO() if self.dropped_bytes else self._kept.getfile()
        return kept

    def close(self) -> None:
        self._kept.close()
