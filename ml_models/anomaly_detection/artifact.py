"""Writes the model directory (model.joblib, forest.npz, manifest.json, baseline.json, code/) and model.tar.gz."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import tarfile
import tempfile
from contextlib import contextmanager
from copy import copy
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

import numpy as np

import anomaly_detection
from anomaly_detection.forest import FOREST_FILE, FlatForest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MANIFEST_VERSION = 1
MANIFEST_FILE = "manifest.json"
MODEL_FILE = "model.joblib"
BASELINE_FILE = "baseline.json"
HASHED_FILES = (MODEL_FILE, FOREST_FILE, BASELINE_FILE)
LIBRARIES = ("scikit-learn", "numpy", "pandas", "pyarrow", "joblib")
SCORE_CONVENTION = (
    "anomaly_score is scikit-learn's IsolationForest.decision_function: lower is more anomalous; "
    "is_anomaly is 1 where anomaly_score < 0, else 0"
)
# The package may be imported from a place without setup.py, such as site-packages.
SETUP_PY = f'''"""What SageMaker installs the source bundle and an artifact's code/ with: anomaly_detection."""

from setuptools import find_packages, setup

setup(
    name="egress-sentinel-anomaly-detection",
    version="{anomaly_detection.__version__}",
    packages=find_packages(include=["anomaly_detection", "anomaly_detection.*"]),
    python_requires=">=3.11",
)
'''


def save(model_dir: Path, forest: Any, baseline: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    """Write a model directory. An existing directory keeps its old manifest until all other files are replaced.

    Parameters
    ----------
    model_dir : Path
        SageMaker's `SM_MODEL_DIR`. Created if it is missing.
    forest : sklearn.ensemble.IsolationForest
        Fitted without feature names.
    baseline : mapping
        The result of `baseline.describe_training`.
    manifest : mapping
        The fields of manifest.json except `manifest_version`, `versions`, `score_convention` and `files`.

    Raises
    ------
    OSError
        The directory cannot be written.
    """
    exists = model_dir.exists()
    # In SageMaker the model directory may be a separate mount, and a rename cannot cross a mount.
    home = model_dir if exists else model_dir.parent
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home, prefix=".model-") as temporary:
        staged = Path(temporary) / "model"
        staged.mkdir()
        _write_files(staged, forest, baseline, manifest)
        if exists:
            _move_into(staged, model_dir)
        else:
            staged.rename(model_dir)


def _write_files(directory: Path, forest: Any, baseline: Mapping[str, Any], manifest: Mapping[str, Any]) -> None:
    import joblib

    named = copy(forest)
    # With feature names, `joblib.load(...).decision_function(frame)` checks the columns instead of warning.
    named.feature_names_in_ = np.array(manifest["feature_names"], dtype=object)
    joblib.dump(named, directory / MODEL_FILE)
    FlatForest.from_sklearn(forest).save(directory / FOREST_FILE)
    write_json(directory / BASELINE_FILE, baseline)
    copy_code(directory / "code")
    document = {
        "manifest_version": MANIFEST_VERSION,
        **manifest,
        "versions": library_versions(),
        "score_convention": SCORE_CONVENTION,
        "files": {name: sha256(directory / name) for name in HASHED_FILES},
    }
    write_json(directory / MANIFEST_FILE, document)


def _move_into(staged: Path, model_dir: Path) -> None:
    names = [path.relative_to(staged) for path in _files(staged)]
    for name in sorted(names, key=lambda name: (name.name == MANIFEST_FILE, name)):
        (model_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (staged / name).replace(model_dir / name)


def library_versions() -> dict[str, str]:
    """Return the installed versions of Python, the scoring libraries and this package."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {"python": python_version(), **libraries, "anomaly_detection": anomaly_detection.__version__}


def copy_code(directory: Path) -> None:
    """Write setup.py and this package's sources into a directory, ready for `pip install`.

    The result is the `code/` of an artifact and the source bundle of a training job.

    Parameters
    ----------
    directory : Path
        Created if it is missing.
    """
    package = directory / "anomaly_detection"
    package.mkdir(parents=True, exist_ok=True)
    (directory / "setup.py").write_text(SETUP_PY, encoding="utf-8")
    here = Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        target = package / source.relative_to(here)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the same directory, which replaces `path` on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as temporary:
        beside = Path(temporary) / path.name
        yield beside
        beside.replace(path)


def write_json(path: Path, document: Any) -> None:
    """Write a document as indented JSON. The same document always gives the same bytes."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf-8")


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def pack(model_dir: Path, tar_path: Path) -> None:
    """Write a directory's contents to the root of a tar.gz. The same files always give the same bytes.

    Names are sorted, and times and owners are zero. Hidden files and compiled Python are left out.

    Parameters
    ----------
    model_dir : Path
        The directory to pack.
    tar_path : Path
        Such as model.tar.gz. Written atomically by a rename.

    Raises
    ------
    OSError
        The directory cannot be read, or the archive cannot be written.
    """
    files = [path for path in _files(model_dir) if _belongs(path.relative_to(model_dir)) and path != tar_path]
    with (
        atomic_write(tar_path) as beside,
        beside.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=raw, mtime=0) as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in files:
            with path.open("rb") as file:
                tar.addfile(_member(path, path.relative_to(model_dir).as_posix()), file)


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Extract the files and folders of an untrusted archive, and nothing outside `folder`.

    Raises
    ------
    tarfile.TarError
        A member is neither a file nor a folder, or its path leads outside `folder`.
    """
    if hasattr(tarfile, "data_filter"):
        archive.extractall(folder, filter="data")
        return
    # Extraction filters require Python 3.11.4.
    for member in archive.getmembers():
        if not (member.isfile() or member.isdir()):
            raise tarfile.TarError(f"{member.name} is neither a file nor a folder")
        if not (folder / member.name).resolve().is_relative_to(folder.resolve()):
            raise tarfile.TarError(f"{member.name} would be extracted outside its folder")
    archive.extractall(folder)  # noqa: S202 - the members were checked


def _files(directory: Path) -> list[Path]:
    if not directory.is_dir():
        raise NotADirectoryError(20, "not a directory", str(directory))
    return sorted(
        (path for path in directory.rglob("*") if path.is_file()),
        key=lambda path: path.relative_to(directory).as_posix(),
    )


def _belongs(name: Path) -> bool:
    return not any(step.startswith(".") or step == "__pycache__" for step in name.parts)


def _member(path: Path, name: str) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = path.stat().st_size
    member.mode = 0o644
    return member
