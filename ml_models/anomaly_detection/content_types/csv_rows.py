"""Reads CSV bodies as rows, and writes CSV responses."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING, Any

from anomaly_detection.content_types import rows as rows_module
from anomaly_detection.content_types.json_rows import encode
from anomaly_detection.content_types.rows import (
    ABSENT,
    CSV,
    Request,
    arrow_numbers,
    check_marks,
    check_widths,
    distinct,
    is_number,
    of_lists,
    shown,
    text_of,
    too_large,
)
from anomaly_detection.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray


def read_csv(body: str | bytes) -> Request:
    """Read a body with a header line, or a body without one by position."""
    text = text_of(body)
    if len(text) > rows_module.LARGE_BODY and (large := _read_large_csv(text)):
        return large
    check_marks(text, row="\n\r", cell=",")
    names, rows = _csv_rows(text)
    return of_lists("table", names, [list(column) for column in zip(*rows, strict=True)], len(rows))


def _csv_rows(text: str) -> tuple[list[str] | None, list[list[str]]]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise RequestError(400, f"the body is not CSV: {error}") from error
    if not lines:
        raise RequestError(400, "the body has no rows")
    names = _header(lines[0])
    rows = lines[1:] if names else lines
    check_widths(rows, len(lines[0]))
    return names, rows


def _read_large_csv(text: str) -> Request | None:
    """Read plain CSV with Arrow. None if Arrow cannot; Python's reader then reads it or explains the fault."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    cells = text.partition("\n")[0].rstrip("\r").split(",")
    if len(cells) < 2 or '"' in text or text.count("\r") != text.count("\r\n"):
        return None
    # Arrow reads 0x1F as a number. The search for "x" is fast, and few tables of numbers contain one.
    first = text.find("\n")
    if any(text.find(mark, first) >= 0 and text.find("0" + mark, first) >= 0 for mark in "xX"):
        return None
    names = _header(cells)
    try:
        table = pa_csv.read_csv(
            io.BytesIO(text.encode()),
            # A single block, so that Arrow infers a column's type from all cells.
            pa_csv.ReadOptions(
                column_names=[str(place) for place in range(len(cells))],
                skip_rows=1 if names else 0,
                block_size=4 * len(text),
                use_threads=False,
            ),
            pa_csv.ParseOptions(quote_char=False),
        )
    except pa.ArrowException:
        return None

    def read() -> list[list[Any]]:
        return [list(column) for column in zip(*_csv_rows(text)[1], strict=True)]

    def lines(_: Sequence[str]) -> list[str] | None:
        found = [line for line in text.replace("\r\n", "\n").split("\n") if line][1 if names else 0 :]
        # Python's reader, which is used if the lines cannot be copied to the response, rejects longer cells.
        return found if max(map(len, found)) <= csv.field_size_limit() else None

    def numbers(places: list[int]) -> NDArray[Any] | None:
        return arrow_numbers(table, places)

    return Request("table", names, len(cells), table.num_rows, read, numbers, lines, CSV)


def _header(cells: list[str]) -> list[str] | None:
    """Return the column names if the first line is a header, which means that no cell is a number."""
    if len(cells) > rows_module.MAX_COLUMNS:
        raise too_large(f"{len(cells):,} columns")
    numbers = [is_number(cell) for cell in cells]
    if all(numbers):
        return None
    if not any(numbers):
        return distinct([_name(cell) for cell in cells])
    # A text among numbers is an id, so the line is data, not a header. Without names, its column is unknown.
    column = numbers.index(False)
    raise RequestError(
        400,
        f"the first line mixes numbers and texts such as {shown(cells[column])}: add a header line with the column "
        "names, or send only numbers",
        row=0,
    )


def _name(cell: str) -> str:
    """Return a column's name without surrounding blanks, and without quotes that the reader kept after a blank."""
    name = cell.strip(" \t")
    if name != cell and len(name) > 1 and name[0] == name[-1] == '"':
        return name[1:-1].replace('""', '"')
    return name


def write_csv(columns: dict[str, list[Any]]) -> str:
    """Write columns as CSV with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*([_cell(value) for value in column] for column in columns.values()), strict=True))
    return text.getvalue()


def write_csv_of_numbers(columns: dict[str, list[Any]]) -> str:
    """Write columns that need no quoting, several times faster. Arrow formats many rows, without loss of precision."""
    if rows_module.is_large(columns):
        import pyarrow as pa
        import pyarrow.csv as pa_csv

        body = io.BytesIO()
        pa_csv.write_csv(pa.table(columns), body, pa_csv.WriteOptions(include_header=False))
        return ",".join(columns) + "\n" + body.getvalue().decode()
    line = ",".join(["%r"] * len(columns))
    lines = [line % row for row in zip(*columns.values(), strict=True)]
    return "\n".join([",".join(columns), *lines, ""])


def _cell(value: Any) -> Any:
    """Convert a value for `csv`, which writes floats by `repr` and None as an empty cell."""
    if value is ABSENT:
        return None
    if isinstance(value, (list, dict)):
        return encode(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def write_csv_after(lines: Sequence[str], names: Sequence[str], added: Mapping[str, list[Any]]) -> str:
    """Write lines unchanged and append columns of numbers."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([*names, *added])
    line = ",".join(["%s", *["%r"] * len(added)])
    return text.getvalue() + "\n".join([*(line % row for row in zip(lines, *added.values(), strict=True)), ""])
