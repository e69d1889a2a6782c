"""Which model scores, and where its artifact lies."""

from __future__ import annotations

import tarfile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from batch_scorer.contract import read_contract

if TYPE_CHECKING:
    from pathlib import Path

    from batch_scorer.contract import Contract


class ModelError(RuntimeError):
    """The current model cannot be told, or its artifact not be read."""


def current_model(sagemaker: Any, endpoint_name: str) -> str:
    """Return the name of the model that an endpoint serves."""
    endpoint = sagemaker.describe_endpoint(EndpointName=endpoint_name)
    configuration = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    return str(configuration["ProductionVariants"][0]["ModelName"])


def contract_of(sagemaker: Any, s3: Any, model_name: str, folder: Path) -> Contract:
    """Read what a model takes from its artifact.

    Raises
    ------
    ModelError
        The model has no artifact, or one that cannot be read.
    """
    url = _artifact_url(sagemaker, sagemaker.describe_model(ModelName=model_name))
    artifact = folder / "model.tar.gz"
    address = urlparse(url)
    s3.download_file(address.netloc, address.path.lstrip("/"), str(artifact))
    try:
        return read_contract(artifact)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise ModelError(f"the artifact {url} of model {model_name} cannot be read: {error}") from error


def _artifact_url(sagemaker: Any, model: dict[str, Any]) -> str:
    container = model.get("PrimaryContainer") or model["Containers"][-1]
    if package := container.get("ModelPackageName"):
        described = sagemaker.describe_model_package(ModelPackageName=package)
        container = described["InferenceSpecification"]["Containers"][0]
    if "ModelDataUrl" not in container:
        raise ModelError(f"the model {model['ModelName']} has no artifact")
    return str(container["ModelDataUrl"])
