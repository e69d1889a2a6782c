"""Trained artifacts, made by the training script as SageMaker runs it."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from egress_features import FEATURES, schema_hash, schema_json

NAMES = [feature.name for feature in FEATURES]


def matrix(rows: int, seed: int = 0) -> np.ndarray:
    """Return float32 features, shape (rows, 5)."""
    return np.random.default_rng(seed).normal(0, 1, (rows, len(NAMES))).astype(np.float32)


def named(forest: Any, values: np.ndarray) -> pd.DataFrame:
    """Return rows as the DataFrame that a saved forest takes without a warning."""
    return pd.DataFrame(values, columns=forest.feature_names_in_)


def write_part(path: Path, values: np.ndarray, *, with_schema: bool = True) -> Path:
    """Write one parquet part of a training channel."""
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({name: values[:, i] for i, name in enumerate(NAMES)})
    if with_schema:
        metadata = {"egress_sentinel.schema": schema_json(), "egress_sentinel.schema_hash": schema_hash()}
        table = table.replace_schema_metadata(metadata)
    pq.write_table(table, path)
    return path


def write_hours(path: Path, rows: int = 1200) -> Path:
    """Write features of four series from 2026-01-01 on, one row each an hour, without our schema."""
    hours = np.datetime64("2026-01-01T00", "us") + np.repeat(np.arange(rows // 4), 4) * np.timedelta64(3600, "s")
    table = pa.table({"hour_utc": pa.array(hours, pa.timestamp("us", "UTC"))})
    values = matrix(rows)
    for place, name in enumerate(NAMES):
        table = table.append_column(name, pa.array(values[:, place]))
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return path


def run_training_script(
    channel: Path, model_dir: Path, *arguments: str, python: str = sys.executable, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run the script as the container does: the environment names the folders, hyperparameters are arguments."""
    output = model_dir.parent / f"{model_dir.name}-output"
    for folder in (model_dir, output):
        folder.mkdir(parents=True, exist_ok=True)
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("SM_", "PYTHON"))} | {
        "SM_CHANNEL_TRAIN": str(channel),
        "SM_MODEL_DIR": str(model_dir),
        "SM_OUTPUT_DATA_DIR": str(output),
        "TRAINING_JOB_NAME": "egress-2026-11-01",
    }
    return subprocess.run(
        [python, "-m", "anomaly_detection.training_script", *arguments],
        env=environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
    )
