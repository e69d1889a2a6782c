"""What commands print: results on stdout, everything else on stderr."""

from __future__ import annotations

import json
import sys
import textwrap
from typing import TYPE_CHECKING, Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from egress_alerts.printable import printable
from egress_alerts.series import SUMMED
from egress_sentinel.progress import Reporter

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_PIPED_WIDTH = 160
# On narrower terminals a table that does not fit is printed as blocks.
_TABLE_WIDTH = 120


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
    """Print sentences that belong to a result, a line each; one that is too long hangs below its start."""
    console = _console()
    for line in _harmless(sentence).split("\n"):
        console.print("\n".join(_wrapped(line, console.width)), markup=False, soft_wrap=True)


def print_table(columns: Sequence[str | Column], rows: Iterable[Sequence[str | Text]], **options: Any) -> None:
    """Print a table on stdout, or a block for each row where the terminal is too narrow for the table.

    Parameters
    ----------
    columns : sequence of str or rich.table.Column
    rows : iterable of sequences of str or rich.text.Text
        A str is printed as it is, whatever brackets it has; a Text brings its style. Control characters but line
        breaks are replaced.
    **options : Any
        Of `rich.table.Table`.
    """
    console = _console()
    table = Table(*columns, **options)
    cells = [[_cell(cell) for cell in row] for row in rows]
    if console.width < min(_TABLE_WIDTH, _least_width(table, cells)):
        headers = [str(column.header) for column in table.columns]
        blocks = ["\n".join(_block(headers, row)) for row in cells]
        print_line("\n\n".join(str(text) for text in (table.title, *blocks, table.caption) if text))
        return
    for row in cells:
        table.add_row(*row)
    console.print(table)


def _least_width(table: Table, rows: Sequence[Sequence[Text]]) -> int:
    """Return the width below which a table breaks words, or hides what must not wrap."""
    widths = []
    for number, column in enumerate(table.columns):
        texts = [str(column.header), *(row[number].plain for row in rows)]
        parts = (part for text in texts for part in (text.split("\n") if column.no_wrap else text.split()))
        widths.append(column.min_width or max(map(cell_len, parts), default=0))
    # Each column has a border and a space on both sides.
    return sum(widths) + 3 * len(widths) + 1


def _block(headers: Sequence[str], row: Sequence[Text]) -> list[str]:
    """Return a row as lines; a header of two lines has a cell of two lines, or one for both."""
    lines: list[str] = []
    for header, cell in zip(headers, row, strict=True):
        names, values = header.split("\n"), cell.plain.split("\n")
        if len(names) != len(values):
            names, values = [" ".join(names)], [", ".join(values)]
        lines += [f"{name}: {value}" if name else value for name, value in zip(names, values, strict=True)]
    first, *others = lines
    return [first, *(f"  {line}" for line in others)]


def _wrapped(line: str, width: int) -> list[str]:
    indent = line[: len(line) - len(line.lstrip(" "))]
    hanging = f"{indent}  " if indent or line.startswith("- ") else ""
    return textwrap.wrap(line, width, subsequent_indent=hanging, break_on_hyphens=False, drop_whitespace=True) or [""]


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
