"""What a model takes, read from its own artifact: an artifact without a manifest takes any table of numbers."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

MANIFEST, BASELINE = "manifest.json", "baseline.json"
SCORES = "text/csv;output=scores"
# The metadata of a file that name an approved model package to score it with.
MODEL_PACKAGE = "model-package"
ANY_CSV = "text/csv"


@dataclass(frozen=True)
class Contract:
    """What a model takes, and how it is asked.

    Parameters
    ----------
    features : list of str or None
        Columns in the model's order; None where the artifact does not say: all columns then, as they stand.
    may_be_missing : frozenset of str
        Features that may be empty; without `features`, none may.
    accept : str
        What the job asks the container for.
    model_id : str
        The first half of the forest's hash, as in scored rows and alerts; empty where the artifact does not say.
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
