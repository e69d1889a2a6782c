"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from egress_alerts.printable import printable
from egress_alerts.series import SUMMED
from egress_sentinel.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PIPED_WIDTH = 160


def _console(*, stderr: bool = False) -> Console:
    """Return the console: on stdout as wide as the terminal, or 160 characters into a pipe or file."""
    piped = not stderr and not sys.stdout.isatty()
    return Console(stderr=stderr, highlight=False, width=_PIPED_WIDTH if piped else None)


def columns_of_stdout() -> int:
    """Return how many characters fit on a line of stdout."""
    return _console().width


def reporter() -> Reporter:
    """Return what shows the progress of long steps, on stderr."""
    return Reporter(_console(stderr=True))


def say(sentence: str) -> None:
    """Print a sentence on stderr, in one line."""
    _console(stderr=True).print(_harmless(sentence), markup=False, soft_wrap=True)


def print_json(value: Any) -> None:
    """Print a result as JSON."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_line(sentence: str) -> None:
    """Print a sentence that belongs to a result, wrapped like its table."""
    _console().print(_harmless(sentence), markup=False)


def print_table(columns: Sequence[str | Column], rows: Iterable[Sequence[str | Text]], **options: Any) -> None:
    """Print a table on stdout.

    Parameters
    ----------
    columns : sequence of str or rich.table.Column
    rows : iterable of sequences of str or rich.text.Text
        A str is printed as it is, whatever brackets it has; a Text brings its style. Control characters but line
        breaks are replaced.
    **options : Any
        Of `rich.table.Table`.
    """
    table = Table(*columns, **options)
    for row in rows:
        table.add_row(*map(_cell, row))
    _console().print(table)


def _cell(cell: str | Text) -> Text:
    if isinstance(cell, str):
        return Text(_harmless(cell))
    cell.plain = _harmless(cell.plain)
    return cell


def _harmless(text: str) -> str:
    """Return a text whose control characters, which may come from a bill, do not reach the terminal."""
    return "\n".join(map(printable, text.split("\n")))


def right(header: str, *, no_wrap: bool = False) -> Column:
    """Return a column of numbers."""
    return Column(header, justify="right", no_wrap=no_wrap)


def minute(timestamp: str) -> str:
    """Return an ISO timestamp without its seconds and zone, as tables show it."""
    return timestamp[:16].replace("T", " ")


def resource_name(resource_id: str) -> str:
    """Return the end of an ARN, which identifies the resource."""
    return "all resources" if resource_id == SUMMED else resource_id.rpartition(":")[2] or "no resource in the bill"
