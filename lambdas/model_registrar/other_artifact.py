"""An artifact of another training script: what the registry needs is read from the archive, or is given. Pure."""

from __future__ import annotations

import ast
import hashlib
import re
import tarfile
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from model_registrar.package import ANSWER_TYPES, INSTANCES, ArtifactError, encoded

if TYPE_CHECKING:
    from pathlib import Path

    from model_registrar.settings import Settings

PROGRAM = "SAGEMAKER_PROGRAM"
_CODE = "code/"
_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.[^/\s]+/[^:@\s]+[:@]\S+")
_CONTENT_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(;\S+)?")
# What the detector and batch jobs send.
_NEEDED_TYPE = "text/csv"
_MOST_PROGRAM_BYTES = 5_000_000


@dataclass(frozen=True)
class OtherArtifact:
    """An artifact without our manifest.

    Parameters
    ----------
    sha256 : str
        Of the archive.
    program : str
        The script under code/ that serves it; empty where the image serves it by itself.
    image : str
        The image that serves it; empty for the deployment's.
    content_types : tuple of str
        The request types that it accepts.
    """

    sha256: str
    program: str
    image: str
    content_types: tuple[str, ...]

    @property
    def model_id(self) -> str:
        """The first half of the hash of the archive."""
        return self.sha256[:16]

    @property
    def blocked_by(self) -> list[str]:
        """Why a person decides whether it may serve."""
        reasons = ["it was not evaluated: another program trained it"]
        if _NEEDED_TYPE not in self.content_types:
            reasons.append(f"it does not accept {_NEEDED_TYPE}, which the detector and batch jobs send")
        return reasons


def read_other_artifact(path: Path, *, image: str, content_types: list[str], default_program: str) -> OtherArtifact:
    """Read an archive without our manifest.

    Parameters
    ----------
    path : Path
        A model.tar.gz.
    image : str
        The image that serves it; empty for the deployment's scikit-learn image.
    content_types : list of str
        The request types that it accepts.
    default_program : str
        The program of the deployment's container, which is taken where the archive has it.

    Raises
    ------
    ArtifactError
        It cannot be served, or it is not known how.
    """
    if not content_types:
        raise ArtifactError(
            "the artifact has no manifest.json of anomaly_detection.training_script; to register it as it is, give "
            "--content-type with a type that it accepts, and --image unless the deployment's image serves it"
        )
    for content_type in content_types:
        if not _CONTENT_TYPE.fullmatch(content_type):
            raise ArtifactError(f"{content_type!r} is no content type; text/csv is one")
    if image and not _IMAGE.fullmatch(image):
        raise ArtifactError(f"{image!r} is no image in ECR; ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY:TAG is one")
    program = _program(_members(path), default_program)
    if not image and not program:
        raise ArtifactError(
            "the artifact cannot be served by the deployment's image: it has no program under code/ that defines "
            "model_fn; add one, or give --image with an image that needs none"
        )
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    return OtherArtifact(sha256, program, image, tuple(content_types))


def request_of_other(artifact: OtherArtifact, artifact_url: str, settings: Settings) -> dict[str, Any]:
    """Return the arguments of CreateModelPackage."""
    environment = {name: value for name, value in settings.environment.items() if name != PROGRAM}
    environment |= {PROGRAM: artifact.program} if artifact.program else {}
    image = artifact.image or settings.image
    facts = {"model_id": artifact.model_id, "artifact_sha256": artifact.sha256}
    facts |= {f"blocked_by_{number}": reason for number, reason in enumerate(artifact.blocked_by, 1)}
    same = "\n".join([artifact.sha256, image, artifact.program, *artifact.content_types])
    specification: dict[str, Any] = {
        "Containers": [{"Image": image, "ModelDataUrl": artifact_url, "Environment": environment}],
        "SupportedContentTypes": list(artifact.content_types),
        "SupportedResponseMIMETypes": ANSWER_TYPES,
        "SupportedTransformInstanceTypes": INSTANCES,
        "SupportedRealtimeInferenceInstanceTypes": INSTANCES,
    }
    return {
        "ModelPackageGroupName": settings.group,
        "ModelPackageDescription": description_of_other(artifact),
        "ModelApprovalStatus": "PendingManualApproval",
        "InferenceSpecification": specification,
        "CustomerMetadataProperties": {name: encoded(value) for name, value in facts.items()},
        # The same artifact with another image is another package.
        "ClientToken": hashlib.sha256(same.encode()).hexdigest()[:32],
    }


def description_of_other(artifact: OtherArtifact) -> str:
    """Return a description of the model, with the failed quality checks."""
    serves = f"{artifact.program} serves it" if artifact.program else "its image serves it"
    checks = "; ".join(artifact.blocked_by)
    return f"Model {artifact.model_id} of another training program; {serves}. Failed quality checks: {checks}."


def _members(path: Path) -> dict[str, bytes | None]:
    """Return the files of the archive, with the content of those that may be its program.

    Raises
    ------
    ArtifactError
        It is no such archive, has no file, or one that SageMaker does not unpack.
    """
    found: dict[str, bytes | None] = {}
    try:
        with tarfile.open(path, "r:gz") as tar:
            for member in tar:
                name = member.name.removeprefix("./")
                if name.startswith("/") or ".." in PurePosixPath(name).parts:
                    raise ArtifactError(f"the artifact has a file outside its folder: {member.name}")
                if member.isfile():
                    is_program = name.startswith(_CODE) and name.endswith(".py") and member.size <= _MOST_PROGRAM_BYTES
                    file = tar.extractfile(member) if is_program else None
                    found[name] = file.read() if file else None
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ArtifactError(f"the artifact is no tar.gz archive: {error}") from error
    if not found:
        raise ArtifactError("the artifact is an archive without a file")
    return found


def _program(members: dict[str, bytes | None], default: str) -> str:
    """Return the program that serves; empty where there is none.

    Raises
    ------
    ArtifactError
        There are several, or it is not Python.
    """
    paths = {default: f"{_CODE}{default}" if default.endswith(".py") else f"{_CODE}{default.replace('.', '/')}.py"}
    paths |= {name.removeprefix(_CODE): name for name in members if "/" not in name.removeprefix(_CODE)}
    serving = [name for name, path in paths.items() if (text := members.get(path)) and _defines_model_fn(path, text)]
    if default in serving:
        return default
    if len(serving) > 1:
        raise ArtifactError(f"the artifact has several programs that define model_fn: {', '.join(sorted(serving))}")
    return serving[0] if serving else ""


def _defines_model_fn(path: str, text: bytes) -> bool:
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError) as error:
        raise ArtifactError(f"{path} in the artifact is not Python: {error}") from error
    return any(isinstance(node, ast.FunctionDef) and node.name == "model_fn" for node in body) or any(
        isinstance(node, ast.ImportFrom) and any((n.asname or n.name) == "model_fn" for n in node.names)
        for node in body
    )
