"""Builds the result of a file: its name, and the file's lines joined to their scores, in order."""

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
# Matches a whole line. Most cells are numbers, so this is faster than a check of each cell.
_FORMULA = re.compile(rf"(?:^|,)(?:[=@\t\r]|[+-](?!{DIGITS}(?:,|$)))")


class JoinError(RuntimeError):
    """The number of scores differs from the number of lines."""


def output_name(key: str, input_prefix: str, time_utc: str) -> str:
    """Return FOLDER/TIMESTAMP-NAME.csv for an uploaded file. No two files below the prefix get the same name.

    A file that is not CSV keeps its extension: `a.csv` becomes `TIMESTAMP-a.csv`, and `a.parquet` becomes
    `TIMESTAMP-a.parquet.csv`. To avoid a clash, `a.parquet.csv` becomes `TIMESTAMP-a.parquet.csv.csv`.
    """
    folder, slash, name = key.removeprefix(input_prefix).rpartition("/")
    is_plain = name.endswith(".csv") and not name.removesuffix(".csv").lower().endswith(ENDINGS)
    stamp = time_utc.replace("-", "").replace(":", "")
    return f"{folder}{slash}{stamp}-{name if is_plain else f'{name}.csv'}"


def join(table: Table, names: list[str] | None, answers: Iterable[Path], target: Path) -> int:
    """Write a CSV file with a header: the table's columns, then the score columns.

    A text that a spreadsheet would run as a formula gets a leading apostrophe. Spreadsheets do not show it.

    Parameters
    ----------
    table : Table
        The scored table. Columns with the name of a score column are left out.
    names : list of str or None
        Column names for a table without a header: the model's, or None for column_1, column_2, ...
    answers : iterable of Path
        The job's output for each part, in order. Some containers return a header line with each request; these lines
        are skipped.
    target : Path
        The path of the new file.

    Returns
    -------
    int
        The number of lines with scores.

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
                raise JoinError(f"the job wrote {rows} scores, fewer than the file has lines")
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
        raise JoinError(f"the job wrote more scores than the file's {rows} lines")
    return rows


def _scores(lines: Iterator[list[str]]) -> tuple[list[str], Iterator[list[str]]]:
    """Separate the names of the score columns from the scores."""
    first = next(lines, [])
    if first and not any(is_number(cell) for cell in first):
        return first, (cells for cells in lines if cells != first)
    names = ["prediction", *(f"prediction_{place}" for place in range(2, len(first) + 1))]
    return names, chain([first] if first else [], lines)


def _harmless(cell: str) -> str:
    """Return a cell that no spreadsheet runs as a formula."""
    return f"'{cell}" if cell[:1] in _FORMULA_STARTS and cell and not is_number(cell) else cell


def _needs_no_quotes(text: str, cells: int) -> bool:
    """Return whether the joined cells equal the line that `csv.writer` would write. Joining is several times faster."""
    return cells > 1 and text.count(",") == cells - 1 and not any(mark in text for mark in '"\n\r')


def _lines(path: Path) -> Iterator[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        yield from (cells for cells in csv.reader(file) if cells)
