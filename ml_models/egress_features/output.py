"""Writes a file beside the one that it replaces."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

from egress_features.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@contextmanager
def atomic_write(output: Path) -> Iterator[Path]:
    """Give a file beside `output` that takes its place if all goes well.

    Raises
    ------
    BadInputError
        A folder that cannot be written to.
    """
    beside = output.with_name(f".{output.name}.{os.getpid()}.part")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        beside.touch()
    except OSError as error:
        raise BadInputError(f"cannot write {output}: {error.strerror}; give another output folder") from error
    try:
        yield beside
        try:
            beside.replace(output)
        except OSError as error:
            raise BadInputError(f"cannot replace {output}: {error.strerror}; it is as it was") from error
    finally:
        beside.unlink(missing_ok=True)
