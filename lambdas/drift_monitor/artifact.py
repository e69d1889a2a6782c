"""Reads a model artifact's description of its training rows. Pure: an open file in, a reference out."""

from __future__ import annotations

import json
import tarfile
from typing import TYPE_CHECKING, Any

from drift_monitor.reference import NoReferenceError, Reference, reference_of

if TYPE_CHECKING:
    from typing import IO

_MANIFEST, _BASELINE = "manifest.json", "baseline.json"


def read_reference(artifact: IO[bytes], model_name: str) -> Reference:
    """Read the description of the training rows in a model.tar.gz.

    Parameters
    ----------
    artifact : binary file
    model_name : str
        Named in the error message.

    Raises
    ------
    NoReferenceError
        The artifact has no baseline.json, or its baseline.json has too few days.
    """
    documents: dict[str, Any] = {}
    with tarfile.open(fileobj=artifact) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name in {_MANIFEST, _BASELINE} and (content := tar.extractfile(member)):
                documents[name] = json.loads(content.read())
    if _BASELINE not in documents:
        raise NoReferenceError(
            f"the artifact of the model {model_name} has no {_BASELINE}; write one at training with "
            "anomaly_detection.training.baseline.describe_table"
        )
    return reference_of(documents.get(_MANIFEST, {}), documents[_BASELINE])
