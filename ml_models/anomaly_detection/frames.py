"""Scoring of pandas DataFrames, in addition to the container's requests."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from anomaly_detection.content_types.rows import Request

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def is_frame(value: Any) -> TypeGuard[pd.DataFrame]:
    """Return whether a value is a DataFrame, without importing pandas. A caller with a DataFrame has imported it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def request_of_frame(frame: pd.DataFrame) -> Request:
    """Convert a DataFrame to a request."""
    names = [str(name) for name in frame.columns]

    def read() -> list[list[Any]]:
        return [plain_values(frame, place) for place in range(len(names))]

    def numbers(places: list[int]) -> NDArray[Any] | None:
        kinds = [frame.dtypes.iloc[place] for place in places]
        is_plain = all(isinstance(kind, np.dtype) and kind.kind in "fiu" for kind in kinds)
        return frame.iloc[:, places].to_numpy() if is_plain else None

    return Request("records", names, len(names), len(frame), read, numbers)


def plain_values(frame: pd.DataFrame, place: int) -> list[Any]:
    """Return a column's values as Python objects. None is a missing value."""
    column = frame.iloc[:, place]
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return values
