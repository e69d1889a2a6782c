"""A file's result: its name, and its lines joined to their scores, in order."""

from __future__ import annotations

import csv
import re
from itertools import chain
from typing import TYPE_CHECKING

from batch_scorer.table import DIGITS, ENDINGS, is_number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from batch_scorer.table import Table


_FORMULA_STARTS = "=+-@\t\r"
# In a whole line, of which most cells are numbers.
_FORMULA = re.compile(rf"(?:^|,)(?:[=@\t\r]|[+-](?!{DIGITS}(?:,|$)))")


class JoinError(RuntimeError):
    """The job wrote another number of scores than it was given lines."""


def output_name(key: str, input_prefix: str, time_utc: str) -> str:
    """Return FOLDER/TIMESTAMP-NAME.csv for a dropped file: another name for each file below the prefix.

    The ending of a file that is no CSV stays: `a.csv` gives `TIMESTAMP-a.csv`, `a.parquet` gives
    `TIMESTAMP-a.parquet.csv`. So does that of `a.parquet.csv`, which gives `TIMESTAMP-a.parquet.csv.csv`.
    """
    folder, slash, name = key.removeprefix(input_prefix).rpartition("/")
    is_plain = name.endswith(".csv") and not name.removesuffix(".csv").lower().endswith(ENDINGS)
    stamp = time_utc.replace("-", "").replace(":", "")
    return f"{folder}{slash}{stamp}-{name if is_plain else f'{name}.csv'}"


def join(table: Table, names: list[str] | None, answers: Iterable[Path], target: Path) -> int:
    """Write a CSV file with a header: the table's columns, then the scores'.

    A text that a spreadsheet would run as a formula gets an apostrophe in front, which the spreadsheet does not show.

    Parameters
    ----------
    table : Table
        What was scored; its columns of the scores' names are left out.
    names : list of str or None
        Of the columns of a table that has none: the model's, or None for column_1, column_2, ...
    answers : iterable of Path
        What the job wrote for each part, in order. A container that answers a header line does so once a request; these
        lines are no scores.
    target : Path
        Where it goes.

    Returns
    -------
    int
        Lines with scores.

    Raises
    ------
    JoinError
    """
    columns = table.names or names or [f"column_{place + 1}" for place in range(table.width)]
    score_names, scores = _scores(chain.from_iterable(map(_lines, answers)))
    kept = [place for place, name in enumerate(columns) if name not in score_names]
    rows = 0
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*(_harmless(columns[place]) for place in kept), *score_names])
        for line in table.lines:
            score = next(scores, None)
            if score is None:
                raise JoinError(f"the job wrote {rows} scores, fewer than there are lines")
            cells = [line.cells[place] for place in kept] + score
            text = ",".join(cells)
            if _FORMULA.search(text):
                cells = list(map(_harmless, cells))
                text = ",".join(cells)
            if _needs_no_quotes(text, len(cells)):
                file.write(f"{text}\n")
            else:
                writer.writerow(cells)
            rows += 1
    if next(scores, None) is not None:
        raise JoinError(f"the job wrote more scores than the {rows} lines that it was given")
    return rows


def _scores(lines: Iterator[list[str]]) -> tuple[list[str], Iterator[list[str]]]:
    """Tell the scores' names from the scores."""
    first = next(lines, [])
    if first and not any(is_number(cell) for cell in first):
        return first, (cells for cells in lines if cells != first)
    names = ["prediction", *(f"prediction_{place}" for place in range(2, len(first) + 1))]
    return names, chain([first] if first else [], lines)


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula."""
    return f"'{cell}" if cell[:1] in _FORMULA_STARTS and cell and not is_number(cell) else cell


def _needs_no_quotes(text: str, cells: int) -> bool:
    """Say whether joined cells are what `csv.writer` writes, only several times as fast."""
    return cells > 1 and text.count(",") == cells - 1 and not any(mark in text for mark in '"\n\r')


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from (cells for cells in csv.reader(file) if cells)
