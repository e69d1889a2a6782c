"""Builds the Lambda's zip: `python lambdas/build.py OUTPUT_DIR`. The same sources make the same bytes.

Vendored: Powertools for AWS Lambda and what it needs. Not vendored: boto3 (in the runtime), pyarrow and numpy (in the
AWS SDK for pandas layer).
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

PACKAGE = Path(__file__).parent / "anomaly_detector"
# Pinned: a zip that changes by itself would deploy by itself.
VENDORED = ("aws-lambda-powertools==3.37.0", "jmespath==1.1.0", "typing_extensions==4.16.0")
PLATFORM = ("--platform", "manylinux2014_x86_64", "--python-version", "3.12", "--implementation", "cp")
_EPOCH = (1980, 1, 1, 0, 0, 0)


def build(output_dir: Path) -> Path:
    """Write `anomaly_detector.zip` into a folder, beside and then renamed, and return its path.

    Raises
    ------
    subprocess.CalledProcessError
        pip could not get the vendored packages.
    """
    output_dir.mkdir(parents=True, exist_ok=True)
    target = output_dir / "anomaly_detector.zip"
    beside = target.with_suffix(".zip.part")
    with tempfile.TemporaryDirectory() as folder:
        vendored = Path(folder)
        _install(vendored)
        members = {f"anomaly_detector/{path.name}": path for path in PACKAGE.glob("*.py")}
        members |= {str(p.relative_to(vendored)): p for p in vendored.rglob("*") if p.is_file() and _belongs(p)}
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
            for name in sorted(members):
                _add(archive, name, members[name].read_bytes())
    beside.replace(target)
    return target


def _install(target: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--no-compile", "--only-binary", ":all:", "--target", str(target), *PLATFORM, *VENDORED]
    subprocess.run(command, check=True)


def _belongs(path: Path) -> bool:
    """Leave out bytecode and what pip writes about the installation, which differs from machine to machine."""
    return path.suffix != ".pyc" and path.name not in {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    archive.writestr(entry, content)


if __name__ == "__main__":
    print(build(Path(sys.argv[1] if len(sys.argv) > 1 else "build")))
