"""The rows of a day, an hour or a whole table, as the monitor sees them: features, scores, keys. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

import numpy as np

# Of the series in which something happened on the day.
OUTLIERS = 0.1


@dataclass(frozen=True)
class Day:
    """One day, hour or table of what was sent to the model and what it answered.

    Parameters
    ----------
    day : str
        Such as "2026-11-24"; of an hour "2026-11-24T07", and of a table without hours its name.
    columns : dict of str to ndarray of float64, shape (n_rows,)
        The features that are there; NaN is missing.
    scores : ndarray of float64, shape (n_rows,)
        `anomaly_score`; NaN where another model than the serving one answered.
    categories : dict of str to ndarray of object, shape (n_rows,)
        Keys; none where rows have no keys.
    wrong_types : dict of str to str
        Features whose column is no number, to what it is.
    unread : int
        Records of the day that could not be read.
    series : ndarray of int, shape (n_rows,), or None
        Number of each row's series; None where rows have no keys.
    kind : str
        "day", "hour" or "batch", a table that is judged by itself.
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
        """Monday is 0; None for what is no whole day."""
        return date.fromisoformat(self.day).weekday() if self.kind == "day" else None

    @property
    def folder(self) -> str:
        """Where the files go, such as `day=2026-11-24/`."""
        return f"{self.kind}={self.day}/"

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.scores)

    @property
    def is_telling(self) -> np.ndarray:
        """The rows that are not zero throughout, shape (n_rows,)."""
        telling = np.zeros(self.rows, bool)
        for values in self.columns.values():
            telling |= values != 0
        return telling

    @property
    def flagged_share(self) -> float | None:
        """Of the rows that are not zero throughout and that the serving model scored; None where there are none."""
        told = self.is_telling & ~np.isnan(self.scores)
        return float(np.mean(self.scores[told] < 0)) if told.any() else None

    @property
    def is_common(self) -> np.ndarray:
        """All rows but those of the tenth of the series that score lowest, shape (n_rows,).

        An incident is a few series that are far out, for a week in features that look back a week; drift is many.
        """
        if self.series is None or not self.rows:
            return np.ones(self.rows, bool)
        lowest = np.full(self.series.max() + 1, np.inf)
        told = self.is_telling & ~np.isnan(self.scores)
        np.minimum.at(lowest, self.series[told], self.scores[told])
        ranked = np.argsort(lowest, kind="stable")
        outliers = ranked[: int(OUTLIERS * np.isfinite(lowest).sum())]
        return ~np.isin(self.series, outliers)
