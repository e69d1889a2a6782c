"""Files that are there whole or not at all."""

from __future__ import annotations

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def written_beside(path: Path) -> Iterator[Path]:
    """Give a temporary path in the same directory, which takes the place of `path` on success."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as temporary:
        beside = Path(temporary) / path.name
        yield beside
        beside.replace(path)


def write_json(path: Path, document: Any) -> None:
    """Write a document as indented JSON, the same bytes for the same document."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    with written_beside(path) as beside:
        beside.write_text(text, encoding="utf-8")
