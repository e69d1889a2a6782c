"""Judges days of scored rows for drift on this machine, by the functions that the deployed Lambda calls."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from drift_monitor.artifact import read_reference
from drift_monitor.decision import Decision, Measured, decide
from drift_monitor.judge import Measure, measures_of
from drift_monitor.limits import LimitsError, LimitTable
from drift_monitor.reference import NoReferenceError, Reference
from drift_monitor.scored import day_of_table
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.memory import load_model
from egress_sentinel.report.pictures import write_drift

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

SCORE = "anomaly_score"


def judge_locally(
    rows: Path,
    model_tar: Path,
    output_dir: Path,
    *,
    limits: str = "{}",
    track: Callable[[str, list[str]], Iterable[str]] = lambda _title, items: items,
) -> list[dict[str, Any]]:
    """Judge every whole day of rows after the model's training.

    Parameters
    ----------
    rows : Path
        A processed_features.parquet, which the model scores here, or scored rows: a file, or the folder `scored/` that
        `egress-sentinel score` writes.
    model_tar : Path
        A model.tar.gz that was trained on rows with hours.
    output_dir : Path
        Gets `day=.../statistics.json`, `constraint_violations.json` and `measures.json`, `messages.txt` and
        `drift.html` (a row for each feature, a column for each day).
    limits : str
        JSON, such as `{"*": {"psi": 0.2}}`; see `drift_monitor.limits`.
    track : callable
        Wraps the days, to show progress.

    Returns
    -------
    list of dict
        The fields of `drift_monitor.decision.Outcome` for each day, in order.

    Raises
    ------
    UserError
        Rows, model or limits that cannot be used, or no whole day after training.
    """
    table_of_limits = _limits(limits)
    days = _whole_days(*_scored(rows, model_tar))
    decisions = list(_decisions(days, _reference(model_tar), table_of_limits, track))
    for decision in decisions:
        folder = output_dir / f"day={decision.outcome.day}"
        folder.mkdir()
        for name, body in decision.files.items():
            (folder / name).write_bytes(body)
    messages = ["\n".join(decision.message) for decision in decisions if decision.message]
    (output_dir / "messages.txt").write_text("\n\n".join(messages) + "\n", encoding="utf-8")
    title = f"Drift of {min(days)} to {max(days)} against the days of {model_tar.name}"
    measures = [json.loads(decision.files["measures.json"]) for decision in decisions]
    write_drift(output_dir / "drift.html", measures, title)
    return [asdict(decision.outcome) for decision in decisions]


def _decisions(
    days: dict[str, pa.Table],
    reference: Reference,
    limits: LimitTable,
    track: Callable[[str, list[str]], Iterable[str]],
) -> Iterator[Decision]:
    """Decide on days that follow each other, the first of which has no rows before it."""
    yesterday: list[Measure] = []
    day_before: list[Measure] = []
    for day in track("drift", list(days)):
        rows = day_of_table(day, days[day], reference)
        today = measures_of(rows, reference, limits)
        yield decide(rows, Measured(today, yesterday, day_before), reference, f"day={day}/")
        yesterday, day_before = today, yesterday


def _reference(model_tar: Path) -> Reference:
    try:
        with model_tar.open("rb") as file:
            return read_reference(file, model_tar.name)
    except NoReferenceError as error:
        raise UserError(str(error)) from error


def _limits(text: str) -> LimitTable:
    try:
        return LimitTable.parse(text)
    except LimitsError as error:
        raise UserError(str(error)) from error


def _scored(rows: Path, model_tar: Path) -> tuple[pa.Table, datetime | None]:
    """Return the rows, scored, and the last hour that the model was trained on."""
    model = load_model(model_tar)
    try:
        table = ds.dataset(rows, format="parquet").to_table()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read rows from {rows}: {error}") from error
    if "hour_utc" not in table.column_names:
        raise UserError(f"{rows} has no column hour_utc; scored rows or a processed_features.parquet are accepted")
    if SCORE not in table.column_names:
        missing = [name for name in model.feature_names if name not in table.column_names]
        if missing:
            raise UserError(f"{rows} has no column {missing[0]}, which the model needs to score it")
        matrix = np.stack([table[name].to_numpy() for name in model.feature_names], axis=1).astype(np.float32)
        table = table.append_column(SCORE, pa.array(model.forest.scores(matrix)))
    last = model.manifest["training"]["end_hour_utc"]
    return table, None if last is None else datetime.fromisoformat(last)


def _whole_days(table: pa.Table, trained_until: datetime | None) -> dict[str, pa.Table]:
    """Split rows by day, and leave out the days that training saw and a first and a last one that is not whole."""
    ends = pc.min_max(table["hour_utc"].cast(pa.timestamp("us", "UTC"))).as_py()
    if ends["min"] is None:
        raise UserError("there are no rows to judge")
    first = max(ends["min"], trained_until + timedelta(hours=1) if trained_until else ends["min"])
    start = _midnight(first) + timedelta(days=int(first != _midnight(first)))
    end = _midnight(ends["max"] + timedelta(hours=1))
    days = [f"{start + timedelta(days=n):%Y-%m-%d}" for n in range(max((end - start).days, 0))]
    if not days:
        raise UserError(
            f"the rows from {ends['min']:%Y-%m-%dT%H:%MZ} to {ends['max']:%Y-%m-%dT%H:%MZ} have no whole day after the "
            f"model's training, which ended with {trained_until or 'an unknown hour'}"
        )
    day_of_row = pc.strftime(table["hour_utc"], format="%Y-%m-%d")
    return {day: table.filter(pc.equal(day_of_row, day)) for day in days}


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
