"""Checks and loads a model directory. A forest that does not match its manifest is never served."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from anomaly_detection.artifact import (
    BASELINE_FILE,
    MANIFEST_FILE,
    MANIFEST_VERSION,
    MODEL_FILE,
    sha256,
)
from anomaly_detection.content_types.array_rows import request_of_array
from anomaly_detection.errors import ArtifactError, RequestError
from anomaly_detection.feature_schema import FeatureSchema
from anomaly_detection.forest import FOREST_FILE, FlatForest
from anomaly_detection.frames import is_frame, request_of_frame
from anomaly_detection.request import matrix_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from anomaly_detection.content_types.rows import Request

TRAIN_AGAIN = "train again with anomaly_detection.training_script"


@dataclass(frozen=True)
class Model:
    """A loaded forest.

    Parameters
    ----------
    forest : FlatForest
        Scores float32 matrices whose columns are `feature_names`, as scikit-learn's forest does.
    feature_names : list of str
        The features in the forest's order.
    may_be_missing : frozenset of str
        The features that had missing values in training. Only these may be NaN.
    manifest : dict
        manifest.json, which identifies the model.
    """

    forest: FlatForest
    feature_names: list[str]
    may_be_missing: frozenset[str]
    manifest: dict[str, Any]

    def decision_function(self, rows: Any) -> NDArray[np.float64]:
        """Return scikit-learn's `decision_function`, bit for bit: lower is more anomalous, below 0 is anomalous.

        Parameters
        ----------
        rows : DataFrame or array-like of shape (n_rows, n_features)
            A DataFrame with the features among its columns, in any order, or an array in the model's order.

        Returns
        -------
        ndarray of shape (n_rows,), float64

        Raises
        ------
        ValueError
            A feature is missing, or a value is not a finite number.
        """
        return self.forest.scores(self._matrix(rows))

    def score_samples(self, rows: Any) -> NDArray[np.float64]:
        """Return scikit-learn's `score_samples`, bit for bit. `rows` is as for `decision_function`."""
        return self.forest.score_samples(self._matrix(rows))

    def predict(self, rows: Any) -> NDArray[np.int64]:
        """Return -1 for anomalous rows and 1 for others, as scikit-learn does. `rows` is as for `decision_function`."""
        return np.where(self.decision_function(rows) < 0, -1, 1)

    def matrix_of(self, request: Request) -> NDArray[np.float32]:
        """Extract the features from a request; see `request.matrix_of`."""
        return matrix_of(request, self.feature_names, self.may_be_missing)

    def _matrix(self, rows: Any) -> NDArray[np.float32]:
        try:
            return self.matrix_of(request_of_frame(rows) if is_frame(rows) else request_of_array(rows))
        except RequestError as error:
            raise ValueError(error.message) from error


def load(model_dir: Path) -> Model:
    """Load a model directory.

    Raises
    ------
    ArtifactError
        The directory is incomplete, was changed after training, or belongs to another scikit-learn version. The message
        names the fix.
    """
    manifest = _read_json(model_dir, MANIFEST_FILE)
    if manifest.get("manifest_version") != MANIFEST_VERSION:
        raise ArtifactError(
            f"{MANIFEST_FILE} has manifest_version {manifest.get('manifest_version')!r}, but this code serves "
            f"{MANIFEST_VERSION}; serve with the code/ of the artifact itself, or {TRAIN_AGAIN}"
        )
    _check_files(model_dir, manifest)
    schema = _schema(manifest)
    _check_library(manifest)
    forest = _load_forest(model_dir, manifest, schema)
    missing = _may_be_missing(_read_json(model_dir, BASELINE_FILE), schema)
    return Model(forest, schema.feature_names, missing, manifest)


def _read_json(model_dir: Path, name: str) -> dict[str, Any]:
    path = model_dir / name
    if not path.is_file():
        raise ArtifactError(f"the model directory has no {name}; unpack the whole model.tar.gz, or {TRAIN_AGAIN}")
    try:
        document = json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{name} is not JSON ({error}); unpack model.tar.gz again, or {TRAIN_AGAIN}") from error
    if not isinstance(document, dict):
        raise ArtifactError(f"{name} is not a JSON object; unpack model.tar.gz again, or {TRAIN_AGAIN}")
    return document


def _check_files(model_dir: Path, manifest: dict[str, Any]) -> None:
    stated = manifest.get("files")
    if not isinstance(stated, dict) or not all(isinstance(name, str) and Path(name).name == name for name in stated):
        raise ArtifactError(f"files in {MANIFEST_FILE} does not map names to hashes; {TRAIN_AGAIN}")
    for name in sorted({MODEL_FILE, FOREST_FILE, BASELINE_FILE, *stated}):
        path = model_dir / name
        if not path.is_file():
            raise ArtifactError(f"the model directory has no {name}; unpack the whole model.tar.gz, or {TRAIN_AGAIN}")
        if sha256(path) != stated.get(name):
            raise ArtifactError(
                f"{name} is not the file that {MANIFEST_FILE} was written for (its sha256 differs); "
                f"unpack model.tar.gz again, or {TRAIN_AGAIN}"
            )


def _schema(manifest: dict[str, Any]) -> FeatureSchema:
    try:
        schema = FeatureSchema(manifest.get("schema") or {})
    except ValueError as error:
        raise ArtifactError(f"the schema in {MANIFEST_FILE} is unusable ({error}); {TRAIN_AGAIN}") from error
    if schema.hash != manifest.get("schema_hash"):
        raise ArtifactError(f"the schema_hash in {MANIFEST_FILE} is not that of its schema; {TRAIN_AGAIN}")
    if schema.feature_names != manifest.get("feature_names"):
        raise ArtifactError(f"the feature_names in {MANIFEST_FILE} are not those of its schema; {TRAIN_AGAIN}")
    return schema


def _check_library(manifest: dict[str, Any]) -> None:
    trained = str((manifest.get("versions") or {}).get("scikit-learn"))
    here = version("scikit-learn")
    if trained.split(".")[:2] != here.split(".")[:2]:
        raise ArtifactError(
            f"the model was trained with scikit-learn {trained}, but {here} is installed here; serve with the "
            f"container or environment whose major.minor is the same, or {TRAIN_AGAIN} in this one"
        )


def _load_forest(model_dir: Path, manifest: dict[str, Any], schema: FeatureSchema) -> FlatForest:
    """Read forest.npz. model.joblib is a pickle, which could run any code, so it is never loaded here."""
    try:
        forest = FlatForest.load(model_dir / FOREST_FILE)
    except ValueError as error:
        raise ArtifactError(f"{error}; {TRAIN_AGAIN}") from error
    if forest.n_features != len(schema.feature_names):
        raise ArtifactError(
            f"{FOREST_FILE} takes {forest.n_features} features, but {MANIFEST_FILE} names {len(schema.feature_names)}; "
            f"{TRAIN_AGAIN}"
        )
    if forest.offset != manifest.get("threshold"):
        raise ArtifactError(
            f"{FOREST_FILE} has the threshold {forest.offset}, but {MANIFEST_FILE} has {manifest.get('threshold')}; "
            f"{TRAIN_AGAIN}"
        )
    return forest


def _may_be_missing(baseline: dict[str, Any], schema: FeatureSchema) -> frozenset[str]:
    try:
        return frozenset(name for name in schema.feature_names if baseline["features"][name]["missing_count"])
    except (LookupError, TypeError) as error:
        raise ArtifactError(f"{BASELINE_FILE} does not describe each feature of the schema; {TRAIN_AGAIN}") from error
