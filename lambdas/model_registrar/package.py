"""Builds the fields of a model package from the artifact's documents. Pure."""

from __future__ import annotations

import io
import json
import tarfile
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from model_registrar.settings import Settings

MANIFEST, BASELINE = "manifest.json", "baseline.json"
CONTENT_TYPES = ["text/csv", "application/json", "application/jsonlines", "application/x-parquet", "application/x-npy"]
ANSWER_TYPES = ["text/csv", "application/json", "application/jsonlines"]
INSTANCES = ["ml.m5.large", "ml.m5.xlarge", "ml.m5.2xlarge"]
MAX_VALUE = 256  # characters of a customer metadata property
SIGNS = "_.:/+-@"  # allowed in such a property, as is `=`, which starts an encoded character here
MAX_DESCRIPTION = 1024


class ArtifactError(ValueError):
    """The artifact does not describe its model, or cannot be served."""


class NoManifestError(ArtifactError):
    """The artifact has no manifest: another training script wrote it."""


@dataclass(frozen=True)
class Artifact:
    """The documents in a model artifact."""

    manifest: dict[str, Any]
    baseline: dict[str, Any]

    @property
    def model_id(self) -> str:
        """The model's id, as in alerts: the first half of the hash of its forest."""
        return str(self.manifest["files"]["model.joblib"])[:16]

    @property
    def blocked_by(self) -> list[str]:
        """The quality checks that failed in training. Empty if all passed."""
        evaluation = self.manifest.get("evaluation") or {}
        return list(evaluation.get("blocked_by", ["it was not evaluated: no rows were held out"]))


def read_artifact(path: Path) -> Artifact:
    """Read a model.tar.gz.

    Raises
    ------
    NoManifestError
        It has no manifest.
    ArtifactError
        It cannot be read, or has no baseline.
    """
    found: dict[str, Any] = {}
    try:
        with tarfile.open(path) as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name in {MANIFEST, BASELINE} and (file := tar.extractfile(member)):
                    found[name] = json.loads(file.read())
    except (tarfile.TarError, OSError, EOFError, ValueError) as error:
        raise ArtifactError(f"the artifact cannot be read: {error}; a model.tar.gz is accepted") from error
    if MANIFEST not in found:
        raise NoManifestError(f"the artifact has no {MANIFEST}")
    if BASELINE not in found:
        raise ArtifactError(f"the artifact has a {MANIFEST} and no {BASELINE}; train it again")
    return Artifact(found[MANIFEST], found[BASELINE])


def _metadata_of(artifact: Artifact) -> dict[str, str]:
    """Return the properties that a list of packages shows, and those that connect an alert to a model and its data.

    SageMaker accepts letters, numbers, separators and a few signs in these values. Other characters are encoded as in
    quoted-printable: `%` becomes `=25`. `egress_sentinel.deployment.registry` decodes them.
    """
    manifest, training = artifact.manifest, artifact.manifest["training"]
    evaluation = manifest.get("evaluation") or {}
    values = {
        "model_id": artifact.model_id,
        "schema_hash": manifest["schema_hash"],
        "data_sha256": training.get("data_sha256"),
        "data_start_hour_utc": training["start_hour_utc"],
        "data_end_hour_utc": training["end_hour_utc"],
        "rows": training["rows"],
        "rows_left_out": training.get("rows_left_out"),
        "training_job_name": training["training_job_name"],
        "git_commit": manifest["git_commit"],
        "scikit_learn": manifest["versions"]["scikit-learn"],
        "share_flagged": evaluation.get("share_flagged", manifest["metrics"]["share_flagged"]),
        "recall_injected": (evaluation.get("injected") or {}).get("recall"),
        "flags_changed_share": (evaluation.get("serving") or {}).get("flags_changed_share"),
        # One property per reason, since all reasons together may be too long for one value.
        **{f"blocked_by_{number}": reason for number, reason in enumerate(artifact.blocked_by, 1)},
    }
    return {name: encoded(_text(value)) for name, value in values.items() if value not in (None, "")}


def request_of(artifact: Artifact, artifact_url: str, settings: Settings) -> dict[str, Any]:
    """Return the arguments of CreateModelPackage. The package refers to the files of `documents_of`."""
    where = f"s3://{settings.bucket}/{folder_of(artifact, settings)}"
    baseline, evaluation = _json_at(f"{where}baseline.json"), _json_at(f"{where}evaluation.json")
    container = {"Image": settings.image, "ModelDataUrl": artifact_url, "Environment": settings.environment}
    return {
        "ModelPackageGroupName": settings.group,
        "ModelPackageDescription": description_of(artifact)[:MAX_DESCRIPTION],
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": CONTENT_TYPES,
            "SupportedResponseMIMETypes": ANSWER_TYPES,
            "SupportedTransformInstanceTypes": INSTANCES,
            "SupportedRealtimeInferenceInstanceTypes": INSTANCES,
        },
        "ModelMetrics": {
            "ModelQuality": {"Statistics": evaluation},
            "ModelDataQuality": {"Statistics": baseline},
        },
        "DriftCheckBaselines": {"ModelDataQuality": {"Statistics": baseline}},
        "CustomerMetadataProperties": _metadata_of(artifact),
        "Domain": "MACHINE_LEARNING",
        "Task": "OTHER",
        "SamplePayloadUrl": f"{where}sample_payload.tar.gz",
        # A retry with the same model creates no second package.
        "ClientToken": artifact.model_id,
    }


def description_of(artifact: Artifact) -> str:
    """Return a description of a model, with the failed quality checks."""
    training = artifact.manifest["training"]
    data = f"{training['rows']:,} rows"
    if training["start_hour_utc"]:
        data += f" of {training['start_hour_utc']} to {training['end_hour_utc']}"
    checks = f"Failed quality checks: {_listed(artifact)}." if artifact.blocked_by else "All quality checks passed."
    return f"Model {artifact.model_id}, trained on {data}. {checks}"


def documents_of(artifact: Artifact) -> dict[str, bytes]:
    """Return the files that a package refers to, by name."""
    evaluation = artifact.manifest.get("evaluation") or {}
    metrics = {"metrics": artifact.manifest["metrics"], "evaluation": evaluation}
    return {
        "manifest.json": _json(artifact.manifest),
        "baseline.json": _json(artifact.baseline),
        "evaluation.json": _json(metrics),
        "sample_payload.tar.gz": _sample_payload(artifact),
    }


def folder_of(artifact: Artifact, settings: Settings) -> str:
    """Return the key prefix of a package's documents."""
    return f"{settings.registry_prefix}{artifact.model_id}/"


def _listed(artifact: Artifact) -> str:
    return "; ".join(artifact.blocked_by)


def _sample_payload(artifact: Artifact) -> bytes:
    """Pack a sample request of three typical rows: the 40th, 50th and 60th percentiles of training."""
    names = artifact.manifest["feature_names"]
    rows = [
        ",".join(repr(artifact.baseline["features"][name]["quantiles"].get(percent, 0.0)) for name in names)
        for percent in ("40", "50", "60")
    ]
    body = ("\n".join([",".join(names), *rows]) + "\n").encode()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        member = tarfile.TarInfo("payload.csv")
        member.size = len(body)
        tar.addfile(member, io.BytesIO(body))
    return packed.getvalue()


def _json(document: Any) -> bytes:
    return (json.dumps(document, indent=2) + "\n").encode()


def _json_at(url: str) -> dict[str, str]:
    return {"ContentType": "application/json", "S3Uri": url}


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def encoded(text: str) -> str:
    """Encode a metadata value. A value that is too long is cut before the first character that does not fit."""
    encoded = ""
    for character in text:
        is_accepted = unicodedata.category(character)[0] in "LNZ" or character in SIGNS
        part = character if is_accepted else "".join(f"={byte:02X}" for byte in character.encode())
        if len(encoded) + len(part) > MAX_VALUE:
            break
        encoded += part
    return encoded
