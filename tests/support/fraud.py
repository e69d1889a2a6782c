"""A table like the well-known card fraud data: 28 anonymous columns and an amount; and a model of it."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from anomaly_detection.artifact import pack
from tests.support.models import run_training_script

COLUMNS = [*(f"V{number}" for number in range(1, 29)), "Amount"]
FRAUDS = 20


def fraud_matrix(rows: int, seed: int = 0) -> np.ndarray:
    """Return doubles, shape (rows, 29); the last `FRAUDS` rows are frauds."""
    random = np.random.default_rng(seed)
    values = np.column_stack([random.normal(0, 1, (rows, 28)), random.lognormal(3, 1, rows)])
    values[-FRAUDS:, :28] += 5
    return values


def fraud_model(folder: Path) -> Path:
    """Train on a table without our schema, as anybody's may be, and return the model.tar.gz."""
    values = fraud_matrix(4000)[:-FRAUDS]
    table = pa.table({name: values[:, place] for place, name in enumerate(COLUMNS)})
    (folder / "train").mkdir(parents=True)
    pq.write_table(table, folder / "train" / "part.parquet")
    done = run_training_script(folder / "train", folder / "model", "--n_estimators", "50")
    assert done.returncode == 0, done.stderr
    pack(folder / "model", folder / "model.tar.gz")
    return folder / "model.tar.gz"
