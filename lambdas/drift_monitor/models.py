"""The serving model's own description of its training days, from its artifact."""

from __future__ import annotations

import json
import tarfile
import tempfile
from typing import Any
from urllib.parse import urlparse

from drift_monitor.reference import NoReferenceError, Reference, reference_of

MANIFEST, BASELINE = "manifest.json", "baseline.json"


def current_model(sagemaker: Any, endpoint_name: str) -> str:
    """Return the name of the model that an endpoint serves."""
    endpoint = sagemaker.describe_endpoint(EndpointName=endpoint_name)
    configuration = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    return str(configuration["ProductionVariants"][0]["ModelName"])


def read_reference(sagemaker: Any, s3: Any, model_name: str) -> Reference:
    """Read what a model was trained on.

    Raises
    ------
    NoReferenceError
        The artifact does not say, such as one of one's own.
    """
    model = sagemaker.describe_model(ModelName=model_name)
    container = model.get("PrimaryContainer") or model["Containers"][-1]
    if package := container.get("ModelPackageName"):
        described = sagemaker.describe_model_package(ModelPackageName=package)
        container = described["InferenceSpecification"]["Containers"][0]
    if "ModelDataUrl" not in container:
        raise NoReferenceError(f"the model {model_name} has no artifact")
    address = urlparse(str(container["ModelDataUrl"]))
    with tempfile.NamedTemporaryFile(suffix=".tar.gz") as file:
        s3.download_fileobj(address.netloc, address.path.lstrip("/"), file)
        file.seek(0)
        documents = _documents(file)
    if not {MANIFEST, BASELINE} <= documents.keys():
        raise NoReferenceError(f"the artifact of the model {model_name} has no {MANIFEST} and {BASELINE}")
    return reference_of(documents[MANIFEST], documents[BASELINE])


def _documents(file: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with tarfile.open(fileobj=file) as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if name in {MANIFEST, BASELINE} and (content := tar.extractfile(member)):
                found[name] = json.loads(content.read())
    return found
