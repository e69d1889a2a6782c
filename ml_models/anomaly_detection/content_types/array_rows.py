"""Parquet and .npy: bodies that are columns of numbers already."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from anomaly_detection.content_types.rows import Request, arrow_numbers, bytes_of, distinct
from anomaly_detection.errors import RequestError


def read_parquet(body: str | bytes) -> Request:
    """Read a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(pa.BufferReader(bytes_of(body))).read(use_threads=False)
    except (pa.ArrowException, OSError) as error:
        first_line = str(error).partition("\n")[0]
        raise RequestError(400, f"the body is no complete parquet file: {first_line}") from error
    names = distinct(table.column_names)

    def read() -> list[list[Any]]:
        return [column.to_pylist() for column in table.columns]

    return Request("table", names, len(names), table.num_rows, read, lambda places: arrow_numbers(table, places))


def read_npy(body: str | bytes) -> Request:
    """Read an array of numbers, by position."""
    try:
        array = np.load(io.BytesIO(bytes_of(body)), allow_pickle=False)
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
