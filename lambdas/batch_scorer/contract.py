"""A model's input contract, read from its artifact. A model without a manifest accepts any table of numbers."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST, BASELINE = "manifest.json", "baseline.json"
SCORES = "text/csv;output=scores"
# The metadata key of an uploaded file that names the approved model package to score it with.
MODEL_PACKAGE = "model-package"
ANY_CSV = "text/csv"


@dataclass(frozen=True)
class Contract:
    """The columns that a model accepts, and how to request its scores.

    Parameters
    ----------
    features : list of str or None
        Columns in the model's order. None if the artifact names none: the file's columns are then sent in file order.
    may_be_missing : frozenset of str
        Features that may be empty. Without `features`, no cell may be empty.
    accept : str
        The Accept header of the job's requests.
    model_id : str
        The first half of the forest's hash, as in scored rows and alerts. Empty if the artifact has no hash.
    """

    features: list[str] | None
    may_be_missing: frozenset[str]
    accept: str
    model_id: str = ""


def read_contract(artifact: Path) -> Contract:
    """Read a model.tar.gz.

    Raises
    ------
    OSError, tarfile.TarError, ValueError
        It cannot be read.
    """
    documents: dict[str, Any] = {}
    with tarfile.open(artifact) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name in {MANIFEST, BASELINE} and (file := tar.extractfile(member)):
                documents[name] = json.loads(file.read())
    features = documents.get(MANIFEST, {}).get("feature_names")
    if features is None:
        return Contract(None, frozenset(), ANY_CSV)
    described = documents.get(BASELINE, {}).get("features", {})
    missing = frozenset(name for name in features if described.get(name, {}).get("missing_count"))
    files = documents[MANIFEST].get("files") or {}
    return Contract(features, missing, SCORES, str(files.get("model.joblib", ""))[:16])
