"""Log files that a trail of CloudTrail writes to S3: `{"Records": [...]}` as JSON, gzipped or not."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, Any

from egress_alerts.changes import find_changes, read_event
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from egress_alerts.changes import Event, FindChanges

_NAMES = (".json", ".json.gz")


def changes_in(paths: Sequence[Path]) -> FindChanges:
    """Return a function that looks for the changes before an incident in log files, which it reads once.

    Parameters
    ----------
    paths : sequence of Path
        Files, and folders with files at any depth.

    Raises
    ------
    UserError
        There are no log files, or one of them is none.
    """
    files = [file for path in paths for file in _files(path)]
    if not files:
        raise UserError(f"no .json or .json.gz files in {', '.join(map(str, paths))}; give CloudTrail's log files")
    # A trail of several regions writes the events of global services once in each.
    events = list({event.event_id: event for file in files for event in _events(file)}.values())
    return lambda alert: find_changes(alert, events)


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    # Digests lie beside the logs, in folders named so.
    found = sorted(file for file in path.rglob("*.json*") if file.name.endswith(_NAMES))
    return [file for file in found if "CloudTrail-Digest" not in file.parts]


def _events(file: Path) -> Iterator[Event]:
    try:
        body = file.read_bytes()
        content: Any = json.loads(gzip.decompress(body) if file.name.endswith(".gz") else body)
        for record in content["Records"]:
            if event := read_event(record):
                yield event
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError, EOFError) as error:
        raise UserError(f'{file} is no log file of CloudTrail; one is JSON: {{"Records": [...]}}') from error
