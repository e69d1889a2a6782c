"""Shows the progress of a long job on stderr, so that stdout has only results."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from egress_alerts.printable import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import Console


# What a step with a progress bar takes one after the other.
_UNITS = {"score": "day", "drift": "day", "replay": "delivery", "search": "forest", "batch": "file", "upload": "day"}


class Reporter:
    """Prints one line for each finished step and, on a terminal, a live line for the current step.

    Parameters
    ----------
    console : rich.console.Console
        The output. The command line uses stderr.

    Attributes
    ----------
    shown : callable
        Converts each note to the printed text. By default, notes are printed unchanged.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.shown: Callable[[str], str] = str

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Run a named step. Its line, with its duration, is printed when the step has succeeded."""
        started = time.monotonic()
        title = _harmless(title)
        with self.console.status(f"{title} ...") as status:
            step = Step(title, lambda text: status.update(f"{title}: {_harmless(text)} ..."))
            yield step
        seconds = time.monotonic() - started
        result = f"  {_harmless(step.result)}" if step.result else ""
        self.console.print(f"[green]✓[/] {title:<10}{result}  [dim]({seconds:.1f} s)[/]", highlight=False)

    def track(self, title: str, items: list[str]) -> Iterable[str]:
        """Iterate over items with a progress bar, such as "score: day 3 of 14 (2026-10-19)"."""
        unit = _UNITS.get(title, "step")
        columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self.console, transient=True) as progress:
            task = progress.add_task("", total=len(items))
            for number, item in enumerate(items, 1):
                text = f"{title}: {unit} {number} of {len(items)} ({item})"
                progress.update(task, description=_harmless(text))
                yield item
                progress.advance(task)

    def note(self, sentence: str) -> None:
        """Print a sentence for the user, such as which lines were left out."""
        self.console.print(f"[yellow]note[/] {_harmless(self.shown(sentence))}", highlight=False)


def _harmless(text: str) -> str:
    """Remove markup and control characters from a text, which may come from a bill or a file's name."""
    return escape("\n".join(map(printable, text.split("\n"))))


class Step:
    """One named step. Set `result` to the text of the finished line, and call `update` to report progress."""

    def __init__(self, title: str, update: Callable[[str], None]) -> None:
        self.title = title
        self.result = ""
        self.update = update
