"""Reads the manifests of AWS's exports, which list the files of a billing period's newest delivery.

Data Exports write `PREFIX/EXPORT/metadata/BILLING_PERIOD=YYYY-MM/[EXECUTION/]EXPORT-Manifest.json` (`dataFiles`).
Legacy reports write `PREFIX/REPORT/YYYYMMDD-YYYYMMDD/[ASSEMBLY_ID/]REPORT-Manifest.json` (`reportKeys`). AWS writes
each manifest after its data files. Exports that overwrite keep one delivery, and exports that create new files keep a
folder for each delivery. A later delivery with fewer files leaves files of the earlier one in the folder. So the
manifest's list counts, not the folder's.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from egress_features.errors import BadInputError
from egress_features.restatement import execution_time, is_execution

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_NEVER = datetime(1, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Manifest:
    """The data files of a delivery, as keys in the bucket."""

    path: Path
    keys: tuple[PurePosixPath, ...]

    @property
    def bill(self) -> PurePosixPath:
        """The folder of the billing period in the bucket, which all deliveries of one bill share."""
        folder = self.keys[0].parent
        return folder.parent if is_execution(folder.name) else folder

    @property
    def age(self) -> tuple[datetime, bool, float]:
        """The key that sorts the manifests of a bill by age.

        The execution's time comes first. Without one, the manifest beside the executions' folders is the newest,
        because AWS rewrites it each time. Then the file's modification time decides.
        """
        folders = (self.keys[0].parent.name, self.path.parent.name)
        times = [time for time in map(execution_time, folders) if time is not None]
        return max(times, default=_NEVER), not is_execution(self.path.parent.name), self.path.stat().st_mtime


def newest_files(folder: Path) -> tuple[set[Path], set[Path]]:
    """Find the manifests in a folder and the files that they name.

    Returns
    -------
    tuple of (set of Path, set of Path)
        The files of the newest delivery of each bill, and the folders of these bills. Any other file in these folders
        belongs to an older delivery. Both sets are empty without manifests.

    Raises
    ------
    BadInputError
        A manifest cannot be read, or names a file that is missing.
    """
    newest: dict[PurePosixPath, Manifest] = {}
    for manifest in _manifests(folder):
        rival = newest.get(manifest.bill)
        if rival is None or manifest.age > rival.age:
            newest[manifest.bill] = manifest
    files: set[Path] = set()
    folders: set[Path] = set()
    for manifest in newest.values():
        found = {_local(folder, manifest, key) for key in manifest.keys}
        files |= found
        folders |= {path.parent.parent if is_execution(path.parent.name) else path.parent for path in found}
    return files, folders


def dated_deliveries(arguments: Sequence[str | Path]) -> list[tuple[datetime, list[Path]]]:
    """List the files that existed after each delivery, if every delivery has a time.

    Parameters
    ----------
    arguments : sequence of str or Path
        As `find_exports` takes them.

    Returns
    -------
    list of (datetime, list of Path)
        By time (UTC): the newest files of each billing period at that time. Empty if an argument is no folder, a
        manifest has no time (exports that overwrite), or a folder has files that no manifest names.

    Raises
    ------
    BadInputError
        A manifest cannot be read, or names a file that is missing.
    """
    deliveries: list[tuple[datetime, PurePosixPath, frozenset[Path]]] = []
    for folder in map(Path, arguments):
        named: set[Path] = set()
        for manifest in _manifests(folder):
            files = frozenset(_local(folder, manifest, key) for key in manifest.keys)
            if manifest.age[0] == _NEVER:
                return []
            deliveries.append((manifest.age[0], manifest.bill, files))
            named |= files
        if not named or any(path.suffix in (".parquet", ".csv", ".gz") and path not in named for path in _data(folder)):
            return []
    found: list[tuple[datetime, list[Path]]] = []
    newest: dict[PurePosixPath, frozenset[Path]] = {}
    for moment, bill, files in sorted(deliveries, key=lambda delivery: delivery[0]):
        newest[bill] = files
        there = sorted(path for paths in newest.values() for path in paths)
        found = [*(other for other in found if other[0] != moment), (moment, there)]
    return found


def _data(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith((".", "_")))


def _manifests(folder: Path) -> Iterator[Manifest]:
    for path in sorted(folder.rglob("*Manifest.json")):
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
            raise BadInputError(f"{path} is no readable manifest of an export: {error}") from error
        names = (content.get("dataFiles") or content.get("reportKeys") or []) if isinstance(content, dict) else []
        keys = tuple(PurePosixPath(urlsplit(str(name)).path.lstrip("/")) for name in names)
        if keys:
            yield Manifest(path, keys)


def _local(folder: Path, manifest: Manifest, key: PurePosixPath) -> Path:
    """Find a key's file: the longest end of the key that exists in the folder, near the manifest first."""
    parents = [parent for parent in manifest.path.parents if parent == folder or folder in parent.parents]
    for start in range(len(key.parts)):
        for parent in parents:
            path = parent.joinpath(*key.parts[start:])
            if path.is_file():
                return path
    raise BadInputError(
        f"{manifest.path} names {key}, which is not in {folder}: download the export as a whole, or give its files"
    )
