"""Runs servers of this package as child processes, which always end with this process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from types import FrameType

LOOPBACK = "127.0.0.1"
STOP_WITH_STDIN = "--stop-with-stdin"
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_STOP_SECONDS = 10.0
_TAIL_BYTES = 2000


class ServerStartError(Exception):
    """The server did not become ready.

    Attributes
    ----------
    status : int or None
        Its exit status. None if it took too long and was stopped.
    log_tail : str
        The end of its stderr.
    """

    def __init__(self, status: int | None, log_tail: str) -> None:
        ending = "was not ready in time" if status is None else f"ended with status {status}"
        super().__init__(f"{ending}: {log_tail or 'it wrote nothing to stderr'}")
        self.status = status
        self.log_tail = log_tail


class ServerProcess:
    """A process `python -m MODULE` that prints one line of JSON when it is ready.

    Parameters
    ----------
    module : str
        The module to run. It must support `--stop-with-stdin`, with which it ends when this process ends.
    arguments : sequence of str
        Its command line.
    log_file : Path, optional
        The file for its stderr. By default a temporary file that error messages quote.
    environment : mapping of str to str, optional
        Variables to add to this process's environment.
    """

    def __init__(
        self,
        module: str,
        arguments: Sequence[str],
        *,
        log_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = dict(environment or {})
        self._command = [sys.executable, "-P", "-m", module, *arguments, STOP_WITH_STDIN]
        self._log_file = log_file
        self._log: BinaryIO | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, timeout_seconds: float) -> dict[str, Any]:
        """Start the process and return its ready line.

        Raises
        ------
        ServerStartError
            The process ended, or was not ready in time.
        """
        self._log = tempfile.TemporaryFile() if self._log_file is None else self._log_file.open("w+b")  # noqa: SIM115
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=os.environ | self._environment,
        )
        line, in_time = _first_line(self._process, timeout_seconds)
        if not line:
            error = self._start_error(self._process, in_time=in_time)
            self.stop()
            raise error
        ready: dict[str, Any] = json.loads(line)
        return ready

    def _start_error(self, process: subprocess.Popen[bytes], *, in_time: bool) -> ServerStartError:
        try:
            status = process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        return ServerStartError(status if in_time else None, self.log_tail())

    def log_tail(self) -> str:
        """Return the end of its stderr."""
        if self._log is None:
            return ""
        size = self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, size - _TAIL_BYTES))
        return self._log.read().decode(errors="replace").strip()

    def stop(self) -> None:
        """Stop the process with SIGTERM, and after 10 s with SIGKILL. Does nothing if it is not running."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()
            self._process = None
        if self._log is not None:
            self._log.close()
            self._log = None


def _first_line(process: subprocess.Popen[bytes], timeout_seconds: float) -> tuple[bytes, bool]:
    """Return the first line of stdout ("" if the process ends before) and whether it came in time. If not, stop it."""
    late = threading.Event()

    def cut_off() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(timeout_seconds, cut_off)
    timer.start()
    try:
        line: bytes = process.stdout.readline() if process.stdout else b""
    finally:
        timer.cancel()
    return line, not late.is_set()


def announce(**ready: str) -> None:
    """Print the ready line, then send all later prints of this process to stderr."""
    print(json.dumps(ready), flush=True)
    sys.stdout = sys.stderr


def stop_on_signals(*, with_stdin: bool) -> None:
    """Make SIGTERM and SIGHUP raise KeyboardInterrupt, as SIGINT does. With `with_stdin`, so does the end of stdin."""
    for number in _STOP_SIGNALS:
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores it
            signal.signal(number, _stop)
    if with_stdin:
        threading.Thread(target=_terminate_at_end_of_stdin, daemon=True).start()


def _stop(_signal_number: int, _frame: FrameType | None) -> None:
    # Ctrl-C reaches the whole group, and then the parent sends SIGTERM. The second signal must not stop the clean-up.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _terminate_at_end_of_stdin() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
