"""Request bodies: content types in, one table of raw values out, and the float32 matrix that the forest takes."""

from __future__ import annotations

import csv
import io
import json
import math
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_detection.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from anomaly_detection.model import Model

# From here on the second that it takes to load pyarrow pays, and its reader is many times as fast as Python's.
LARGE_BODY = 2**16
ABSENT = object()
"""Stands where a JSON record has no such key."""


@dataclass(frozen=True)
class Request:
    """The rows of a request.

    Parameters
    ----------
    shape : str
        "record", "records", "instances", "columns" (those of JSON) or "table": the answer in JSON has the same.
    names : list of str or None
        None where columns go by position.
    width : int
        Columns.
    rows : int
    read : callable
        Gives `columns`; not called where only scores are asked for and `numbers` could tell.
    numbers : callable
        Takes the places of columns and gives float64 or float32 of shape (rows, places), or None where one of them is
        not all plain numbers: then the raw values say which, and whether that is allowed.
    """

    shape: str
    names: list[str] | None
    width: int
    rows: int
    read: Callable[[], list[list[Any]]]
    numbers: Callable[[list[int]], NDArray[Any] | None]

    @cached_property
    def columns(self) -> list[list[Any]]:
        """Raw values by column: numbers, None, texts (CSV cells are texts), or ABSENT."""
        return self.read()


def parse(body: str | bytes, content_type: str | None) -> Request:
    """Read a body.

    Parameters
    ----------
    body : str or bytes
        The container gives str for exactly `text/csv` and `application/json`, else bytes.
    content_type : str or None
        text/csv (with a header, or positional without), application/json (the default: one record, a list of
        records, `{"instances": [[...]]}`, `{"columns": [...], "data": [[...]]}`), application/jsonlines,
        application/x-parquet or application/x-npy; parameters are ignored.

    Raises
    ------
    RequestError
        415 for another content type, 400 for a body that is not what it says.
    """
    media_type = (content_type or "application/json").partition(";")[0].strip().lower()
    reader = _READERS.get(media_type)
    if reader is None:
        raise RequestError(415, f"content type {media_type!r} is not known; accepted are {', '.join(_READERS)}")
    if not body:
        raise RequestError(400, "the body is empty; rows of features are expected")
    request = reader(body)
    if request.rows == 0:
        raise RequestError(400, "the body has no rows")
    return request


def matrix_of(request: Request, model: Model) -> NDArray[np.float32]:
    """Take the model's features out of a request.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32

    Raises
    ------
    RequestError
        400: a feature is missing, a column too many in a request without names, or a value that is no finite number
        (NaN and empty are accepted for features that were missing in training as well).
    """
    places = _places(request, model.feature_names)
    numbers = request.numbers(places)
    if numbers is not None:
        with np.errstate(over="ignore"):
            singles = numbers.astype(np.float32, copy=False)
        if np.isfinite(singles).all():
            return singles
    matrix = np.empty((request.rows, len(places)), dtype=np.float32)
    for number, (name, place) in enumerate(zip(model.feature_names, places, strict=True)):
        matrix[:, number] = _floats(name, request.columns[place], may_be_missing=name in model.may_be_missing)
    return matrix


def _places(request: Request, features: list[str]) -> list[int]:
    if request.names is None:
        if request.width != len(features):
            raise RequestError(
                400,
                f"a request without column names needs {len(features)} columns in the order {', '.join(features)}; "
                f"it has {request.width}",
            )
        return list(range(request.width))
    places = {name: place for place, name in enumerate(request.names)}
    for name in features:
        if name not in places:
            raise RequestError(400, f"the feature {name} is missing; sent were {_some(request.names)}", column=name)
    return [places[name] for name in features]


def _of_lists(shape: str, names: list[str] | None, columns: list[list[Any]], rows: int) -> Request:
    return Request(shape, names, len(columns), rows, lambda: columns, lambda places: _plain(columns, places))


def _plain(columns: list[list[Any]], places: list[int]) -> NDArray[np.float64] | None:
    chosen = [columns[place] for place in places]
    kinds = set(map(type, chain.from_iterable(chosen)))
    try:
        if kinds <= {float, int}:
            return np.array(chosen, dtype=np.float64).T
        return np.array([list(map(float, column)) for column in chosen]).T if kinds == {str} else None
    except (ValueError, OverflowError):
        return None


def _floats(name: str, values: list[Any], *, may_be_missing: bool) -> NDArray[np.float32]:
    doubles = _doubles(name, values)
    with np.errstate(over="ignore"):
        singles = doubles.astype(np.float32)
    infinite = np.isinf(singles)
    if infinite.any():
        row = int(infinite.argmax())
        raise RequestError(
            400, f"row {row} of {name} is {values[row]!r}: infinite as a 32-bit float", row=row, column=name
        )
    missing = np.isnan(singles)
    if missing.any() and not may_be_missing:
        row = int(missing.argmax())
        raise RequestError(
            400, f"row {row} of {name} is missing or NaN, which the model never saw in training", row=row, column=name
        )
    return singles


def _doubles(name: str, values: list[Any]) -> NDArray[np.float64]:
    for row, value in enumerate(values):
        _check_number(name, row, value)
    return np.array([math.nan if value in (None, "") else float(value) for value in values])


def _check_number(name: str, row: int, value: Any) -> None:
    if value is ABSENT:
        raise RequestError(400, f"row {row} has no {name}", row=row, column=name)
    is_number = value is None or (isinstance(value, (int, float, str)) and not isinstance(value, bool))
    if is_number and isinstance(value, (int, str)) and value != "":
        try:
            float(value)
        except (ValueError, OverflowError):
            is_number = False
    if not is_number:
        raise RequestError(400, f"row {row} of {name} is {value!r}, not a number", row=row, column=name)


def _text(body: str | bytes) -> str:
    if isinstance(body, str):
        return body
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RequestError(400, f"the body is not UTF-8 at byte {error.start}") from error


def _bytes(body: str | bytes) -> bytes:
    return body.encode() if isinstance(body, str) else body


def _read_csv(body: str | bytes) -> Request:
    text = _text(body)
    if len(text) > LARGE_BODY and (large := _read_large_csv(text)):
        return large
    names, rows = _csv_rows(text)
    return _of_lists("table", names, [list(column) for column in zip(*rows, strict=True)], len(rows))


def _csv_rows(text: str) -> tuple[list[str] | None, list[list[str]]]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise RequestError(400, f"the body is not CSV: {error}") from error
    if not lines:
        raise RequestError(400, "the body has no rows")
    names = _header(lines[0])
    rows = lines[1:] if names else lines
    _check_widths(rows, len(lines[0]))
    return names, rows


def _read_large_csv(text: str) -> Request | None:
    """Read plain CSV in Arrow; None where it cannot, and Python's reader says why or can."""
    import pyarrow as pa
    import pyarrow.csv as pa_csv

    cells = text.partition("\n")[0].rstrip("\r").split(",")
    if len(cells) < 2 or '"' in text or text.count("\r") != text.count("\r\n"):
        return None
    names = _header(cells)
    try:
        table = pa_csv.read_csv(
            io.BytesIO(text.encode()),
            # One block, so that a column's type is that of all its cells.
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

    return Request("table", names, len(cells), table.num_rows, read, lambda places: _arrow_numbers(table, places))


def _arrow_numbers(table: Any, places: list[int]) -> NDArray[Any] | None:
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


def _header(cells: list[str]) -> list[str] | None:
    """Return the names where the first line is a header: where none of its cells is a number."""
    numbers = [_is_number(cell) for cell in cells]
    if all(numbers):
        return None
    if not any(numbers):
        return _distinct(cells)
    # An id beside the numbers is data; a header has no numbers in it. Without names nothing tells which is which.
    column = numbers.index(False)
    raise RequestError(
        400,
        f"the first line mixes numbers and texts such as {cells[column]!r}: give a header line with the columns' "
        "names, or numbers alone",
        row=0,
    )


def _is_number(cell: str) -> bool:
    try:
        float(cell or "nan")
    except ValueError:
        return False
    return True


def _check_widths(rows: list[list[str]] | list[list[Any]], width: int) -> None:
    for row, cells in enumerate(rows):
        if len(cells) != width:
            raise RequestError(400, f"row {row} has {len(cells)} values, and {width} columns are expected", row=row)


def _distinct(names: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise RequestError(400, f"the column {name} is given twice", column=name)
        seen.add(name)
    return list(names)


def _load_json(text: str, where: str = "the body") -> Any:
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        raise RequestError(400, f"{where} is not JSON: {error.msg} at {position}") from error
    except RecursionError as error:
        raise RequestError(400, f"{where} is nested too deeply") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        _distinct([name for name, _ in pairs])
    return result


def _read_json(body: str | bytes) -> Request:
    document = _load_json(_text(body))
    if isinstance(document, list):
        return _records("records", document)
    if not isinstance(document, dict):
        raise RequestError(400, f"the body is {document!r}; a record or a list of records is expected")
    if "instances" in document:
        return _positional(document["instances"])
    if set(document) == {"columns", "data"}:
        return _split(document["columns"], document["data"])
    return _records("record", [document])


def _read_jsonlines(body: str | bytes) -> Request:
    lines = [line for line in _text(body).splitlines() if line.strip()]
    return _records("table", [_load_json(line, f"line {number + 1}") for number, line in enumerate(lines)])


def _records(shape: str, records: list[Any]) -> Request:
    names: dict[str, None] = {}
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            raise RequestError(400, f"row {row} is {type(record).__name__}, not a record of names and values", row=row)
        names |= dict.fromkeys(record)
    columns = [[record.get(name, ABSENT) for record in records] for name in names]
    return _of_lists(shape, list(names), columns, len(records))


def _positional(instances: Any) -> Request:
    if not _is_list_of_lists(instances):
        raise RequestError(400, "instances is not a list of lists of numbers, one for each row")
    _check_widths(instances, len(instances[0]) if instances else 0)
    return _of_lists("instances", None, [list(column) for column in zip(*instances, strict=True)], len(instances))


def _split(names: Any, rows: Any) -> Request:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(400, "columns is not a list of names")
    if not _is_list_of_lists(rows):
        raise RequestError(400, "data is not a list of lists of values, one for each row")
    _check_widths(rows, len(names))
    columns = [list(column) for column in zip(*rows, strict=True)]
    return _of_lists("columns", _distinct(names), columns, len(rows))


def _is_list_of_lists(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) for row in value)


def _read_parquet(body: str | bytes) -> Request:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(pa.BufferReader(_bytes(body))).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        first_line = str(error).partition("\n")[0]
        raise RequestError(400, f"the body is no complete parquet file: {first_line}") from error
    names = _distinct(table.column_names)

    def read() -> list[list[Any]]:
        return [column.to_pylist() for column in table.columns]

    return Request("table", names, len(names), table.num_rows, read, lambda places: _arrow_numbers(table, places))


def _read_npy(body: str | bytes) -> Request:
    try:
        array = np.load(io.BytesIO(_bytes(body)), allow_pickle=False)
    except (ValueError, OSError, EOFError) as error:
        raise RequestError(400, f"the body is no .npy array of numbers: {error}") from error
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu":
        raise RequestError(400, "the array does not hold floats or integers")
    if array.ndim not in {1, 2}:
        raise RequestError(400, f"the array has {array.ndim} dimensions; rows and columns are expected")
    rows = np.atleast_2d(array)
    width = rows.shape[1]
    count = rows.shape[0] if rows.size else 0
    return Request("table", None, width, count, rows.T.tolist, lambda places: rows[:, places])


_READERS: dict[str, Callable[[str | bytes], Request]] = {
    "text/csv": _read_csv,
    "application/json": _read_json,
    "application/jsonlines": _read_jsonlines,
    "application/x-parquet": _read_parquet,
    "application/x-npy": _read_npy,
}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
