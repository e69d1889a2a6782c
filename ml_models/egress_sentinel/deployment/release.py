"""A release archive: the Terraform module beside all that it deploys, so that installing it builds nothing.

The same files always give the same bytes.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from anomaly_detection.artifact import pack

# The files that `make package` writes for Terraform. Other commands write to the same folder.
_BUILT = ("*.zip", "*.tar.gz", "athena/*.sql", "athena_flow_logs/*.sql")
# Files of Terraform, of the local AWS and of users in a checkout. Users' files may contain secrets.
_LEFT_BEHIND = shutil.ignore_patterns(".*", "*.tfstate*", "*_override.tf", "*.tfvars*", "*.tfplan")


def write_release(root: Path, build: Path, dist: Path) -> Path:
    """Write egress-sentinel-aws-VERSION.tar.gz and its checksum.

    The archive contains `terraform/`, `build/`, the license, and SHA256SUMS of all files.

    Parameters
    ----------
    root : Path
        The project's folder, with `terraform/` and LICENSE.
    build : Path
        The output of `make package`.
    dist : Path
        The folder that the archive goes into.

    Returns
    -------
    Path
        The archive.
    """
    dist.mkdir(parents=True, exist_ok=True)
    archive = dist / f"egress-sentinel-aws-{version('egress-sentinel')}.tar.gz"
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        shutil.copytree(root / "terraform", folder / "terraform", ignore=_LEFT_BEHIND)
        shutil.copy(root / "LICENSE", folder)
        for path in sorted(path for pattern in _BUILT for path in build.glob(pattern)):
            target = folder / "build" / path.relative_to(build)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        (folder / "SHA256SUMS").write_text("".join(_sum(path, folder) for path in files), encoding="utf-8")
        pack(folder, archive)
    archive.with_name(f"{archive.name}.sha256").write_text(_sum(archive, dist), encoding="utf-8")
    return archive


def _sum(path: Path, folder: Path) -> str:
    """Return a line in the format of sha256sum."""
    return f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder).as_posix()}\n"


if __name__ == "__main__":
    print(write_release(*map(Path, sys.argv[1:])))
