"""pandas DataFrames, as data scientists hold their rows, beside the requests that the container reads."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from anomaly_detection.content_types.rows import Request

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def is_frame(value: Any) -> TypeGuard[pd.DataFrame]:
    """Return whether a value is a DataFrame, without loading pandas: who has one has loaded it."""
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def request_of_frame(frame: pd.DataFrame) -> Request:
    """Return a DataFrame's rows as those of a request."""
    names = [str(name) for name in frame.columns]

    def read() -> list[list[Any]]:
        return [plain_values(frame, place) for place in range(len(names))]

    def numbers(places: list[int]) -> NDArray[Any] | None:
        kinds = [frame.dtypes.iloc[place] for place in places]
        is_plain = all(isinstance(kind, np.dtype) and kind.kind in "fiu" for kind in kinds)
        return frame.iloc[:, places].to_numpy() if is_plain else None

    return Request("records", names, len(names), len(frame), read, numbers)


def plain_values(frame: pd.DataFrame, place: int) -> list[Any]:
    """Return a column's values in Python, None where one is missing."""
    column = frame.iloc[:, place]
    values: list[Any] = column.astype(object).where(column.notna(), None).tolist()
    return values
