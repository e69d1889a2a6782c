"""A day's rows as the monitor sees them: features, scores, keys. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True)
class Day:
    """One day of what was sent to the model and what it answered.

    Parameters
    ----------
    day : str
        Such as "2026-11-24".
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
    """

    day: str
    columns: dict[str, np.ndarray]
    scores: np.ndarray
    categories: dict[str, np.ndarray] = field(default_factory=dict)
    wrong_types: dict[str, str] = field(default_factory=dict)
    unread: int = 0

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
