"""The rows of a request of any content type, and helpers that the readers share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from reprlib import Repr
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_detection.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

CSV, JSON, JSON_LINES = "text/csv", "application/json", "application/jsonlines"
# From this size, pyarrow's faster reader outweighs the second that its import takes.
LARGE_BODY = 2**16
# From this many rows, the import of pyarrow is worth its time: such a client will send more requests.
ARROW_ROWS = 4000
ABSENT = object()
"""The value of a key that a JSON record does not have."""

# Limits of one request. A body of 6 MB has at most 3,000,000 cells, which need less than 1 GB when read.
MAX_ROWS = 1_000_000
MAX_COLUMNS = 2_000
MAX_CELLS = 4_000_000
MAX_UNPACKED_BYTES = 256_000_000

# JSON's numbers, and the forms of CSV files: a plus sign, leading zeros, no digit before or after the point.
_DIGITS = r"(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:[eE][+-]?[0-9]++)?"
_NUMBER = re.compile(rf"[ \t\r\n]*+(?:[+-]?(?:{_DIGITS}|(?i:nan|inf|infinity)))?[ \t\r\n]*+")
_SHORT = Repr()
_SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = 60


@dataclass(frozen=True)
class Request:
    """The rows of a request.

    Parameters
    ----------
    shape : str
        "record", "records", "instances", "columns" (shapes of JSON) or "table". A JSON response has the same shape.
    names : list of str or None
        None if columns are identified by position.
    width : int
        The number of columns.
    rows : int
    read : callable
        Returns `columns`. Not called if the response needs only scores and `numbers` can read them.
    numbers : callable
        Takes column indexes and returns float64 or float32 of shape (rows, indexes). Returns None if a column has other
        values than plain numbers; the raw values are then checked one by one.
    texts : callable
        Takes the features and returns the text of each row, to which a response of the same type appends two columns:
        a line of CSV, or the text inside a JSON record. Returns None if the response cannot contain the text unchanged.
    texts_type : str
        The content type of `texts`.
    """

    shape: str
    names: list[str] | None
    width: int
    rows: int
    read: Callable[[], list[list[Any]]]
    numbers: Callable[[list[int]], NDArray[Any] | None]
    texts: Callable[[Sequence[str]], list[str] | None] = lambda _: None
    texts_type: str = ""

    @cached_property
    def columns(self) -> list[list[Any]]:
        """Raw values by column: numbers, None, texts (CSV cells are texts), or ABSENT."""
        return self.read()


def is_large(columns: Mapping[str, list[Any]]) -> bool:
    """Return whether a response has enough rows to justify the import of pyarrow."""
    return len(next(iter(columns.values()))) >= ARROW_ROWS


def of_lists(shape: str, names: list[str] | None, columns: list[list[Any]], rows: int) -> Request:
    """Create a request from columns that are lists."""
    return Request(shape, names, len(columns), rows, lambda: columns, lambda places: _plain(columns, places))


def _plain(columns: list[list[Any]], places: list[int]) -> NDArray[np.float64] | None:
    chosen = [columns[place] for place in places]
    kinds = set(map(type, chain.from_iterable(chosen)))
    try:
        if kinds <= {float, int}:
            return np.array(chosen, dtype=np.float64).T
        if kinds != {str} or not _float_reads_numbers_alone("".join(chain.from_iterable(chosen))):
            return None
        return np.array([list(map(float, column)) for column in chosen]).T
    except (ValueError, OverflowError):
        return None


def _float_reads_numbers_alone(text: str) -> bool:
    """Return whether a text has no form that float() accepts and `is_number` rejects: 1_0, other digits or blanks."""
    return text.isascii() and text.isprintable() and "_" not in text


def is_number(text: str) -> bool:
    """Return whether a text is a number, NaN, infinite or empty. Surrounding blanks are allowed."""
    return _NUMBER.fullmatch(text) is not None


def shown(value: Any) -> str:
    """Return a short quote of a value for an error message."""
    return _SHORT.repr(value)


def check_size(rows: int, columns: int) -> None:
    """Raise status 413 for more rows, columns or cells than one request may have."""
    if rows > MAX_ROWS or columns > MAX_COLUMNS or rows * columns > MAX_CELLS:
        raise too_large(f"{rows:,} rows and {columns:,} columns")


def check_marks(text: str, *, row: str, cell: str) -> None:
    """Reject a text with too many row or cell separators before it is parsed, since parsing needs much more memory.

    Rows and cells have at least two characters, so the separators of bodies of ordinary size are not counted.
    """
    if len(text) > 2 * MAX_ROWS and (rows := max(map(text.count, row))) > MAX_ROWS:
        raise too_large(f"{rows:,} rows")
    if len(text) > 2 * MAX_CELLS and (cells := text.count(cell)) > MAX_CELLS:
        raise too_large(f"{cells:,} cells")


def too_large(found: str) -> RequestError:
    """Return the error for a body above the limits of one request."""
    return RequestError(
        413,
        f"the body has {found}; one request takes up to {MAX_ROWS:,} rows, {MAX_COLUMNS:,} columns and "
        f"{MAX_CELLS:,} cells: send it in parts",
    )


def text_of(body: str | bytes) -> str:
    """Decode a body, with or without a byte order mark. Raises status 400 if it is not UTF-8."""
    try:
        if isinstance(body, bytes):
            return body.decode("utf-8-sig")
        # The container decodes the body, and replaces invalid UTF-8 by U+FFFD.
        if not body.isascii():
            bytes_of(body)
            if (place := body.find("\ufffd")) >= 0:
                raise RequestError(400, f"the body is not UTF-8 at character {place}")
        return body.removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise RequestError(400, f"the body is not UTF-8 at byte {error.start}") from error


def bytes_of(body: str | bytes) -> bytes:
    """Encode a body that the container decoded."""
    if isinstance(body, bytes):
        return body
    try:
        return body.encode()
    except UnicodeEncodeError as error:
        raise RequestError(400, f"the body has half a character (a surrogate) at {error.start}") from error


def check_widths(rows: list[list[str]] | list[list[Any]], width: int) -> None:
    """Reject rows of another width."""
    for row, cells in enumerate(rows):
        if len(cells) != width:
            raise RequestError(400, f"row {row} has {len(cells)} values, and {width} columns are expected", row=row)


def distinct(names: Sequence[str]) -> list[str]:
    """Return the names. Raises status 400 for duplicates and 413 for too many names."""
    if len(names) > MAX_COLUMNS:
        raise too_large(f"{len(names):,} columns")
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RequestError(400, f"the column {shown(name)} is given twice", column=name)
        seen.add(name)
    return list(names)


def arrow_numbers(table: Any, places: list[int]) -> NDArray[Any] | None:
    """Return columns of a pyarrow.Table in the form of `Request.numbers`."""
    import pyarrow as pa

    columns = [table.column(place) for place in places]
    for column in columns:
        if not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)) or column.null_count:
            return None
    dtype = np.float32 if all(column.type == pa.float32() for column in columns) else np.float64
    numbers = np.empty((table.num_rows, len(places)), dtype)
    for number, column in enumerate(columns):
        numbers[:, number] = column.to_numpy()
    return numbers
