"""Feature importance: the effect of each feature on the anomaly scores of rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.dataset as ds

from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.memory import load_model

if TYPE_CHECKING:
    from pathlib import Path

MAX_ROWS = 20_000
SEED = 42


class Importance(NamedTuple):
    """A feature's importance: its mean absolute attribution in splits, and its share of the sum over all features."""

    feature: str
    splits: float
    share: float


def importance_of(model_tar: Path, features: Path) -> list[Importance]:
    """Compute feature importance on rows, or on a random sample of 20,000 rows if there are more.

    Parameters
    ----------
    model_tar : Path
        A model.tar.gz of the training script.
    features : Path
        A parquet file with the model's columns.

    Returns
    -------
    list of Importance
        Sorted by importance, largest first.

    Raises
    ------
    UserError
        The model or the rows cannot be read, or the rows lack a feature.
    """
    model = load_model(model_tar)
    means = np.abs(model.forest.attributions(_rows(features, model.feature_names))).mean(axis=0)
    total = float(means.sum()) or 1.0
    found = [
        Importance(name, float(mean), float(mean) / total)
        for name, mean in zip(model.feature_names, means, strict=True)
    ]
    return sorted(found, key=lambda row: (-row.splits, row.feature))


def _rows(features: Path, names: list[str]) -> np.ndarray:
    try:
        dataset = ds.dataset(features, format="parquet")
        missing = [name for name in names if name not in dataset.schema.names]
        if missing:
            raise UserError(f"{features} has no column {missing[0]}, which the model requires")
        table = dataset.to_table(columns=names)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read features from {features}: {error}") from error
    if table.num_rows == 0:
        raise UserError(f"{features} has no rows")
    if table.num_rows > MAX_ROWS:
        drawn = np.random.default_rng(SEED).choice(table.num_rows, MAX_ROWS, replace=False)
        table = table.take(np.sort(drawn))
    return np.column_stack([table[name].to_numpy().astype(np.float32) for name in names])
