"""Finds the serving model's artifact in SageMaker and reads it from S3."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from drift_monitor.artifact import read_reference
from drift_monitor.reference import NoReferenceError

if TYPE_CHECKING:
    from drift_monitor.reference import Reference


def current_model(sagemaker: Any, endpoint_name: str) -> str:
    """Return the name of the model that an endpoint serves."""
    endpoint = sagemaker.describe_endpoint(EndpointName=endpoint_name)
    configuration = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    return str(configuration["ProductionVariants"][0]["ModelName"])


def reference_of_model(sagemaker: Any, s3: Any, model_name: str) -> Reference:
    """Read the description of a model's training rows.

    Raises
    ------
    NoReferenceError
        The model has no artifact, or its artifact does not describe the training days.
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
        return read_reference(file, model_name)
