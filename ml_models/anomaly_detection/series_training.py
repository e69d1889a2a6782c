"""Fits the preprocessor of a pipeline for one series. Runs as a SageMaker training job or with `python -m`.

It writes the preprocessor's artifact to `SM_MODEL_DIR`, and features.parquet to `SM_OUTPUT_DATA_DIR`. The latter is the
training channel of `training_script`, which fits the forest of the pipeline.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from anomaly_detection.artifact import atomic_write
from anomaly_detection.errors import InputError
from anomaly_detection.feature_schema import SCHEMA_HASH_KEY, SCHEMA_KEY, canonical_json
from anomaly_detection.time_series.data import Series, read_series
from anomaly_detection.time_series.features import TIMESTAMP, features_of, series_schema
from anomaly_detection.time_series.preprocessor import save

if TYPE_CHECKING:
    from collections.abc import Mapping

BAD_INPUT = 2
FEATURES_FILE = "features.parquet"
DIRECTORIES = ("SM_CHANNEL_TRAIN", "SM_MODEL_DIR", "SM_OUTPUT_DATA_DIR")


def main(environment: Mapping[str, str] = os.environ) -> int:
    """Fit with the settings in SageMaker's environment variables.

    Returns
    -------
    int
        0, or 2 if the input cannot be used. The error message is then on stderr.
    """
    try:
        rows = fit(*(_directory(environment, name) for name in DIRECTORIES))
    except InputError as error:
        print(f"series_training: {error}", file=sys.stderr)
        return BAD_INPUT
    print(f"rows={rows};")
    return 0


def _directory(environment: Mapping[str, str], name: str) -> Path:
    if not environment.get(name):
        raise InputError(f"{name} is not set; set it to a directory, as in a SageMaker training job")
    return Path(environment[name])


def fit(channel: Path, model_dir: Path, output_dir: Path) -> int:
    """Write the preprocessor and the features for training its forest. Return the number of rows.

    Raises
    ------
    InputError
        The channel does not have exactly one CSV file, the file is not a series of at least two rows, or the
        directories cannot be written.
    """
    files = sorted(path for path in channel.rglob("*.csv") if not path.name.startswith((".", "_")))
    if len(files) != 1:
        raise InputError(f"the training channel {channel} has {len(files)} .csv files; one series is expected")
    series = read_series(files[0], files[0].name)
    if len(series.values) < 2:
        raise InputError(f"{files[0].name} has {len(series.values)} rows; at least 2 are needed")
    try:
        save(model_dir, series)
        _write_features(output_dir / FEATURES_FILE, series)
    except OSError as error:
        raise InputError(f"cannot write {error.filename or model_dir}: {error.strerror}") from error
    return len(series.values)


def _write_features(path: Path, series: Series) -> None:
    schema = series_schema()
    matrix = features_of(series.seconds, series.values)
    columns = {TIMESTAMP: pa.array(series.seconds, pa.timestamp("s", "UTC"))}
    columns |= {name: pa.array(column) for name, column in zip(schema.feature_names, matrix.T, strict=True)}
    metadata = {SCHEMA_KEY: canonical_json(schema.document), SCHEMA_HASH_KEY: schema.hash}
    with atomic_write(path) as beside:
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), beside)


if __name__ == "__main__":
    sys.exit(main())
