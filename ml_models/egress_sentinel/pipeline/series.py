"""Finds incidents in a `timestamp,value` series, locally or with a pipeline's scores, and trains that pipeline."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_detection.artifact import pack
from anomaly_detection.errors import InputError
from anomaly_detection.series_training import FEATURES_FILE
from anomaly_detection.time_series.data import Series, read_series
from anomaly_detection.time_series.detector import SeriesScores, SeriesSettings, decide, find_incidents
from anomaly_detection.time_series.features import DAY_SECONDS, DAYS, LONGEST, STALE_SECONDS
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.training import train
from egress_sentinel.serving.local_pipeline import Container, LocalPipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from numpy.typing import NDArray

PROGRAM = "anomaly_detection.series_training"
PREPROCESSOR_TAR, MODEL_TAR = "preprocessor.tar.gz", "model.tar.gz"
PREPROCESSOR_ENVIRONMENT = {"SAGEMAKER_PROGRAM": "anomaly_detection.series_preprocessor"}
FOREST_ENVIRONMENT = {
    "SAGEMAKER_PROGRAM": "anomaly_detection.inference_script",
    "DEFAULT_OUTPUT": "random-cut-forest",
}
CSV, JSON = "text/csv", "application/json"
# The lines to score per request, and the most lines of history per request: together about 2 MB.
WINDOW_ROWS, MOST_HISTORY_ROWS = 1000, 50_000
REAL_TIME_MB = 6.0


def read(path: Path) -> Series:
    """Read a CSV file, as `time_series.data.read_series` does.

    Raises
    ------
    UserError
        The file is not a series.
    """
    try:
        return read_series(path, str(path))
    except InputError as error:
        raise UserError(str(error)) from error


def detect(path: Path, series: Series, settings: SeriesSettings) -> SeriesScores:
    """Find a series' incidents with locally fitted forests.

    Raises
    ------
    UserError
        The series is too short.
    """
    try:
        return find_incidents(series.seconds, series.values, settings)
    except InputError as error:
        raise UserError(f"{path}: {error}") from error


def detect_with(invoke: Callable[[str], bytes], path: Path, series: Series, settings: SeriesSettings) -> SeriesScores:
    """Find a series' incidents with the scores of a pipeline, requested window by window.

    Raises
    ------
    UserError
        The series is too short, or a response is not `{"scores": [{"score": ...}]}` with a score for each line.
    """
    try:
        return decide(scores_of(invoke, series), settings)
    except InputError as error:
        raise UserError(f"{path}: {error}") from error


def scores_of(invoke: Callable[[str], bytes], series: Series) -> NDArray[np.float64]:
    """Return the scores of a series' lines. Each request also has the seven days before its window as history."""
    lines = [
        f"{time},{value!r}" for time, value in zip(series.timestamps, np.asarray(series.values).tolist(), strict=True)
    ]
    parts = []
    for start in range(0, len(lines), WINDOW_ROWS):
        first = _first_of_history(series.seconds, start)
        window = lines[first : start + WINDOW_ROWS]
        answer = invoke("\n".join(window) + "\n")
        try:
            scores = [float(record["score"]) for record in json.loads(answer)["scores"]]
        except (ValueError, LookupError, TypeError) as error:
            raise UserError(
                f"the endpoint answers {answer[:80]!r}; {{'scores': [{{'score': ...}}]}} is expected"
            ) from error
        if len(scores) != len(window):
            raise UserError(f"the endpoint answers {len(scores)} scores to {len(window)} lines")
        parts.append(scores[start - first :])
    return np.concatenate([np.asarray(part, float) for part in parts])


def _first_of_history(seconds: NDArray[np.int64], start: int) -> int:
    oldest = int(np.searchsorted(seconds, seconds[start] - DAYS * DAY_SECONDS - STALE_SECONDS))
    return max(min(oldest, start - 2 * LONGEST), start - MOST_HISTORY_ROWS, 0)


@contextmanager
def local_pipeline(folder: Path) -> Iterator[Callable[[str], bytes]]:
    """Serve the two artifacts of `train_pipeline` during a block. Yield a function that invokes the pipeline."""
    containers = [
        Container(folder / PREPROCESSOR_TAR, PREPROCESSOR_ENVIRONMENT, "preprocessor"),
        Container(folder / MODEL_TAR, FOREST_ENVIRONMENT, "forest"),
    ]
    with LocalPipeline(containers, endpoint_name="series", body_limit_mb=REAL_TIME_MB) as pipeline:

        def invoke(lines: str) -> bytes:
            answer = pipeline.invoke(lines.encode(), {"Content-Type": CSV, "Accept": JSON})
            if answer.status != 200:
                message = answer.json().get("OriginalMessage") or answer.data.decode()
                raise UserError(f"the pipeline answers {answer.status}: {message}")
            return answer.data

        yield invoke


def endpoint(name: str) -> Callable[[str], bytes]:
    """Return a function that invokes an endpoint in AWS, with boto3's default credentials and endpoints."""
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        runtime = boto3.client("sagemaker-runtime")
    except BotoCoreError as error:
        raise UserError(f"cannot invoke {name}: {error}") from error

    def invoke(lines: str) -> bytes:
        try:
            answer = runtime.invoke_endpoint(EndpointName=name, ContentType=CSV, Accept=JSON, Body=lines)
        except (BotoCoreError, ClientError) as error:
            raise UserError(f"cannot invoke {name}: {error}") from error
        return answer["Body"].read()

    return invoke


def train_pipeline(path: Path, directory: Path, hyperparameters: Mapping[str, str]) -> dict[str, Any]:
    """Fit the preprocessor and the forest with the scripts that SageMaker runs. Write both artifacts.

    Parameters
    ----------
    path : Path
        The series.
    directory : Path
        The folder for preprocessor.tar.gz and model.tar.gz.
    hyperparameters : mapping of str to str
        Hyperparameters of the forest.

    Returns
    -------
    dict
        The forest's metrics.json.

    Raises
    ------
    UserError
        The series cannot be used, or the directory cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="egress-sentinel-series-") as temporary:
        job = Path(temporary)
        for name in ("train", "model", "output"):
            (job / name).mkdir()
        try:
            (job / "train" / "series.csv").write_bytes(path.read_bytes())
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from error
        environment = {"SM_CHANNEL_TRAIN": "train", "SM_MODEL_DIR": "model", "SM_OUTPUT_DATA_DIR": "output"}
        done = subprocess.run(
            [sys.executable, "-m", PROGRAM],
            env=os.environ | {name: str(job / folder) for name, folder in environment.items()},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            lines = done.stderr.strip().splitlines() or [f"{PROGRAM} ended with status {done.returncode}"]
            raise UserError(lines[-1].replace("series.csv", str(path)))
        try:
            directory.mkdir(parents=True, exist_ok=True)
            pack(job / "model", directory / PREPROCESSOR_TAR)
        except OSError as error:
            raise UserError(f"cannot write {directory}: {error.strerror}") from error
        return train(job / "output" / FEATURES_FILE, directory / MODEL_TAR, hyperparameters=hyperparameters)


def alert_records(series: Series, scores: SeriesScores) -> list[dict[str, Any]]:
    """Return the alerts as in the JSON output."""
    values = np.asarray(series.values).tolist()
    return [
        {
            "incident": alert.incident,
            "timestamp": series.timestamps[alert.row],
            "value": values[alert.row],
            "score": alert.score,
            "tail_probability": alert.tail_probability,
            "reasons": [{"feature": name, "splits_saved": saved} for name, saved in alert.reasons],
        }
        for alert in scores.alerts
    ]
