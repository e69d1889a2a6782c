"""Requests: any content type in, and the float32 matrix that the forest takes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_detection.content_types.array_rows import read_npy, read_parquet
from anomaly_detection.content_types.csv_rows import read_csv
from anomaly_detection.content_types.json_rows import read_json, read_json_lines
from anomaly_detection.content_types.rows import ABSENT, CSV, JSON, JSON_LINES, Request
from anomaly_detection.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from anomaly_detection.model import Model

_READERS: dict[str, Callable[[str | bytes], Request]] = {
    CSV: read_csv,
    JSON: read_json,
    JSON_LINES: read_json_lines,
    "application/x-parquet": read_parquet,
    "application/x-npy": read_npy,
}


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


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
