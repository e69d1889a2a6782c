"""Functions stopped at one chosen call: killed there, robbed of the reply, or overtaken by another invocation."""

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import ConnectionClosedError

from tests.simulation.aws import Direct, Killed, client_error
from tests.simulation.scheduler import Invocation

Result = TypeVar("Result")
# The faults of a call: the process dies before or after it, its reply is lost and the client calls again, its reply is
# lost and the client gives up, or AWS refuses it.
FAULTS = ("kill before", "kill after", "lost reply", "reset", "refused")


class Stepping(Direct):
    """A network with one fault, at the call of a number; or one in which each call waits to be let through."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.fault_at = -1
        self.fault = ""
        self.running: Invocation | None = None

    def call(self, name: str, perform: Callable[[], Result]) -> Result:
        if self.running is not None:
            self.running.give_back()
        number = len(self.names)
        self.names.append(name)
        self.now += 0.01
        if number != self.fault_at:
            return perform()
        if self.fault == "kill before":
            raise Killed
        if self.fault == "refused":
            raise client_error("ThrottlingException", name)
        self._try(perform)
        if self.fault == "kill after":
            raise Killed
        if self.fault == "reset":
            raise ConnectionClosedError(endpoint_url=name)
        return perform()

    @staticmethod
    def _try(perform: Callable[[], Any]) -> None:
        # Its reply is lost, an error's too.
        with contextlib.suppress(Exception):
            perform()

    def wait(self, seconds: float) -> None:
        """Wait, as a function between two attempts does."""
        self.now += seconds
        if self.running is not None:
            self.running.give_back()

    def skewed_clock(self) -> float:
        """Return the machine's second of the epoch."""
        return self.now

    def attempt(self, work: Callable[[], Any], fault_at: int = -1, fault: str = "") -> bool:
        """Run a function and return whether it succeeded. `names` then has its calls."""
        self.names, self.fault_at, self.fault = [], fault_at, fault
        try:
            work()
        except (Killed, Exception):
            return False
        finally:
            self.fault_at = -1
        return True

    def start(self, work: Callable[[], Any]) -> Invocation:
        """Return an invocation that `step` lets go from call to call."""
        return Invocation("", lambda _: work(), 0.0)

    def step(self, invocation: Invocation, calls: int = 1_000_000) -> None:
        """Let an invocation make calls, by default all the rest of them."""
        while calls and not invocation.is_over:
            self.running = invocation
            invocation.resume()
            self.running = None
            calls -= 1
        if invocation.is_over and invocation.error is not None:
            raise invocation.error
