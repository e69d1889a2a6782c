"""The model registry: registered models, their failed quality checks, and the model that served before."""

from __future__ import annotations

import binascii
import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

APPROVED, PENDING, REJECTED = "Approved", "PendingManualApproval", "Rejected"


@dataclass(frozen=True)
class Package:
    """A registered model.

    Parameters
    ----------
    arn : str
    version : int
    status : str
        Approved, PendingManualApproval or Rejected.
    artifact : str
        The S3 address of its model.tar.gz.
    facts : dict of str to str
        Its metadata: model_id, schema_hash, data_sha256, data_start_hour_utc, ..., blocked_by.
    note : str
        The note of its approval or rejection.
    """

    arn: str
    version: int
    status: str
    artifact: str
    facts: dict[str, str]
    note: str

    @property
    def blocked_by(self) -> str:
        """The failed quality checks. Empty if all passed."""
        return self.facts.get("blocked_by", "")


class Registry:
    """A model package group, and the endpoint that serves its models.

    Parameters
    ----------
    sagemaker : sagemaker client
    group : str
    endpoint_name : str
    """

    def __init__(self, sagemaker: Any, group: str, endpoint_name: str) -> None:
        self._sagemaker = sagemaker
        self._group = group
        self._endpoint_name = endpoint_name

    def packages(self) -> list[Package]:
        """Return all models, the newest first.

        Raises
        ------
        UserError
            AWS refuses, as where there is no such group.
        """
        with _reading(f"the model package group {self._group}"):
            pages = self._sagemaker.get_paginator("list_model_packages").paginate(ModelPackageGroupName=self._group)
            arns = [entry["ModelPackageArn"] for page in pages for entry in page["ModelPackageSummaryList"]]
            found = [_package(self._sagemaker.describe_model_package(ModelPackageName=arn)) for arn in arns]
        return sorted(found, key=lambda package: -package.version)

    def package(self, version: int) -> Package:
        """Return one model.

        Raises
        ------
        UserError
            There is no such version.
        """
        found = self.packages()
        for package in found:
            if package.version == version:
                return package
        versions = ", ".join(str(package.version) for package in found) or "none"
        raise UserError(f"the group {self._group} has no version {version}; it has {versions}")

    def serving_arn(self) -> str | None:
        """Return the package that the endpoint serves; None where it serves an artifact, or there is no endpoint."""
        from botocore.exceptions import ClientError

        with _reading(f"the endpoint {self._endpoint_name}"):
            try:
                endpoint = self._sagemaker.describe_endpoint(EndpointName=self._endpoint_name)
            except ClientError as error:
                if "Could not find" not in str(error):
                    raise
                return None
            configuration = self._sagemaker.describe_endpoint_config(EndpointConfigName=endpoint["EndpointConfigName"])
            model = self._sagemaker.describe_model(ModelName=configuration["ProductionVariants"][0]["ModelName"])
        package: str | None = model.get("PrimaryContainer", {}).get("ModelPackageName")
        return package

    def approve(self, version: int, note: str, *, force: bool = False) -> Package:
        """Approve a model.

        Raises
        ------
        UserError
            A quality check failed, and `force` is false.
        """
        package = self.package(version)
        if package.blocked_by and not force:
            raise UserError(
                f"version {version} failed its quality checks: {package.blocked_by}; to approve it anyway, use --force "
                "with a --note"
            )
        return self._decide(package, APPROVED, note)

    def reject(self, version: int, note: str) -> Package:
        """Reject a model; one that serves serves on until another is promoted."""
        return self._decide(self.package(version), REJECTED, note)

    def delete(self, version: int) -> Package:
        """Delete a model from the registry; its artifact stays.

        Raises
        ------
        UserError
            It serves.
        """
        package = self.package(version)
        if package.arn == self.serving_arn():
            raise UserError(f"version {version} serves; promote another one first")
        with _reading(package.arn):
            self._sagemaker.delete_model_package(ModelPackageName=package.arn)
        return package

    def to_promote(self, version: int | None) -> Package:
        """Return an approved model: the version asked for, or the newest.

        Raises
        ------
        UserError
            It is not approved, or there is none.
        """
        if version is not None:
            package = self.package(version)
            if package.status != APPROVED:
                raise UserError(f"version {version} is {package.status}, not Approved: approve it first")
            return package
        return self._newest_approved(self.packages(), "no model is approved; approve one first")

    def to_roll_back_to(self) -> Package:
        """Return the newest approved model that is older than the one that serves.

        Raises
        ------
        UserError
            There is none, or what serves is no registered model.
        """
        serving = self.serving_arn()
        if serving is None:
            raise UserError(f"the endpoint {self._endpoint_name} serves no registered model: nothing to roll back")
        version = int(serving.rpartition("/")[2])
        older = [package for package in self.packages() if package.version < version]
        return self._newest_approved(older, f"no approved model is older than version {version}, which serves")

    def _newest_approved(self, packages: list[Package], otherwise: str) -> Package:
        for package in packages:
            if package.status == APPROVED:
                return package
        raise UserError(otherwise)

    def _decide(self, package: Package, status: str, note: str) -> Package:
        with _reading(package.arn):
            self._sagemaker.update_model_package(
                ModelPackageArn=package.arn, ModelApprovalStatus=status, ApprovalDescription=note or "no note"
            )
        return self.package(package.version)


def register(
    function: Any, s3: Any, function_name: str, artifact: str, *, image: str = "", content_types: Sequence[str] = ()
) -> dict[str, Any]:
    """Let the deployed registrar register an artifact, wherever it was trained.

    Parameters
    ----------
    function : lambda client
    s3 : s3 client
    function_name : str
    artifact : str
        Such as s3://BUCKET/models/training/JOB/output/model.tar.gz, or a file on this machine, which is copied to the
        deployment's bucket first.
    image : str
        The image that serves an artifact of another training script; empty for the deployment's.
    content_types : sequence of str
        The request types that such an artifact accepts.

    Returns
    -------
    dict
        `model_package_arn`, `model_id`, `blocked_by`, `description`.

    Raises
    ------
    UserError
        The file cannot be read, or the registrar's own sentence.
    """
    with _reading(f"the function {function_name}"):
        artifact_url = artifact if artifact.startswith("s3://") else _uploaded(function, s3, function_name, artifact)
        given = {"image": image, "content_types": list(content_types)}
        asked = {"action": "register", "artifact": artifact_url} | {
            name: value for name, value in given.items() if value
        }
        payload = json.dumps(asked)
        answer = function.invoke(FunctionName=function_name, Payload=payload)
        result: dict[str, Any] = json.loads(answer["Payload"].read())
    if "FunctionError" in answer:
        raise UserError(f"{artifact} was not registered: {result['errorMessage']}")
    return result


def _uploaded(function: Any, s3: Any, function_name: str, artifact: str) -> str:
    """Copy a file to the registrar's bucket, under a name that its content gives, and return the address."""
    try:
        body = Path(artifact).read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {artifact}: {error.strerror}; a file or an s3:// address is accepted") from error
    configuration = function.get_function_configuration(FunctionName=function_name)
    bucket = configuration["Environment"]["Variables"]["BUCKET"]
    key = f"models/registered/{hashlib.sha256(body).hexdigest()[:16]}/model.tar.gz"
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    return f"s3://{bucket}/{key}"


def _package(described: dict[str, Any]) -> Package:
    return Package(
        described["ModelPackageArn"],
        int(described["ModelPackageVersion"]),
        described["ModelApprovalStatus"],
        described["InferenceSpecification"]["Containers"][0].get("ModelDataUrl", ""),
        _facts(described.get("CustomerMetadataProperties", {})),
        described.get("ApprovalDescription", ""),
    )


def _facts(properties: dict[str, str]) -> dict[str, str]:
    """Return a package's metadata as text, with all reasons against the model in `blocked_by`.

    The registrar encodes the characters that SageMaker does not accept, and writes each reason as `blocked_by_NUMBER`.
    Packages that it registered earlier have all of them in `blocked_by`.
    """
    decoded = {name: binascii.a2b_qp(value.encode()).decode("utf-8", "replace") for name, value in properties.items()}
    reasons = sorted(name for name in decoded if name.startswith("blocked_by_"))
    joined = "; ".join(decoded.pop(name) for name in reasons)
    return decoded | ({"blocked_by": joined} if joined else {})


@contextmanager
def _reading(what: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"cannot read {what} from AWS: {error}") from error
