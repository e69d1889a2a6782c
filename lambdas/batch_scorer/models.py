"""Finds the model that scores a file, and its artifact."""

from __future__ import annotations

import re
import tarfile
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from botocore.exceptions import ClientError

from batch_scorer.contract import read_contract
from batch_scorer.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from batch_scorer.contract import Contract
    from batch_scorer.settings import Settings


class ModelError(RuntimeError):
    """The model has no artifact, or its artifact cannot be read."""


def current_model(sagemaker: Any, endpoint_name: str) -> str:
    """Return the name of the model that an endpoint serves."""
    endpoint = sagemaker.describe_endpoint(EndpointName=endpoint_name)
    configuration = sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
    return str(configuration["ProductionVariants"][0]["ModelName"])


def artifact_of_model(sagemaker: Any, model_name: str) -> str:
    """Return the S3 address of a model's artifact.

    Raises
    ------
    ModelError
        The model has no artifact.
    """
    model = sagemaker.describe_model(ModelName=model_name)
    container = model.get("PrimaryContainer") or model["Containers"][-1]
    if package := container.get("ModelPackageName"):
        container = _container_of(sagemaker.describe_model_package(ModelPackageName=package))
    return _url(container, f"the model {model_name}")


def artifact_of_package(sagemaker: Any, package_arn: str, group: str) -> str:
    """Return the S3 address of the artifact of an approved model package.

    Raises
    ------
    InputError
        The package belongs to another group, does not exist, or is not approved.
    ModelError
        The package has no artifact.
    """
    if not re.fullmatch(rf"arn:[^:]+:sagemaker:[^:]+:\d{{12}}:model-package/{re.escape(group)}/\d+", package_arn):
        raise InputError(f"{package_arn[:200]} is not a model package of the group {group}")
    try:
        package = sagemaker.describe_model_package(ModelPackageName=package_arn)
    except ClientError as error:
        if error.response["Error"]["Code"] != "ValidationException":
            raise
        raise InputError(f"there is no model package {package_arn}") from error
    status = package.get("ModelApprovalStatus")
    if status != "Approved":
        advice = "approve it with `egress-sentinel models approve`"
        raise InputError(f"the model package {package_arn} is {status}, not Approved; {advice}")
    return _url(_container_of(package), f"the model package {package_arn}")


def make_model(sagemaker: Any, package_arn: str, model_name: str, settings: Settings) -> None:
    """Create a model from a model package, with the role and the network of the deployment's model."""
    try:
        sagemaker.create_model(
            ModelName=model_name,
            ExecutionRoleArn=settings.model_role_arn,
            PrimaryContainer={"ModelPackageName": package_arn},
            **settings.model_network,
        )
    except ClientError as error:
        # An earlier attempt created it.
        if "already exist" not in str(error):
            raise


def delete_model(sagemaker: Any, model_name: str) -> None:
    """Delete a model. Does nothing if an earlier attempt deleted it."""
    try:
        sagemaker.delete_model(ModelName=model_name)
    except ClientError as error:
        if "Could not find" not in str(error):
            raise


def contract_at(s3: Any, url: str, folder: Path) -> Contract:
    """Read a model's input contract from its artifact.

    Raises
    ------
    ModelError
        The artifact cannot be read.
    """
    artifact = folder / "model.tar.gz"
    address = urlparse(url)
    s3.download_file(address.netloc, address.path.lstrip("/"), str(artifact))
    try:
        return read_contract(artifact)
    except (tarfile.TarError, OSError, ValueError) as error:
        raise ModelError(f"the artifact {url} cannot be read: {error}") from error


def _container_of(package: dict[str, Any]) -> dict[str, Any]:
    container: dict[str, Any] = package["InferenceSpecification"]["Containers"][0]
    return container


def _url(container: dict[str, Any], what: str) -> str:
    if "ModelDataUrl" not in container:
        raise ModelError(f"{what} has no artifact")
    return str(container["ModelDataUrl"])
