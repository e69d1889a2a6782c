"""Exclusions: hours of series that training leaves out because they are anomalous, or not yet reviewed.

The channel has files of JSON lines (`*.jsonl`), one object per line:

    {"account_id": "111122223333", "region": "eu-west-1", "service": "AmazonS3", "egress_class": "internet",
     "resource_id": "media-prod", "start_hour_utc": "2026-10-17T02:00:00Z", "end_hour_utc": "2026-10-17T11:00:00Z",
     "why": "alert 8a57b86d534230bc, true"}

The hours are the first and the last excluded hour in UTC. A missing key matches every value, so a line can exclude a
whole account. In `resource_id`, `*` and `?` are wildcards. `why` is a comment.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anomaly_detection.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

KEYS = ("account_id", "region", "service", "egress_class", "resource_id")
HOURS = ("start_hour_utc", "end_hour_utc")
NAMES = (*KEYS, *HOURS, "why")
ACCEPTED = f"an object with {', '.join(HOURS)} and any of {', '.join((*KEYS, 'why'))} is accepted"
_HOUR = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:00(:00)?(Z|\+00:00)")


@dataclass(frozen=True)
class Exclusion:
    """Hours [start, end], both included, of the series that have these values.

    Attributes
    ----------
    start, end : datetime64[us]
        UTC.
    keys : dict of str to str
        Some of `KEYS`. `resource_id` may be a pattern.
    """

    start: np.datetime64
    end: np.datetime64
    keys: dict[str, str]


def read_exclusions(channel: Path) -> list[Exclusion]:
    """Read the files of a channel, which is a directory or a file. Blank lines are skipped.

    Raises
    ------
    InputError
        A line is not valid. The message names the file, the line, the fault and the accepted form.
    """
    if not channel.exists():
        raise InputError(f"no exclude channel: {channel} is neither a directory nor a file")
    files = [channel] if channel.is_file() else sorted(channel.rglob("*.jsonl"))
    found = []
    for file in files:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{file.name} of the exclude channel cannot be read: {error}") from error
        found += [_read(line, f"{file.name}, line {n}") for n, line in enumerate(lines, 1) if line.strip()]
    return found


def columns_of(exclusions: Iterable[Exclusion]) -> list[str]:
    """Return the keys that at least one exclusion names, in the order of `KEYS`."""
    named = {name for exclusion in exclusions for name in exclusion.keys}
    return [name for name in KEYS if name in named]


def kept(hours: NDArray[np.datetime64], table: Any, exclusions: Sequence[Exclusion]) -> NDArray[np.bool_]:
    """Return a mask of the rows that are not excluded.

    Parameters
    ----------
    hours : ndarray of shape (n,), datetime64[us]
        Each row's hour, UTC.
    table : pyarrow.Table of n rows
        Has the columns of `columns_of` as texts.
    exclusions : sequence of Exclusion
    """
    mask = np.ones(len(hours), np.bool_)
    encoded = {name: _encoded(table[name]) for name in columns_of(exclusions)}
    for exclusion in exclusions:
        rows = np.flatnonzero((hours >= exclusion.start) & (hours <= exclusion.end))
        for name, value in exclusion.keys.items():
            codes, values = encoded[name]
            is_meant = _pattern(value).fullmatch if name == "resource_id" else value.__eq__
            meant = np.array([bool(is_meant(known)) for known in values], np.bool_)
            rows = rows[meant[codes[rows]]] if rows.size else rows
        mask[rows] = False
    return mask


def _encoded(column: Any) -> tuple[NDArray[np.int64], list[str]]:
    encoded = pc.fill_null(column.cast(pa.string()), "").combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int64), encoded.dictionary.to_pylist()


def _read(line: str, where: str) -> Exclusion:
    try:
        entry = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where} of the exclude channel is not JSON ({error}); {ACCEPTED}") from error
    if not isinstance(entry, dict):
        raise InputError(f"{where} of the exclude channel is {entry!r}; {ACCEPTED}")
    given = {name: value for name, value in entry.items() if value not in (None, "")}
    unknown = sorted(given.keys() - set(NAMES))
    if unknown:
        raise InputError(f"{where} of the exclude channel has {unknown[0]!r}; {ACCEPTED}")
    for name, value in given.items():
        if not isinstance(value, str):
            raise InputError(f"{where} of the exclude channel: {name} is {value!r}; use a text")
    start, end = (_hour(given, name, where) for name in HOURS)
    if end < start:
        raise InputError(f"{where} of the exclude channel ends at {given[HOURS[1]]}, before {given[HOURS[0]]}")
    return Exclusion(start, end, {name: given[name] for name in KEYS if name in given})


def _hour(given: dict[str, str], name: str, where: str) -> np.datetime64:
    value = given.get(name, "")
    sentence = f"{where} of the exclude channel: {name} is {value!r}; use a UTC hour such as 2026-10-17T02:00:00Z"
    if not _HOUR.fullmatch(value):
        raise InputError(sentence)
    try:
        return np.datetime64(value[:16], "us")
    except ValueError as error:  # such as the 31st of February
        raise InputError(sentence) from error


def _pattern(text: str) -> re.Pattern[str]:
    """Compile a pattern in which only `*` and `?` are special, since resource ids may contain brackets."""
    return re.compile(re.escape(text).replace(r"\*", ".*").replace(r"\?", "."), re.DOTALL)
