"""Writes the input of a transform job: only the model's columns, without a header, each cell checked, in parts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from batch_scorer.errors import InputError
from batch_scorer.plan import MAX_PAYLOAD_BYTES
from batch_scorer.table import is_number

if TYPE_CHECKING:
    from pathlib import Path

    from batch_scorer.contract import Contract
    from batch_scorer.table import Line, Table

PART_BYTES = 250_000_000
LARGEST_FLOAT32 = 3.4028234663852886e38
_MOST_QUOTED = 60


@dataclass(frozen=True)
class Prepared:
    """The parts in order, and the sizes that the job's plan depends on."""

    parts: list[Path]
    rows: int
    size_bytes: int
    longest_line_bytes: int
    shortest_line_bytes: int


@dataclass(frozen=True)
class _Pick:
    place: int
    name: str
    may_be_missing: bool


def prepare(table: Table, contract: Contract, folder: Path, part_bytes: int = PART_BYTES) -> Prepared:
    """Write part-00000.csv, part-00001.csv, ... into a folder, one line per line of the table.

    Numbers are copied unchanged. An empty cell of a feature that may be missing becomes nan.

    Raises
    ------
    InputError
        A line cannot be scored, or a column is missing. The message names it.
    """
    picks = _picks(table, contract)
    parts: list[Path] = []
    rows = size = longest = 0
    shortest = MAX_PAYLOAD_BYTES
    room = 0
    file = None
    try:
        for line in table.lines:
            text = _text(line, picks)
            if file is None or len(text) > room:
                if file is not None:
                    file.close()
                parts.append(folder / f"part-{len(parts):05d}.csv")
                file, room = parts[-1].open("wb"), part_bytes
            file.write(text)
            rows, size, room = rows + 1, size + len(text), room - len(text)
            longest, shortest = max(longest, len(text)), min(shortest, len(text))
    finally:
        if file is not None:
            file.close()
    if not rows:
        raise InputError("it has no rows")
    return Prepared(parts, rows, size, longest, shortest)


def _picks(table: Table, contract: Contract) -> list[_Pick]:
    names = table.names or [f"column {place + 1}" for place in range(table.width)]
    if contract.features is None:
        return [_Pick(place, name, may_be_missing=False) for place, name in enumerate(names)]
    if table.names is None and table.width != len(contract.features):
        raise InputError(
            f"it has no header line and {table.width} columns; the model takes {len(contract.features)} in the order "
            f"{', '.join(contract.features)}"
        )
    places = {name: place for place, name in enumerate(table.names or contract.features)}
    for name in contract.features:
        if name not in places:
            raise InputError(f"the column {name} is missing, which the model requires; it has {_some(list(places))}")
    return [_Pick(places[name], name, name in contract.may_be_missing) for name in contract.features]


def _text(line: Line, picks: list[_Pick]) -> bytes:
    cells = [line.cells[pick.place].strip(" \t\r\n") for pick in picks]
    if not _are_plain(cells):
        cells = [_number(line, pick) for pick in picks]
    text = (",".join(cells) + "\n").encode()
    if len(text) > MAX_PAYLOAD_BYTES:
        raise InputError(f"line {line.number} is {len(text):,} bytes long; {MAX_PAYLOAD_BYTES:,} are accepted")
    return text


def _are_plain(cells: list[str]) -> bool:
    """Return whether all cells are finite 32-bit floats, as in nearly every line."""
    text = "".join(cells)
    # Python's float() also accepts texts with these characters.
    if not text.isascii() or not text.isprintable() or "_" in text:
        return False
    try:
        values = list(map(float, cells))
    except ValueError:
        return False
    # One NaN makes the sum NaN. The minimum and the maximum are undefined then.
    return not math.isnan(sum(values)) and min(values) >= -LARGEST_FLOAT32 and max(values) <= LARGEST_FLOAT32


def _number(line: Line, pick: _Pick) -> str:
    cell = line.cells[pick.place].strip(" \t\r\n")
    if not is_number(cell):
        raise InputError(f"line {line.number}: {pick.name} is {cell[:_MOST_QUOTED]!r}, not a number")
    value = float(cell or "nan")
    if math.isnan(value):
        if not pick.may_be_missing:
            raise InputError(f"line {line.number}: {pick.name} is missing or NaN, which never occurred in training")
        return "nan"
    if abs(value) > LARGEST_FLOAT32:
        raise InputError(f"line {line.number}: {pick.name} is {cell}: infinite as a 32-bit float")
    return cell


def _some(names: list[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
