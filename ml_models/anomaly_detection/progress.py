"""What a long training says while it works, on stderr, where SageMaker's log shows it."""

from __future__ import annotations

import sys
import time

SECONDS = 5.0


class Progress:
    """Prints a line every few seconds; a short job prints none.

    Parameters
    ----------
    verb : str
        What happens to the rows, in the past tense.
    total : int
        Rows.
    """

    def __init__(self, verb: str, total: int) -> None:
        self._verb = verb
        self._total = total
        self._next = time.monotonic() + SECONDS

    def at(self, done: int) -> None:
        """Say how many rows are done, if it is time to."""
        now = time.monotonic()
        if now >= self._next:
            self._next = now + SECONDS
            share = 100 * done // self._total
            print(f"{self._verb} {done:,} of {self._total:,} rows ({share} %)", file=sys.stderr, flush=True)
