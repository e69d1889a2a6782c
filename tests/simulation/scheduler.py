"""One scheduler for everything that happens in a world, in virtual time and by a seed.

Each invocation is a thread that holds the baton alone: it runs until its next AWS call, gives the baton back and is
resumed at the time of the scheduler's clock. The order of the threads depends only on the seed.
"""

import contextlib
import heapq
import itertools
import random
import threading
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import ConnectionClosedError

from tests.simulation.aws import Killed, client_error

Result = TypeVar("Result")
LAMBDA_TIMEOUT_SECONDS = 900
# Between two attempts of an event whose invocation failed.
RETRY_SECONDS = (60, 120)


class Faults:
    """The probability of each fault of a call. `pause` is a long wait before it."""

    def __init__(self, **rates: float) -> None:
        self.kill_before = rates.get("kill_before", 0.0)
        self.kill_after = rates.get("kill_after", 0.0)
        self.lost = rates.get("lost", 0.0)
        self.reset = rates.get("reset", 0.0)
        self.refused = rates.get("refused", 0.0)
        self.pause = rates.get("pause", 0.0)


class Invocation:
    """One attempt of a function, in a separate thread that runs only when it is resumed."""

    def __init__(self, name: str, work: Callable[["Invocation"], Any], skew: float) -> None:
        self.name = name
        self.skew = skew
        self.started = 0.0
        self.error: BaseException | None = None
        self.is_over = False
        self.calls = 0
        self._work = work
        # Held: released by the other side to hand the baton over.
        self._go, self._back = threading.Lock(), threading.Lock()
        self._go.acquire()
        self._back.acquire()
        self._thread = threading.Thread(target=self._main, daemon=True)

    def resume(self) -> None:
        """Hand the baton over, and wait until it comes back."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._go.release()
        self._back.acquire()
        if self.is_over:
            self._thread.join()

    def give_back(self) -> None:
        """Give the baton back until the next `resume`; for the invocation's own thread."""
        self._back.release()
        self._go.acquire()

    def _main(self) -> None:
        try:
            self._work(self)
        except (Exception, Killed) as error:
            self.error = error
        self.is_over = True
        self._back.release()


class Scheduler:
    """Virtual time, and the agenda of events."""

    def __init__(self, seed: int, now: float) -> None:
        self.random = random.Random(seed)
        self.now = now
        self.faults = Faults()
        self.log: list[str] = []
        self.fault_counts: dict[str, int] = {}
        self.faulted: set[str] = set()
        self.calls = 0
        self.current: Invocation | None = None
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Do something at a moment."""
        heapq.heappush(self._agenda, (moment, next(self._numbers), action))

    def run(self) -> None:
        """Let everything happen that is on the agenda, and what follows from it."""
        while self._agenda:
            moment, _, action = heapq.heappop(self._agenda)
            self.now = max(self.now, moment)
            action()

    def start(self, invocation: Invocation, when_over: Callable[[Invocation], None]) -> None:
        """Start an invocation now."""
        invocation.started = self.now
        self._resume(invocation, when_over)

    def _resume(self, invocation: Invocation, when_over: Callable[[Invocation], None]) -> None:
        self.current, self._when_over = invocation, when_over
        invocation.resume()
        self.current = None
        if invocation.is_over:
            self.note(f"{invocation.name} is over: {invocation.error!r}")
            when_over(invocation)

    def wait(self, seconds: float) -> None:
        """Let the current invocation wait while others run."""
        invocation, when_over = self.current, self._when_over
        assert invocation is not None
        self.at(self.now + seconds, lambda: self._resume(invocation, when_over))
        invocation.give_back()
        if self.now - invocation.started > LAMBDA_TIMEOUT_SECONDS:
            self._count("timeout", invocation, "")
            raise Killed

    # The network of `aws`.

    def clock(self) -> float:
        """Return AWS's own second of the epoch."""
        return self.now

    def index_lag(self) -> float:
        """Return by how much an index lags: mostly little."""
        return self.random.choice((0.0, 0.1, 0.5, 3.0))

    def skewed_clock(self) -> float:
        """Return the second of the epoch as the current invocation's machine has it."""
        return self.now + (self.current.skew if self.current else 0.0)

    def call(self, name: str, perform: Callable[[], Result]) -> Result:
        """Perform a call of the current invocation after a while, or let something go wrong with it."""
        invocation, faults = self.current, self.faults
        if invocation is None:
            return perform()
        invocation.calls += 1
        self.calls += 1
        seconds = self.random.expovariate(1 / 0.03)
        if self._happens(faults.pause):
            seconds += self.random.choice((0.3, 0.3, 1, 10, 70))
        self.wait(seconds)
        self.note(f"{invocation.name} {name}")
        if self._happens(faults.kill_before):
            self._count("kill", invocation, f"before {name}")
            raise Killed
        if self._happens(faults.refused):
            self._count("refused", invocation, name)
            raise client_error("ThrottlingException", name, 400)
        if self._happens(faults.lost):
            self._count("lost reply", invocation, name)
            self._try(perform)
            # botocore's own retry
            self.wait(0.1)
            return perform()
        if self._happens(faults.reset):
            self._count("reset", invocation, name)
            self._try(perform)
            raise ConnectionClosedError(endpoint_url=name)
        result = perform()
        if self._happens(faults.kill_after):
            self._count("kill", invocation, f"after {name}")
            raise Killed
        return result

    def _happens(self, probability: float) -> bool:
        return self.random.random() < probability

    @staticmethod
    def _try(perform: Callable[[], Any]) -> None:
        # Its reply is lost, an error's too.
        with contextlib.suppress(Exception):
            perform()

    def _count(self, kind: str, invocation: Invocation, text: str) -> None:
        self.fault_counts[kind] = self.fault_counts.get(kind, 0) + 1
        if kind != "lost reply":  # which the client makes good by itself
            self.faulted.add(invocation.name)
        self.note(f"{invocation.name} {kind} {text}")

    def note(self, text: str) -> None:
        """Add a line to the world's log."""
        self.log.append(f"{self.now:15.3f} {text}")
