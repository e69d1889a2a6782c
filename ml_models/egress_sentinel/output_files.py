"""Writes results atomically: to a temporary place next to the target, then by a rename."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def replaced_directory(directory: Path) -> Iterator[Path]:
    """Yield an empty directory that replaces `directory` when the block has succeeded.

    Parameters
    ----------
    directory : Path
        The final place. An existing directory is replaced as a whole, or left unchanged if the block fails.

    Raises
    ------
    UserError
        The place cannot be written, is a file, or has files that this program did not create.
    """
    directory = directory.absolute()
    _refuse_foreign(directory)
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    except OSError as error:
        raise UserError(f"cannot write to {directory.parent}: {error.strerror}") from error
    try:
        work.chmod(0o755)
        (work / MARKER).write_text("Made by egress-sentinel, which replaces this directory as a whole.\n")
        yield work
        _swap(work, directory)
    finally:
        shutil.rmtree(work, ignore_errors=True)


MARKER = ".egress-sentinel"


def _refuse_foreign(directory: Path) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise UserError(f"the output {directory} is a file; a directory is needed")
    if any(directory.iterdir()) and not (directory / MARKER).exists():
        raise UserError(
            f"the output directory {directory} holds files that egress-sentinel did not make; "
            "name an empty or a new one with --output-dir"
        )
    if not os.access(directory, os.W_OK):
        raise UserError(f"cannot write to {directory}: permission denied")


def _swap(work: Path, directory: Path) -> None:
    retired = directory.with_name(f"{work.name}-old")
    try:
        if directory.exists():
            directory.rename(retired)
        work.rename(directory)
    except OSError as error:
        if retired.exists() and not directory.exists():
            retired.rename(directory)
        raise UserError(f"cannot replace {directory}: {error.strerror}") from error
    shutil.rmtree(retired, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises
    ------
    UserError
        The file cannot be written.
    """
    beside = path.with_name(f".{path.name}.partial")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise UserError(f"cannot write {path}: {error.strerror}") from error
