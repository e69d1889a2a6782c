"""The preprocessor of a serial inference pipeline: it computes the features of lines that follow a training series.

Its artifact, written by `series_training`, is the series that the forest was trained on. Features depend on past rows,
which come from this series and then from the request. Directly after the end of the training series, a request of one
line is enough. Later, the request must also contain a window of earlier lines, for the history that the series lacks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from anomaly_detection.artifact import MANIFEST_FILE, copy_code, library_versions, sha256, write_json
from anomaly_detection.errors import ArtifactError
from anomaly_detection.npy import read_npz
from anomaly_detection.time_series.features import SERIES_FEATURE_NAMES, SeriesState, advance, series_schema

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from anomaly_detection.time_series.data import Series

SERIES_FILE = "series.npz"
KIND = "series_preprocessor"
MOST_BYTES = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Preprocessor:
    """The training series and the state at its end.

    Parameters
    ----------
    seconds : ndarray of shape (n_rows,), int64
    values : ndarray of shape (n_rows,), float64
    end : SeriesState
        The state after the last row, so that a request that continues the series does not process it again.
    """

    seconds: NDArray[np.int64]
    values: NDArray[np.float64]
    end: SeriesState

    @classmethod
    def of(cls, seconds: NDArray[np.int64], values: NDArray[np.float64]) -> Preprocessor:
        """Create a preprocessor from a series in time order."""
        return cls(seconds, values, advance(SeriesState.empty(), seconds, values)[1])

    def features(self, seconds: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float32]:
        """Return the features of lines that follow the part of the series before the first line.

        Parameters
        ----------
        seconds : ndarray of shape (n_rows,), int64
            Not decreasing, at least one.
        values : ndarray of shape (n_rows,), float64

        Returns
        -------
        ndarray of shape (n_rows, 16), float32
        """
        before = int(np.searchsorted(self.seconds, seconds[0]))
        state = self.end
        if before < len(self.seconds):
            state = advance(SeriesState.empty(), self.seconds[:before], self.values[:before])[1]
        return advance(state, seconds, values)[0]


def save(model_dir: Path, series: Series) -> None:
    """Write the preprocessor's artifact: series.npz, manifest.json and code/.

    Raises
    ------
    OSError
        The directory cannot be written.
    """
    model_dir.mkdir(parents=True, exist_ok=True)
    np.savez(model_dir / SERIES_FILE, seconds=series.seconds, values=series.values)
    copy_code(model_dir / "code")
    schema = series_schema()
    manifest = {
        "manifest_version": 1,
        "kind": KIND,
        "feature_names": schema.feature_names,
        "schema_hash": schema.hash,
        "training": {"rows": len(series.values), "start": series.timestamps[0], "end": series.timestamps[-1]},
        "versions": library_versions(),
        "files": {SERIES_FILE: sha256(model_dir / SERIES_FILE)},
    }
    write_json(model_dir / MANIFEST_FILE, manifest)


def load(folder: Path) -> Preprocessor:
    """Load the artifact.

    Raises
    ------
    ArtifactError
        The artifact is incomplete, was changed after training, or has other features than this code computes.
    """
    try:
        manifest = json.loads((folder / MANIFEST_FILE).read_bytes())
        stated, feature_names = manifest["files"][SERIES_FILE], manifest["feature_names"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ArtifactError(
            f"{MANIFEST_FILE} is missing or not from a preprocessor ({error}); serve the artifact of series_training"
        ) from error
    if feature_names != SERIES_FEATURE_NAMES:
        raise ArtifactError(f"{MANIFEST_FILE} has other features than this code computes; train both models again")
    path = folder / SERIES_FILE
    if not path.is_file() or sha256(path) != stated:
        raise ArtifactError(f"{SERIES_FILE} is missing or not the file that {MANIFEST_FILE} was written for")
    try:
        arrays = read_npz(path, MOST_BYTES)
        seconds, values = arrays["seconds"], arrays["values"]
    except (ValueError, LookupError) as error:
        raise ArtifactError(
            f"{SERIES_FILE} holds no series ({error}); serve the artifact of series_training"
        ) from error
    is_series = seconds.dtype == np.int64 and values.dtype == np.float64 and seconds.shape == values.shape
    if not is_series or seconds.ndim != 1 or not np.isfinite(values).all():
        raise ArtifactError(f"{SERIES_FILE} holds no times and finite values; serve the artifact of series_training")
    return Preprocessor.of(seconds, values)
