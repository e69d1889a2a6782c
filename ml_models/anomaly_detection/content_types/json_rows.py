"""Reads JSON and JSON lines as rows, and writes responses as records.

For a large request, Python's json takes most of the time. Records in the format of Python's json are therefore read and
written again by Arrow, and compared with the body. If no byte differs, the response contains the request's own texts.
"""

from __future__ import annotations

import json
import math
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_detection.content_types import rows as rows_module
from anomaly_detection.content_types.rows import (
    ABSENT,
    JSON,
    JSON_LINES,
    Request,
    arrow_numbers,
    check_marks,
    check_size,
    check_widths,
    distinct,
    of_lists,
    shown,
    text_of,
)
from anomaly_detection.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

_ENCODER = json.JSONEncoder(default=str, allow_nan=False)
# Separators of items and of names: those of Python's json, and the compact ones.
_SEPARATORS = ((", ", ": "), (",", ":"))
_BLANKS = " \t\r"
# Arrow infers the columns' types from a sample of this size.
_SAMPLE_BYTES = 2**14
_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def read_json(body: str | bytes) -> Request:
    """Read one record, a list of records or of lists, `{"instances": [...]}` or `{"columns": [...], "data": [...]}`."""
    text = text_of(body)
    if len(text) > rows_module.LARGE_BODY and (large := _read_plain_records(text)):
        return large
    check_marks(text, row="{[", cell=",")
    document = _load_json(text)
    if isinstance(document, list):
        if document and isinstance(document[0], list):
            return _positional(document, "the body", "records")
        return _records("records", document)
    if not isinstance(document, dict):
        raise RequestError(400, f"the body is {shown(document)}; a record or a list of records is expected")
    if "instances" in document:
        return _positional(document["instances"], "instances", "instances")
    if set(document) == {"columns", "data"}:
        return _split(document["columns"], document["data"])
    return _records("record", [document])


def read_json_lines(body: str | bytes) -> Request:
    """Read one record per line."""
    text = text_of(body)
    check_marks(text, row="\n", cell=",")
    lines = [line for line in text.split("\n") if line.strip(_BLANKS)]
    return _records("table", [_load_json(line, f"line {number + 1}") for number, line in enumerate(lines)])


def _read_plain_records(text: str) -> Request | None:
    """Read a list of records whose texts can be copied to the response. None if they cannot."""
    import pyarrow as pa

    style = _style(text)
    if style is None:
        return None
    separators, record = style
    # Arrow reads JSON lines, so the commas between records become line breaks.
    characters = np.frombuffer(text.encode(), np.uint8).copy()
    characters[np.flatnonzero(characters == ord("}"))[:-1] + 1] = ord("\n")
    body = characters[1:-1]
    texts = [name for name, value in record.items() if isinstance(value, str)]
    try:
        table = _arrow_table(body, list(record), texts)
    except (pa.ArrowException, KeyError):
        return None
    columns = _column_texts(table, text)
    if columns is None:
        return None
    lines = _joined(columns, separators)
    again = ("}" + separators[0] + "{").join(lines)
    if len(again) != len(text) - 4 or not text.startswith(again, 2):
        return None
    if separators != _SEPARATORS[0]:
        lines = _joined(columns, _SEPARATORS[0])

    def read() -> list[list[Any]]:
        return _records("records", _load_json(text)).columns

    def numbers(places: list[int]) -> NDArray[Any] | None:
        return arrow_numbers(table, places)

    def unchanged(features: Sequence[str]) -> list[str] | None:
        # A feature that was sent as a text is returned as a number.
        return None if set(features) & set(texts) else lines

    return Request("records", list(record), len(record), table.num_rows, read, numbers, unchanged, JSON)


def _arrow_table(body: NDArray[np.uint8], names: list[str], texts: list[str]) -> Any:
    """Read lines of JSON that all have the names of the first line and the types of the first rows.

    Raises
    ------
    pa.ArrowException, KeyError
        Names or types differ, or the first line is longer than the sample.
    """
    import pyarrow as pa

    end = len(body)
    if end > _SAMPLE_BYTES:
        line_ends = np.flatnonzero(body[:_SAMPLE_BYTES] == ord("\n"))
        end = int(line_ends[-1]) if len(line_ends) else 0
    # Without this, Arrow would read some texts as times.
    sample = _read_lines(body[:end], pa.schema([(name, pa.string()) for name in texts]), "infer").select(names)
    try:
        # If each new name added a column, a small body could fill the memory.
        return _read_lines(body, sample.schema, "error")
    except pa.ArrowInvalid:
        # The first rows may contain only whole numbers.
        types = [pa.float64() if pa.types.is_int64(kind) else kind for kind in sample.schema.types]
        return _read_lines(body, pa.schema(zip(names, types, strict=True)), "error")


def _read_lines(lines: NDArray[np.uint8], schema: Any, other_names: str) -> Any:
    import pyarrow as pa
    import pyarrow.json as pa_json

    return pa_json.read_json(
        pa.BufferReader(pa.py_buffer(lines)),
        # A single block, so that Arrow infers a column's type from all cells.
        pa_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        pa_json.ParseOptions(schema, unexpected_field_behavior=other_names),
    )


def _style(text: str) -> tuple[tuple[str, str], dict[str, Any]] | None:
    """Return the separators and the first record of a list in the format of Python's json."""
    is_list = text.startswith("[{") and text.endswith("}]") and text.isascii() and "\\" not in text
    if not is_list or not _is_printable(text):
        return None
    first = text[1 : text.find("}") + 1]
    try:
        record = json.loads(first)
    except (ValueError, RecursionError):
        return None
    if not record or not all(type(value) in {float, int, str} for value in record.values()):
        return None
    for separators in _SEPARATORS:
        if json.dumps(record, separators=separators) == first:
            return separators, record
    return None


def _is_printable(text: str) -> bool:
    """Return whether an ASCII text has no control characters."""
    characters = np.frombuffer(text.encode(), np.uint8)
    return bool(characters.min() >= ord(" ") and characters.max() <= ord("~"))


def _column_texts(table: Any, text: str) -> dict[str, Any] | None:
    """Return each column's cells as in the body, in Arrow. None unless all cells are texts and numbers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    from anomaly_detection.content_types.arrow_texts import float_texts

    found: dict[str, Any] = {}
    whole = None
    for name, column in zip(table.column_names, table.columns, strict=True):
        if column.null_count:
            return None
        if pa.types.is_string(column.type):
            found[name] = pc.binary_join_element_wise('"', column, '"', "")
        elif pa.types.is_int64(column.type):
            found[name] = column.cast(pa.string())
        elif pa.types.is_float64(column.type):
            values = column.to_numpy()
            is_whole = values == np.trunc(values)
            if whole is None and is_whole.any():
                # Python writes a whole number as 1.0, JavaScript as 1.
                whole = ".0" if ".0," in text or ".0}" in text else ""
            if whole == "" and np.signbit(values[values == 0]).any():
                # Python reads -0 as 0.
                return None
            found[name] = float_texts(values, whole or "")
        else:
            return None
    return found


def _joined(columns: Mapping[str, Any], separators: tuple[str, str]) -> list[str]:
    """Return the text inside the braces of each record, from the cells by column."""
    import pyarrow.compute as pc

    between, behind = separators
    parts: list[Any] = []
    for name, cells in columns.items():
        parts += [(between if parts else "") + json.dumps(name) + behind, cells]
    lines: list[str] = pc.binary_join_element_wise(*parts, "").to_pylist()
    return lines


def _load_json(text: str, where: str = "the body") -> Any:
    try:
        document = json.loads(text, object_pairs_hook=_object)
        if _ESCAPED_SURROGATE.search(text):
            json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        position = f"line {error.lineno}, column {error.colno}"
        hint = f" (a request without a Content-Type is read as {JSON})" if where == "the body" else ""
        raise RequestError(400, f"{where} is not JSON: {error.msg} at {position}{hint}") from error
    except UnicodeEncodeError as error:
        raise RequestError(400, f"{where} has half a character: a surrogate escape without its pair") from error
    except RecursionError as error:
        raise RequestError(400, f"{where} is nested too deeply") from error
    except ValueError as error:
        raise RequestError(400, f"{where} has an integer of more than {sys.get_int_max_str_digits()} digits") from error
    return document


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        distinct([name for name, _ in pairs])
    return result


def _records(shape: str, records: list[Any]) -> Request:
    names: dict[str, None] = {}
    for row, record in enumerate(records):
        if not isinstance(record, dict):
            raise RequestError(400, f"row {row} is {type(record).__name__}, not a record of names and values", row=row)
        if not record.keys() <= names.keys():
            names |= dict.fromkeys(record)
            check_size(len(records), len(names))
    columns = [[record.get(name, ABSENT) for record in records] for name in names]
    return of_lists(shape, list(names), columns, len(records))


def _positional(instances: Any, where: str, shape: str) -> Request:
    if not _is_list_of_lists(instances):
        raise RequestError(400, f"{where} is not a list of lists of numbers, one per row")
    check_widths(instances, len(instances[0]) if instances else 0)
    return of_lists(shape, None, [list(column) for column in zip(*instances, strict=True)], len(instances))


def _split(names: Any, rows: Any) -> Request:
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise RequestError(400, "columns is not a list of names")
    if not _is_list_of_lists(rows):
        raise RequestError(400, "data is not a list of lists of values, one per row")
    check_widths(rows, len(names))
    columns = [list(column) for column in zip(*rows, strict=True)]
    return of_lists("columns", distinct(names), columns, len(rows))


def _is_list_of_lists(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(row, list) for row in value)


def write_records(columns: Mapping[str, list[Any]], content_type: str, envelope: tuple[str, str]) -> str:
    """Write columns as records.

    Parameters
    ----------
    columns : mapping
        Values by name. ABSENT values are left out.
    content_type : str
        JSON or JSON_LINES.
    envelope : (str, str)
        The texts before and after the list. Not used for JSON lines.
    """
    if rows_module.is_large(columns) and (lines := _lines_of(columns)) is not None:
        return _framed(lines, content_type, envelope)
    records = _records_of(columns)
    if content_type == JSON_LINES:
        return "".join(f"{encode(record)}\n" for record in records)
    return envelope[0] + encode(records) + envelope[1]


def write_records_after(lines: list[str], added: Mapping[str, list[Any]], content_type: str) -> str:
    """Write records unchanged and append columns."""
    before, between, after = ("{", "}\n{", "}\n") if content_type == JSON_LINES else ("[{", "}, {", "}]")
    behind = "".join(f", {encode(name)}: %r" for name in added) + between
    parts = [before] * (2 * len(lines) + 1)
    parts[1::2] = lines
    parts[2::2] = [behind % row for row in zip(*added.values(), strict=True)]
    parts[-1] = parts[-1].removesuffix(between) + after
    return "".join(parts)


def _framed(lines: list[str], content_type: str, envelope: tuple[str, str]) -> str:
    if content_type == JSON_LINES:
        return "{" + "}\n{".join(lines) + "}\n"
    return envelope[0] + "[{" + "}, {".join(lines) + "}]" + envelope[1]


def _lines_of(columns: Mapping[str, list[Any]]) -> list[str] | None:
    """Return the texts inside the braces of the records, formatted by Arrow. None if a record lacks a column."""
    texts = {}
    for name, values in columns.items():
        kinds = set(map(type, values))
        if object in kinds:
            return None
        texts[name] = _cells(values, kinds)
    return _joined(texts, _SEPARATORS[0])


def _cells(values: list[Any], kinds: set[type]) -> Any:
    import pyarrow as pa

    from anomaly_detection.content_types.arrow_texts import float_texts

    if kinds == {float}:
        doubles = np.array(values)
        if np.isfinite(doubles).all():
            return float_texts(doubles)
    return pa.array(list(map(str, values)) if kinds == {int} else [encode(value) for value in values], pa.string())


def _records_of(columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Convert columns to records."""
    return [
        {name: value for name, value in zip(columns, values, strict=True) if value is not ABSENT}
        for values in zip(*columns.values(), strict=True)
    ]


def encode(document: Any) -> str:
    """Write JSON. NaN and infinite values become null."""
    try:
        return _encode(document)
    except RecursionError as error:
        raise RequestError(400, "a value in the body is nested too deeply") from error


def _encode(document: Any) -> str:
    try:
        return _ENCODER.encode(document)
    except ValueError:
        # A column that is not a feature may hold values that JSON does not have.
        return _ENCODER.encode(_without_nan(document))


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return value
