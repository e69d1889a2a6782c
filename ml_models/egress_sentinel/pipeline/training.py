"""Runs the training script locally, as a SageMaker training job does, and packs its output as model.tar.gz."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow.dataset as ds
import pyarrow.parquet as pq

from egress_alerts.exclusions import as_text, build_exclusions
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from egress_alerts.planned import PlannedEvent

PROGRAM = "anomaly_detection.training_script"


def train(
    features: Path,
    model_tar: Path,
    *,
    until: datetime | None = None,
    hyperparameters: Mapping[str, str] | None = None,
    feedback: Sequence[Mapping[str, Any]] = (),
    planned: Sequence[PlannedEvent] = (),
    alerts: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """Train on the hours before `until` and write model.tar.gz.

    Parameters
    ----------
    features : Path
        A processed_features.parquet.
    model_tar : Path
        The path of the artifact. An existing file is replaced only when training has succeeded.
    until : datetime, optional
        Training uses only the hours (UTC) before this one. By default, it uses all hours.
    hyperparameters : mapping of str to str, optional
        Name to JSON-encoded or plain value, as SageMaker passes them.
    feedback : sequence of mapping
        Records as `egress-sentinel feedback` writes them.
    planned : sequence of PlannedEvent
    alerts : sequence of mapping
        Alert records of earlier runs. `egress_alerts.exclusions` decides which hours of all three are left out.

    Returns
    -------
    dict
        The training job's metrics.json.

    Raises
    ------
    UserError
        The features cannot be read, or the training script failed. The message is then the script's.
    """
    with tempfile.TemporaryDirectory(prefix="egress-sentinel-train-") as temporary:
        job = Path(temporary)
        for name in ("train", "exclude", "model", "output"):
            (job / name).mkdir()
        _write_channel(features, job / "train" / "part-00000.parquet", until)
        exclusions = as_text(build_exclusions(alerts, feedback, planned))
        (job / "exclude" / "exclude.jsonl").write_text(exclusions, encoding="utf-8")
        _run_training_script(job, hyperparameters or {})
        _pack(job / "model", model_tar)
        metrics: dict[str, Any] = json.loads((job / "output" / "metrics.json").read_text(encoding="utf-8"))
    return metrics


def _write_channel(features: Path, part: Path, until: datetime | None) -> None:
    """Copy the training hours in batches, with the schema in the file's metadata."""
    try:
        dataset = ds.dataset(features, format="parquet")
        keep = None if until is None else ds.field("hour_utc") < until
        with pq.ParquetWriter(part, dataset.schema) as writer:
            for batch in dataset.to_batches(filter=keep):
                if batch.num_rows:
                    writer.write_batch(batch)
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read features from {features}: {error}") from error


def _run_training_script(job: Path, hyperparameters: Mapping[str, str]) -> None:
    arguments = [word for name, value in sorted(hyperparameters.items()) for word in (f"--{name}", value)]
    environment = os.environ | {
        "SM_CHANNEL_TRAIN": str(job / "train"),
        "SM_CHANNEL_EXCLUDE": str(job / "exclude"),
        "SM_MODEL_DIR": str(job / "model"),
        "SM_OUTPUT_DATA_DIR": str(job / "output"),
        "SM_HPS": json.dumps(dict(hyperparameters)),
    }
    done = subprocess.run(
        [sys.executable, "-m", PROGRAM, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines() or [f"the training script ended with status {done.returncode}"]
        raise UserError(lines[-1])


def _pack(model_dir: Path, model_tar: Path) -> None:
    from anomaly_detection.artifact import pack

    try:
        model_tar.parent.mkdir(parents=True, exist_ok=True)
        pack(model_dir, model_tar)
    except OSError as error:
        raise UserError(f"cannot write {model_tar}: {error.strerror}") from error
