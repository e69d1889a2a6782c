"""Reads uploaded files as lines of cells: CSV with or without a header line, and parquet."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from batch_scorer.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDINGS = (".csv", ".parquet")
DIGITS = r"(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
# The numbers that the endpoint accepts. Python's float() would also accept 1_0 and digits of other scripts.
_NUMBER = re.compile(rf"[ \t\r\n]*+(?:[+-]?(?:{DIGITS}|(?i:nan|inf|infinity)))?[ \t\r\n]*+")
_BATCH_ROWS = 10_000


class Line(NamedTuple):
    """A line's cells as text, and its number: the line of a CSV file, or the row (from 1) of a parquet file."""

    number: int
    cells: list[str]


@dataclass(frozen=True)
class Table:
    """A file's column names (None without a header line), their count, and an iterator over its lines."""

    names: list[str] | None
    width: int
    lines: Iterator[Line]


def read_table(path: Path) -> Table:
    """Read a file.

    Parameters
    ----------
    path : Path
        Ends with .csv or .parquet; CSV is UTF-8 with commas.

    Raises
    ------
    InputError
        The file has another extension, no lines, lines of different lengths, or a first line that is neither a header
        nor data, or it is broken. Raised at once or while the lines are read.
    """
    if path.suffix.lower() not in ENDINGS:
        raise InputError(f"its name does not end with one of {', '.join(ENDINGS)}")
    return _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)


def is_number(cell: str) -> bool:
    """Return whether a cell is a number or empty."""
    return _NUMBER.fullmatch(cell) is not None


def _read_csv(path: Path) -> Table:
    lines = _csv_lines(path)
    first = next(lines, None)
    if first is None:
        raise InputError("it is empty")
    if not first.cells:
        raise InputError(f"line {first.number} is empty")
    width = len(first.cells)
    numbers = [is_number(cell) for cell in first.cells]
    if all(numbers):
        return Table(None, width, _of_width(_chained(first, lines), width))
    # A text among numbers is an id, so the line is data, not a header. Without names, its column is unknown.
    if any(number and cell for number, cell in zip(numbers, first.cells, strict=True)):
        text = first.cells[numbers.index(False)]
        raise InputError(
            f"line {first.number} mixes numbers and texts such as {text!r}: add a header line with the column "
            "names, or send only numbers"
        )
    return Table(_distinct([cell.strip(" \t") for cell in first.cells]), width, _of_width(lines, width))


def _csv_lines(path: Path) -> Iterator[Line]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        number = 1
        try:
            for cells in reader:
                yield Line(number, cells)
                number = reader.line_num + 1
        except csv.Error as error:
            raise InputError(f"line {number} is not CSV: {error}") from error
        except UnicodeDecodeError as error:
            raise InputError(f"line {_undecodable(path)} is not UTF-8") from error


def _undecodable(path: Path) -> int:
    """Return the number of the first line that is not UTF-8. The CSV reader decodes in blocks and does not know it."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 0


def _chained(first: Line, lines: Iterator[Line]) -> Iterator[Line]:
    yield first
    yield from lines


def _of_width(lines: Iterator[Line], width: int) -> Iterator[Line]:
    """Check that all lines have the same width. Skip empty lines at the end."""
    empty = 0
    for line in lines:
        if not line.cells:
            empty = empty or line.number
            continue
        if empty:
            raise InputError(f"line {empty} is empty")
        if len(line.cells) != width:
            raise InputError(f"line {line.number} has {len(line.cells)} values, where the first line has {width}")
        yield line


def _read_parquet(path: Path) -> Table:
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"it is no complete parquet file: {str(error).splitlines()[0]}") from error
    names = _distinct(file.schema_arrow.names)
    return Table(names, len(names), _parquet_lines(file))


def _parquet_lines(file: Any) -> Iterator[Line]:
    number = 0
    try:
        for batch in file.iter_batches(batch_size=_BATCH_ROWS):
            for cells in zip(*map(_column_cells, batch.columns), strict=True):
                number += 1
                yield Line(number, list(cells))
    except (pa.ArrowException, OSError) as error:
        message = str(error).splitlines()[0]
        raise InputError(f"it is no complete parquet file after row {number}: {message}") from error
    except (ValueError, OverflowError, LookupError) as error:
        raise InputError(f"a text is not UTF-8 or a time out of range after row {number}") from error
    finally:
        file.close()


def _column_cells(column: Any) -> list[str]:
    if pa.types.is_temporal(column.type):
        # A table of hours has few distinct times, and Arrow is slow to convert each one.
        encoded = column.dictionary_encode()
        texts = [_cell(value) for value in encoded.dictionary.to_pylist()]
        return ["" if place is None else texts[place] for place in encoded.indices.to_pylist()]
    values: list[Any] = column.to_pylist()
    if column.null_count == 0 and pa.types.is_floating(column.type):
        return list(map(repr, values))
    if column.null_count == 0 and pa.types.is_string(column.type):
        return values
    return list(map(_cell, values))


def _cell(value: Any) -> str:
    """Write a value so that a number reads back to the same bits."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        return repr(value)
    return str(value.isoformat() if hasattr(value, "isoformat") else value)


def _distinct(names: list[str]) -> list[str]:
    for place, name in enumerate(names):
        if name in names[:place]:
            raise InputError(f"the column {name!r} is there twice")
    return list(names)
