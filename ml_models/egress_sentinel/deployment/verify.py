"""Compares the endpoint with the Terraform configuration.

After a failed update SageMaker rolls back to the previous model and reports InService, which the provider takes for
success. The comparison therefore covers the whole chain: endpoint, configuration, model, artifact, and the manifest of
the model that answers requests.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlparse

from egress_sentinel.errors import UserError

# Terraform keeps no output that is null: a module that is the root has none of these without an endpoint.
_MAY_BE_NULL = ("endpoint_name", "endpoint_arn", "endpoint_config_name", "alerts_table", "detector_function_name")
_NAMES = {"endpoint_name", "registrar_function_name"}  # one of them is always there
_MANIFEST = "manifest.json"
# A request that the preprocessor of an inference pipeline accepts.
_SERIES_LINE = "2000-01-01 00:00:00,0"


class Check(NamedTuple):
    """One comparison: its subject, the configured value and the value in AWS."""

    what: str
    expected: Any
    found: Any

    @property
    def is_met(self) -> bool:
        """Return whether both values are the same."""
        return bool(self.expected == self.found)


def read_outputs(text: str) -> dict[str, Any]:
    """Read `terraform output -json`: of the module itself, or of a configuration that passes it on as one output.

    Raises
    ------
    UserError
        The text is not that JSON, or is not of the module.
    """
    try:
        values = {name: output["value"] for name, output in json.loads(text).items()}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError("the outputs are not the JSON that `terraform output -json` prints") from error
    for candidate in (values, *values.values()):
        if isinstance(candidate, dict) and _NAMES & candidate.keys():
            return {**dict.fromkeys(_MAY_BE_NULL), **candidate}
    if not values:
        raise UserError("Terraform has no outputs there: give the folder in which `terraform apply` ran")
    raise UserError(
        "the outputs have no endpoint_name and no registrar_function_name; pass on the module's outputs as one output, "
        "as the examples do"
    )


def terraform_outputs(folder: Path) -> str:
    """Run `terraform output -json` in a folder and return the JSON.

    Raises
    ------
    UserError
        Terraform is not installed or fails.
    """
    try:
        done = subprocess.run(["terraform", "output", "-json"], cwd=folder, capture_output=True, text=True, check=False)  # noqa: S607
    except OSError as error:
        reason = "terraform is not on the path" if folder.is_dir() else f"there is no folder {folder}"
        raise UserError(f"{reason}: --terraform-dir is the folder in which `terraform apply` ran") from error
    if done.returncode:
        first, *_ = done.stderr.strip().splitlines() or [f"status {done.returncode}"]
        raise UserError(f"terraform output failed in {folder}: {first}")
    return done.stdout


def verify(outputs: dict[str, Any]) -> list[Check]:
    """Compare, with the credentials and endpoint URLs of the environment.

    Parameters
    ----------
    outputs : dict
        As `read_outputs` returns them.

    Returns
    -------
    list of Check

    Raises
    ------
    UserError
        There is no endpoint, or AWS refuses to describe it.
    """
    import boto3
    from botocore.exceptions import BotoCoreError, ClientError

    if outputs["endpoint_name"] is None:
        raise UserError("this deployment has no endpoint (endpoint = null); `batch` scores files with its model")
    session = boto3.session.Session(region_name=outputs.get("region"))
    try:
        return [*_described(session.client("sagemaker"), outputs), *_answered(session, outputs)]
    except (BotoCoreError, ClientError) as error:
        raise UserError(f"cannot read endpoint {outputs['endpoint_name']} from AWS: {error}") from error


def _described(sagemaker: Any, outputs: dict[str, Any]) -> list[Check]:
    endpoint = sagemaker.describe_endpoint(EndpointName=outputs["endpoint_name"])
    name = endpoint["EndpointConfigName"]
    model, containers = _served(sagemaker, name)
    container = containers[-1]  # of an inference pipeline, the forest's
    checks = [
        Check("endpoint status", "InService", endpoint["EndpointStatus"]),
        Check("endpoint configuration", outputs["endpoint_config_name"], name),
        Check("model", outputs["model_name"], model),
    ]
    if outputs.get("model_package_arn"):
        checks.append(Check("model package", outputs["model_package_arn"], container.get("ModelPackageName")))
    if outputs.get("model_artifact"):
        checks.append(Check("image", outputs["model_image"], container.get("Image")))
        checks.append(Check("artifact", outputs["model_artifact"], container.get("ModelDataUrl")))
    if outputs.get("preprocessor_artifact"):
        checks.append(
            Check("preprocessor's artifact", outputs["preprocessor_artifact"], containers[0].get("ModelDataUrl"))
        )
    return checks


def _served(sagemaker: Any, configuration: str) -> tuple[str | None, list[dict[str, Any]]]:
    """Return a configuration's model and its containers; after a rollback Terraform may have deleted either."""
    from botocore.exceptions import ClientError

    try:
        variant = sagemaker.describe_endpoint_config(EndpointConfigName=configuration)["ProductionVariants"][0]
        model = sagemaker.describe_model(ModelName=variant["ModelName"])
    except ClientError as error:
        if "Could not find" not in str(error):
            raise
        return None, [{}]
    return variant["ModelName"], model.get("Containers") or [model["PrimaryContainer"]]


def _answered(session: Any, outputs: dict[str, Any]) -> list[Check]:
    """Compare the artifact with the uploaded file, and its manifest with that of the model that answers.

    A custom model may have no manifest. Its answers are not compared, because its features are not known.
    """
    if not outputs.get("model_artifact"):
        return []
    with tempfile.TemporaryDirectory(prefix="egress-sentinel-verify-") as folder:
        artifact = Path(folder) / "model.tar.gz"
        sha256 = _download(session, outputs["model_artifact"], artifact)
        manifest = _manifest(artifact)
        checks = []
        if outputs.get("model_artifact_sha256"):
            checks.append(Check("artifact's sha256", outputs["model_artifact_sha256"], sha256))
        if outputs.get("preprocessor_artifact"):
            found = _download(session, outputs["preprocessor_artifact"], artifact)
            checks.append(Check("preprocessor's sha256", outputs["preprocessor_artifact_sha256"], found))
    if manifest is None:
        return checks
    features = dict.fromkeys(manifest["feature_names"], 0.0)
    asked = {"ContentType": "application/json", "Body": json.dumps(features)}
    if outputs.get("preprocessor_artifact"):
        asked = {"ContentType": "text/csv", "Body": _SERIES_LINE}
    served = _served_manifest(session, outputs["endpoint_name"], asked)
    return [*checks, Check("files of the model that answers", manifest["files"], served.get("files"))]


def _download(session: Any, url: str, target: Path) -> str:
    """Download an object and return its sha256."""
    address = urlparse(url)
    session.client("s3").download_file(address.netloc, address.path.lstrip("/"), str(target))
    return hashlib.sha256(target.read_bytes()).hexdigest()


def _manifest(artifact: Path) -> dict[str, Any] | None:
    """Return the manifest; None where the artifact has none."""
    try:
        with tarfile.open(artifact) as archive:
            names = {name.removeprefix("./"): name for name in archive.getnames()}
            if _MANIFEST not in names:
                return None
            member = archive.extractfile(names[_MANIFEST])
            document: dict[str, Any] = json.loads(member.read() if member else b"")
    except (tarfile.TarError, ValueError) as error:
        raise UserError(
            f"cannot read {_MANIFEST} in the model artifact; upload a valid model.tar.gz: {error}"
        ) from error
    return document


def _served_manifest(session: Any, endpoint: str, asked: dict[str, str]) -> dict[str, Any]:
    answer = session.client("sagemaker-runtime").invoke_endpoint(
        EndpointName=endpoint, Accept="application/json;output=manifest", **asked
    )
    document = json.loads(answer["Body"].read())
    return document if isinstance(document, dict) else {}
