"""The rows of a day, an hour or a whole table: features, scores and keys. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np

# Share of the series with scored rows that count as outliers.
OUTLIERS = 0.1


@dataclass(frozen=True)
class Day:
    """The model's input and output of one day, one hour or one table.

    Parameters
    ----------
    day : str
        Such as "2026-11-24". An hour is "2026-11-24T07". A table without hours is named by its file.
    columns : dict of str to ndarray of float64, shape (n_rows,)
        The features that the rows have. NaN is a missing value.
    scores : ndarray of float64, shape (n_rows,)
        `anomaly_score`. NaN if another model than the serving one scored the row.
    categories : dict of str to ndarray of object, shape (n_rows,)
        Keys. Empty if the rows have no keys.
    wrong_types : dict of str to str
        Features whose column is not numeric, mapped to the column's type.
    unread : int
        The number of records that could not be read.
    series : ndarray of int, shape (n_rows,), or None
        The index of each row's series. None if the rows have no keys.
    kind : str
        "day", "hour" or "batch" (a table that is checked without earlier days).
    """

    day: str
    columns: dict[str, np.ndarray]
    scores: np.ndarray
    categories: dict[str, np.ndarray] = field(default_factory=dict)
    wrong_types: dict[str, str] = field(default_factory=dict)
    unread: int = 0
    series: np.ndarray | None = None
    kind: Literal["day", "hour", "batch"] = "day"

    @property
    def weekday(self) -> int | None:
        """Monday is 0. None unless this is a whole day."""
        return date.fromisoformat(self.day).weekday() if self.kind == "day" else None

    @property
    def folder(self) -> str:
        """The folder of the result files, such as `day=2026-11-24/`."""
        return f"{self.kind}={self.day}/"

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.scores)

    @property
    def is_nonzero(self) -> np.ndarray:
        """Whether any feature of a row is not zero, shape (n_rows,)."""
        nonzero = np.zeros(self.rows, bool)
        for values in self.columns.values():
            nonzero |= values != 0
        return nonzero

    @property
    def flagged_share(self) -> float | None:
        """Share of anomalous rows among the nonzero rows that the serving model scored. None if there are none."""
        scored = self.is_nonzero & ~np.isnan(self.scores)
        return float(np.mean(self.scores[scored] < 0)) if scored.any() else None

    @property
    def is_common(self) -> np.ndarray:
        """Whether a row is outside the 10 % of the series with the lowest scores, shape (n_rows,).

        An incident affects few series, but for a week in features that look back a week. Drift affects many series.
        """
        if self.series is None or not self.rows:
            return np.ones(self.rows, bool)
        lowest = np.full(self.series.max() + 1, np.inf)
        scored = self.is_nonzero & ~np.isnan(self.scores)
        np.minimum.at(lowest, self.series[scored], self.scores[scored])
        ranked = np.argsort(lowest, kind="stable")
        outliers = ranked[: int(OUTLIERS * np.isfinite(lowest).sum())]
        return ~np.isin(self.series, outliers)
