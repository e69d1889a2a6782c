"""Finds billing export files among files, globs and folders."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING

from egress_features.errors import BadInputError
from egress_features.manifests import newest_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

SUFFIXES = (".parquet", ".csv", ".csv.gz")


def is_named_as_export(path: Path) -> bool:
    """Return whether a file has a suffix of billing exports, in any case."""
    return path.name.lower().endswith(SUFFIXES)


def find_exports(arguments: Sequence[str | Path]) -> list[Path]:
    """List the export files that the arguments name, sorted, each once.

    Parameters
    ----------
    arguments : sequence of str or Path
        Files, globs, or folders. Folders are searched recursively for `.parquet`, `.csv` and `.csv.gz` in upper or
        lower case. Hidden files and names such as `_SUCCESS` are skipped. If a folder has manifests of AWS's exports,
        the newest manifest of each billing period decides which files of that period are read.

    Raises
    ------
    BadInputError
        An argument matches no file, or a file of another kind. Or a manifest names files that are missing or of
        another kind.
    """
    found: set[Path] = set()
    for argument in arguments:
        matched = list(_expand(argument))
        if not matched:
            raise BadInputError(
                f"no billing export in {argument}: give files, globs or folders with {', '.join(SUFFIXES)} files"
            )
        found.update(matched)
    return sorted(found)


def _expand(argument: str | Path) -> Iterable[Path]:
    path = Path(argument)
    if path.is_dir():
        return _inside(path)
    if path.is_file():
        if not is_named_as_export(path):
            raise BadInputError(
                f"{path} is no {', '.join(SUFFIXES)} file, and billing exports of no other kind are read"
            )
        return [path]
    matches = [Path(match) for match in glob.glob(str(argument), recursive=True)]  # noqa: PTH207 - absolute globs
    return [p for match in matches for p in (_inside(match) if match.is_dir() else [match]) if is_named_as_export(p)]


def _inside(folder: Path) -> list[Path]:
    named, bills = newest_files(folder)
    unread = [path for path in sorted(named) if not is_named_as_export(path)]
    if unread:
        raise BadInputError(
            f"{unread[0]} is what a manifest names, and only {', '.join(SUFFIXES)} files are read: let AWS compress "
            "the report as Parquet or GZIP"
        )
    return [
        path
        for path in folder.rglob("*")
        if path.is_file()
        and is_named_as_export(path)
        and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)
        and (path in named or not bills.intersection(path.parents))
    ]
