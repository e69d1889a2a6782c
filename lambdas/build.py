"""Builds the deployment packages of the Lambda functions: `python lambdas/build.py OUTPUT_DIR`.

The same sources always give the same bytes. Each function of `FUNCTIONS` becomes NAME.zip: its package and its vendored
dependencies. `pyarrow_layer.zip` is a layer with pyarrow and numpy, without tests, headers and unused parts. The Lambda
runtime includes boto3. `image_source.zip` contains the Dockerfile and its build context.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import egress_alerts
from egress_features.schema import FEATURES

if TYPE_CHECKING:
    from collections.abc import Mapping

LAMBDAS = Path(__file__).parent
# Pinned, because a changed zip causes a deployment.
POWERTOOLS = ("aws-lambda-powertools==3.37.0", "jmespath==1.1.0", "typing_extensions==4.16.0")
# The folder beside this file, which is its package, and what its zip carries beside it.
FUNCTIONS = dict.fromkeys(("anomaly_detector", "batch_scorer", "drift_monitor", "model_registrar"), POWERTOOLS)
# The functions that carry the domain as well.
USE_EGRESS_ALERTS = {"anomaly_detector", "model_registrar"}
LAYER = ("pyarrow==26.0.1", "numpy==2.4.6")
# Lambda's python3.12 runtime on x86_64 is Amazon Linux 2023, whose glibc is 2.34.
PYTHON = ("--python-version", "3.12", "--implementation", "cp")
PLATFORM = ("--platform", "manylinux_2_28_x86_64", "--platform", "manylinux2014_x86_64", *PYTHON)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_PIP_NOTES = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
_NOT_RUN = {".pyc", ".pyi", ".pyx", ".pxd", ".pxi", ".h", ".hpp", ".cc", ".lib", ".a", ".cmake"}
_PACKAGED = {".py", ".sql", ".json", ".j2", ".css"}
_UNUSED_FOLDERS = {"tests", "include", "src", "f2py", "testing"}
_UNUSED_PARTS = ("flight", "substrait", "gandiva", "_orc", "_azurefs", "_gcsfs", "s3")


def build(output_dir: Path) -> list[Path]:
    """Write the zips into a folder, each atomically by a rename, and return their paths.

    Raises
    ------
    subprocess.CalledProcessError
        pip failed.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        # Functions with the same dependencies share one installation.
        vendored = {
            packages: _install(folder / str(number), packages)
            for number, packages in enumerate(dict.fromkeys(FUNCTIONS.values()))
        }
        descriptions = _feature_descriptions(folder)
        zips = [
            _build_function(name, vendored[packages], descriptions, output_dir / f"{name}.zip")
            for name, packages in FUNCTIONS.items()
        ]
    return [*zips, _build_layer(output_dir / "pyarrow_layer.zip"), _build_image_source(output_dir / "image_source.zip")]


def _build_function(name: str, vendored: Mapping[str, Path], descriptions: Path, target: Path) -> Path:
    """Write a function's zip: its package, egress_alerts if it uses it, and its dependencies, at the root."""
    members = {f"{name}/{path.name}": path for path in (LAMBDAS / name).glob("*.py")}
    if name in USE_EGRESS_ALERTS:
        domain = Path(egress_alerts.__file__).parent
        members |= {f"{domain.name}/{path.name}": path for path in domain.glob("*.py")}
    if name == "anomaly_detector":
        members[f"{name}/{descriptions.name}"] = descriptions
    members |= {name: path for name, path in vendored.items() if path.suffix != ".pyc"}
    return _write(target, members)


def _build_layer(target: Path) -> Path:
    """Write the layer's zip with the packages under python/, where Lambda expects them."""
    with tempfile.TemporaryDirectory() as folder:
        installed = _install(Path(folder), LAYER)
        return _write(target, {f"python/{name}": path for name, path in installed.items() if _is_run(Path(name))})


def _build_image_source(target: Path) -> Path:
    """Write the Dockerfile and the files that `pip install` of this repository reads."""
    root = LAMBDAS.parent
    members = {name: root / name for name in ("Dockerfile", "pyproject.toml", "README.md", "LICENSE")}
    code = [path for folder in (root / "ml_models", LAMBDAS) for path in folder.rglob("*") if path.suffix in _PACKAGED]
    members |= {str(path.relative_to(root)): path for path in code if ".egg-info" not in str(path)}
    return _write(target, members)


def _feature_descriptions(folder: Path) -> Path:
    """Write the features' descriptions, for files of features without metadata: Athena writes none."""
    path = folder / "feature_descriptions.json"
    path.write_text(json.dumps({feature.name: feature.description for feature in FEATURES}, indent=2), "utf-8")
    return path


def _install(folder: Path, packages: tuple[str, ...]) -> dict[str, Path]:
    """Install packages into a folder and return its files by name, without files that differ between machines."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-compile", "--only-binary", ":all:", "--target", str(folder), *PLATFORM, *packages]
    subprocess.run(command, check=True)
    files = (path for path in folder.rglob("*") if path.is_file() and path.name not in _PIP_NOTES)
    return {str(path.relative_to(folder)): path for path in files if path.parts[len(folder.parts)] != "bin"}


def _is_run(name: Path) -> bool:
    is_unused = any(part in name.name.lower() for part in _UNUSED_PARTS)
    return name.suffix not in _NOT_RUN and not is_unused and not _UNUSED_FOLDERS & set(name.parts[:-1])


def _write(target: Path, members: Mapping[str, Path]) -> Path:
    beside = target.with_suffix(".zip.part")
    with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, members[name].read_bytes())
    beside.replace(target)
    return target


if __name__ == "__main__":
    for path in build(Path(sys.argv[1] if len(sys.argv) > 1 else "build")):
        print(path)
