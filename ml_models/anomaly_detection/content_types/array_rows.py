"""Reads parquet and .npy bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_detection.content_types.rows import (
    MAX_UNPACKED_BYTES,
    Request,
    arrow_numbers,
    bytes_of,
    check_size,
    distinct,
    shown,
    too_large,
)
from anomaly_detection.errors import RequestError
from anomaly_detection.npy import read_npy_bytes

if TYPE_CHECKING:
    import pyarrow as pa

_BATCH_ROWS = 16_384
# Longest quote of Arrow's error message.
_MOST_CHARACTERS = 200


def read_parquet(body: str | bytes) -> Request:
    """Read a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = _table(pq, pa.BufferReader(bytes_of(body)))
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        reason = " ".join(str(error).partition("\n")[0].split())[:_MOST_CHARACTERS]
        raise RequestError(400, f"the body is not a complete parquet file: {reason}") from error
    names = distinct(table.column_names)

    def read() -> list[list[Any]]:
        _check_texts(table)
        return [_values(name, column) for name, column in zip(names, table.columns, strict=True)]

    return Request("table", names, len(names), table.num_rows, read, lambda places: arrow_numbers(table, places))


def _table(pq: Any, source: Any) -> pa.Table:
    """Read a file in batches, and stop when the decompressed data exceed the limit."""
    import pyarrow as pa

    metadata = pq.read_metadata(source)
    check_size(metadata.num_rows, metadata.num_columns)
    # Not the sum over the columns: Arrow aborts the process if the statistics of a column are broken.
    unpacked = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if unpacked > MAX_UNPACKED_BYTES:
        raise _unpacks_to(unpacked)
    schema = metadata.schema.to_arrow_schema()
    for field in schema:
        if not _is_plain(pa.types, field.type):
            what = f"the column {shown(field.name)} holds {shown(str(field.type))}"
            raise RequestError(400, f"{what}; send numbers, texts or times", column=field.name)
    # Dictionary encoding keeps a text that is repeated a million times once.
    texts = [field.name for field in schema if _is_text(pa.types, field.type)]
    file = pq.ParquetFile(source, metadata=metadata, read_dictionary=texts)
    batches, size = [], 0
    for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
        batches.append(batch)
        size += sum(0 if pa.types.is_dictionary(column.type) else column.nbytes for column in batch.columns)
        if size > MAX_UNPACKED_BYTES:
            raise _unpacks_to(size)
    return pa.Table.from_batches(batches, batches[0].schema if batches else schema)


def _unpacks_to(size: int) -> RequestError:
    return too_large(f"{size:,} bytes when unpacked, more than {MAX_UNPACKED_BYTES:,}")


def _is_text(types: Any, kind: Any) -> bool:
    if types.is_dictionary(kind):
        kind = kind.value_type
    return any(
        is_it(kind) for is_it in (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    )


def _is_plain(types: Any, kind: Any) -> bool:
    if types.is_dictionary(kind):
        kind = kind.value_type
    numbers = (types.is_integer, types.is_floating, types.is_decimal, types.is_boolean, types.is_null)
    return _is_text(types, kind) or any(is_it(kind) for is_it in (*numbers, types.is_temporal))


def _check_texts(table: pa.Table) -> None:
    """Reject texts that need too much memory when they are copied into each row."""
    import pyarrow as pa
    import pyarrow.compute as pc

    size = 0
    for column in table.columns:
        if pa.types.is_dictionary(column.type) and _is_text(pa.types, column.type):
            for chunk in column.chunks:
                lengths = pc.binary_length(chunk.dictionary).cast(pa.int64())
                size += pc.sum(lengths.take(chunk.indices)).as_py() or 0
    if size > MAX_UNPACKED_BYTES:
        raise _unpacks_to(size)


def _values(name: str, column: pa.ChunkedArray) -> list[Any]:
    """Return a column's values as Python objects."""
    import pyarrow as pa

    try:
        if _is_text(pa.types, column.type):
            column = column.cast(pa.large_string())
        values: list[Any] = column.to_pylist()
    except (pa.ArrowException, ValueError, OverflowError, LookupError) as error:
        raise RequestError(
            400, f"the column {shown(name)} has a text that is not UTF-8, or a time that is out of range", column=name
        ) from error
    return values


def read_npy(body: str | bytes) -> Request:
    """Read an array of numbers, by position."""
    try:
        array = read_npy_bytes(bytes_of(body))
    except ValueError as error:
        raise RequestError(400, f"the body is not an .npy array of numbers: {error}") from error
    return request_of_array(array)


def request_of_array(values: Any) -> Request:
    """Convert an array of numbers to a request without names. A one-dimensional array is one row."""
    array = np.asarray(values)
    if array.dtype.kind not in "fiu":
        raise RequestError(400, "the array does not hold floats or integers")
    if array.ndim not in {1, 2}:
        raise RequestError(400, f"the array has {array.ndim} dimensions; rows and columns are expected")
    rows = np.atleast_2d(array)
    count, width = rows.shape if rows.size else (0, 0)
    check_size(count, width)
    return Request("table", None, width, count, rows.T.tolist, lambda places: rows[:, places])
