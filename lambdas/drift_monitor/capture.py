"""Reads a day or an hour of a real-time endpoint's data capture: requests and responses. Pure."""

from __future__ import annotations

import base64
import csv
import io
import json
from typing import TYPE_CHECKING, Any

import numpy as np

from drift_monitor.day import Day
from drift_monitor.reference import SCORE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from drift_monitor.reference import Reference


class CaptureError(ValueError):
    """None of the captured records can be read."""


def day_of_records(day: str, lines: Iterator[str], reference: Reference) -> Day | None:
    """Collect the features and scores of captured records.

    Parameters
    ----------
    day : str
        A day, or an hour such as "2026-11-24T07".
    lines : iterator of str
        JSON, as SageMaker writes it: `captureData` with `endpointInput` and `endpointOutput`, each with `data` and
        `encoding` (CSV, JSON or BASE64). Rows are CSV with a header line or numbers in the model's order, or JSON
        objects: a single object, a list, a list under `instances` or `predictions`, or one object per line.
    reference : Reference

    Raises
    ------
    CaptureError
        No record has both rows and scores.
    """
    answers = [name for name in reference.columns if name not in reference.features]
    rows: list[dict[str, Any]] = []
    records = unread = 0
    for line in lines:
        records += 1
        try:
            rows += _rows_of(json.loads(line), reference.features, answers)
        except (ValueError, KeyError, TypeError):
            unread += 1
    if not records:
        return None
    if not rows:
        needed = " and ".join(["rows", *answers])
        raise CaptureError(f"none of the {records} records captured on {day} has {needed}")
    there = [name for name in reference.columns if name != SCORE and any(name in row for row in rows)]
    columns = {name: [row.get(name) for row in rows] for name in there}
    wrong = {name: "text" for name, values in columns.items() if not all(map(_is_number, values))}
    return Day(
        day=day,
        columns={name: _floats(values) for name, values in columns.items() if name not in wrong},
        scores=_floats([row.get(SCORE) for row in rows]),
        wrong_types=wrong,
        unread=unread,
        kind="hour" if "T" in day else "day",
    )


def _rows_of(record: dict[str, Any], features: list[str], answers: list[str]) -> list[dict[str, Any]]:
    sent = _table(record["captureData"]["endpointInput"], features)
    if not answers:
        return sent
    got = _table(record["captureData"]["endpointOutput"], answers)
    return [row | {name: float(answer[name]) for name in answers} for row, answer in zip(sent, got, strict=True)]


def _table(side: dict[str, Any], names: list[str]) -> list[dict[str, Any]]:
    text = side["data"]
    if side.get("encoding") == "BASE64":
        text = base64.b64decode(text).decode("utf-8")
    text = text.strip()
    return _objects(text) if text[:1] in {"{", "["} else _csv(text, names)


def _csv(text: str, names: list[str]) -> list[dict[str, Any]]:
    lines = list(csv.reader(io.StringIO(text)))
    has_header = not all(map(_is_number, lines[0]))
    header = [name.strip() for name in lines[0]] if has_header else names
    return [dict(zip(header, cells, strict=True)) for cells in lines[int(has_header) :]]


def _objects(text: str) -> list[dict[str, Any]]:
    try:
        document = json.loads(text)
    except ValueError:
        return [dict(json.loads(line)) for line in text.splitlines()]
    if isinstance(document, dict):
        document = document.get("instances", document.get("predictions", [document]))
    return [dict(row) for row in document]


def _is_number(value: Any) -> bool:
    try:
        float(value or "nan")
    except (ValueError, TypeError):
        return False
    return True


def _floats(values: list[Any]) -> np.ndarray:
    return np.array([float("nan") if value in {None, ""} else float(value) for value in values], np.float64)
