"""Reads requests of all content types, and extracts the forest's float32 matrix."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_detection.content_types.array_rows import read_npy, read_parquet
from anomaly_detection.content_types.csv_rows import read_csv
from anomaly_detection.content_types.json_rows import read_json, read_json_lines
from anomaly_detection.content_types.rows import (
    ABSENT,
    CSV,
    JSON,
    JSON_LINES,
    Request,
    check_size,
    is_number,
    shown,
)
from anomaly_detection.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

_READERS: dict[str, Callable[[str | bytes], Request]] = {
    CSV: read_csv,
    JSON: read_json,
    JSON_LINES: read_json_lines,
    "application/x-parquet": read_parquet,
    "application/x-npy": read_npy,
}
_ACCEPTED = f"accepted are {', '.join(_READERS)}"


def parse(body: str | bytes, content_type: str | None) -> Request:
    """Read a request body.

    Parameters
    ----------
    body : str or bytes
        The container passes str for exactly `text/csv` and `application/json`, otherwise bytes.
    content_type : str or None
        text/csv (with a header, or without one by position), application/json (the default: one record, a list of
        records, `[[...]]`, `{"instances": [[...]]}`, `{"columns": [...], "data": [[...]]}`), application/jsonlines,
        application/x-parquet or application/x-npy. Parameters are ignored.

    Raises
    ------
    RequestError
        415 for another content type, 413 for a body above the limits of a request, 400 for a malformed body.
    """
    media_type = (content_type or "").partition(";")[0].strip().lower()
    reader = _READERS.get(media_type or JSON)
    if reader is None:
        raise RequestError(415, f"content type {shown(media_type)} is not known; {_ACCEPTED}")
    try:
        return _read(body, reader)
    except RequestError as error:
        if not media_type:
            error.message += f" (the request names no Content-Type and was read as {JSON}; {_ACCEPTED})"
        raise


def _read(body: str | bytes, reader: Callable[[str | bytes], Request]) -> Request:
    if not body:
        raise RequestError(400, "the body is empty; rows of features are expected")
    request = reader(body)
    if request.rows == 0:
        raise RequestError(400, "the body has no rows")
    check_size(request.rows, request.width)
    return request


def matrix_of(request: Request, feature_names: list[str], may_be_missing: frozenset[str]) -> NDArray[np.float32]:
    """Extract the model's features from a request.

    Returns
    -------
    ndarray of shape (n_rows, n_features), float32

    Raises
    ------
    RequestError
        Status 400. A feature is missing, a request without names has too many columns, or a value is not a finite
        number. NaN and empty cells are accepted for features that were missing in training, too.
    """
    places = _places(request, feature_names)
    numbers = request.numbers(places)
    if numbers is not None:
        with np.errstate(over="ignore"):
            singles = numbers.astype(np.float32, copy=False)
        if np.isfinite(singles).all():
            return singles
    matrix = np.empty((request.rows, len(places)), dtype=np.float32)
    for number, (name, place) in enumerate(zip(feature_names, places, strict=True)):
        matrix[:, number] = _floats(name, request.columns[place], may_be_missing=name in may_be_missing)
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
            raise RequestError(
                400, f"the feature {name} is missing; the request has {_some(request.names)}", column=name
            )
    return [places[name] for name in features]


def _floats(name: str, values: list[Any], *, may_be_missing: bool) -> NDArray[np.float32]:
    doubles = _doubles(name, values)
    with np.errstate(over="ignore"):
        singles = doubles.astype(np.float32)
    infinite = np.isinf(singles)
    if infinite.any():
        row = int(infinite.argmax())
        raise RequestError(
            400, f"row {row} of {name} is {shown(values[row])}: infinite as a 32-bit float", row=row, column=name
        )
    missing = np.isnan(singles)
    if missing.any() and not may_be_missing:
        row = int(missing.argmax())
        raise RequestError(
            400, f"row {row} of {name} is missing or NaN, which never occurred in training", row=row, column=name
        )
    return singles


def _doubles(name: str, values: list[Any]) -> NDArray[np.float64]:
    for row, value in enumerate(values):
        _check_number(name, row, value)
    return np.array([math.nan if value is None or _is_blank(value) else float(value) for value in values])


def _check_number(name: str, row: int, value: Any) -> None:
    if value is ABSENT:
        raise RequestError(400, f"row {row} has no {name}", row=row, column=name)
    if not (value is None or _reads_as_float(value)):
        raise RequestError(400, f"row {row} of {name} is {shown(value)}, not a number", row=row, column=name)


def _reads_as_float(value: Any) -> bool:
    if isinstance(value, str):
        return is_number(value)
    try:
        return isinstance(value, float) or (type(value) is int and math.isfinite(value))
    except OverflowError:
        return False


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()


def _some(names: Sequence[str]) -> str:
    return ", ".join(shown(name)[1:-1] for name in names[:8]) + (
        f" and {len(names) - 8} more" if len(names) > 8 else ""
    )
