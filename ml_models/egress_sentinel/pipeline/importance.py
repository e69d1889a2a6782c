"""What a model looks at: how much each feature makes rows more or less anomalous, as numbers and as a picture."""

from __future__ import annotations

import tarfile
import tempfile
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow.dataset as ds

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anomaly_detection.model import Model

MAX_ROWS = 20_000
SEED = 42
_ROW, _LABEL, _BAR, _NUMBERS = 26, 210, 420, 130


class Importance(NamedTuple):
    """A feature's part in the scores: mean of its absolute attribution, in splits, and its share of all features'."""

    feature: str
    splits: float
    share: float


def importance_of(model_tar: Path, features: Path) -> list[Importance]:
    """Measure a model on rows, at most 20,000 of them drawn alike.

    Parameters
    ----------
    model_tar : Path
        A model.tar.gz of the training script.
    features : Path
        A parquet file with the model's columns.

    Returns
    -------
    list of Importance
        The largest first.

    Raises
    ------
    UserError
        The model or the rows cannot be read, or do not fit.
    """
    model = load_model(model_tar)
    means = np.abs(model.forest.attributions(_rows(features, model.feature_names))).mean(axis=0)
    total = float(means.sum()) or 1.0
    found = [
        Importance(name, float(mean), float(mean) / total)
        for name, mean in zip(model.feature_names, means, strict=True)
    ]
    return sorted(found, key=lambda row: (-row.splits, row.feature))


def picture(rows: Sequence[Importance], title: str) -> str:
    """Return an SVG of bars, the largest first."""
    largest = max((row.splits for row in rows), default=0.0) or 1.0
    width, height = _LABEL + _BAR + _NUMBERS, _ROW * (len(rows) + 2)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="13">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="20" font-weight="bold">{escape(title)}</text>',
    ]
    for number, row in enumerate(rows):
        y = _ROW * (number + 1) + 8
        bar = max(1.0, _BAR * row.splits / largest)
        lines += [
            f'<text x="{_LABEL - 8}" y="{y + 15}" text-anchor="end">{escape(row.feature)}</text>',
            f'<rect x="{_LABEL}" y="{y + 3}" width="{bar:.1f}" height="{_ROW - 8}" fill="#2f6f9f"/>',
            f'<text x="{_LABEL + bar + 6:.1f}" y="{y + 15}">{row.splits:.2f} splits, {row.share:.0%}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def load_model(model_tar: Path) -> Model:
    """Load a model.tar.gz.

    Raises
    ------
    UserError
        It cannot be read.
    """
    from anomaly_detection.errors import ArtifactError
    from anomaly_detection.model import load

    with tempfile.TemporaryDirectory(prefix="egress-sentinel-model-") as folder:
        try:
            with tarfile.open(model_tar) as archive:
                archive.extractall(folder, filter="data")
            return load(Path(folder))
        except (OSError, EOFError, tarfile.TarError, ArtifactError) as error:
            raise UserError(f"cannot read the model {model_tar}: {error}") from error


def _rows(features: Path, names: list[str]) -> np.ndarray:
    try:
        dataset = ds.dataset(features, format="parquet")
        missing = [name for name in names if name not in dataset.schema.names]
        if missing:
            raise UserError(f"{features} has no column {missing[0]}, which the model takes")
        table = dataset.to_table(columns=names)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read features from {features}: {error}") from error
    if table.num_rows == 0:
        raise UserError(f"{features} has no rows")
    if table.num_rows > MAX_ROWS:
        drawn = np.random.default_rng(SEED).choice(table.num_rows, MAX_ROWS, replace=False)
        table = table.take(np.sort(drawn))
    return np.column_stack([table[name].to_numpy().astype(np.float32) for name in names])
