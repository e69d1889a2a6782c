"""Checks rows for drift locally, with the functions of the deployed Lambda."""

from __future__ import annotations

import json
import tarfile
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.dataset as ds

from drift_monitor.artifact import read_reference
from drift_monitor.decision import Decision, Measured, decide
from drift_monitor.judge import Measure, measures_of
from drift_monitor.limits import LimitsError, LimitTable
from drift_monitor.reference import SCORE, NoReferenceError, Reference, reference_of
from drift_monitor.scored import day_of_table, is_number
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.memory import load_model
from egress_sentinel.report.pictures import write_drift

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_HOUR = "hour_utc"


def judge_locally(
    rows: Path,
    model: Path,
    output_dir: Path,
    *,
    limits: str = "{}",
    track: Callable[[str, list[str]], Iterable[str]] = lambda _title, items: items,
) -> list[dict[str, Any]]:
    """Check every whole day after the model's training for drift. Tables without hours are checked one by one.

    Parameters
    ----------
    rows : Path
        A parquet or CSV file, or a folder such as the `scored/` of `egress-sentinel score`. Rows that have the model's
        features and no scores are scored first.
    model : Path
        A model.tar.gz with a baseline.json, or a baseline.json.
    output_dir : Path
        The folder for the results: `day=.../` (for tables without hours `batch=NAME/`) with `statistics.json`,
        `constraints.json`, `constraint_violations.json` and `measures.json`, a copy of the last one in `latest/`,
        `messages.txt`, and `drift.html` (one row per feature, one column per day or table).
    limits : str
        JSON, such as `{"*": {"psi": 0.2}}`, or the name of a file with it; see `drift_monitor.limits`.
    track : callable
        Wraps the days, to show progress.

    Returns
    -------
    list of dict
        The fields of `drift_monitor.decision.Outcome` for each day or table, in order.

    Raises
    ------
    UserError
        The rows, the model or the limits cannot be used, or there is no whole day after training.
    """
    table_of_limits = _limits(limits)
    reference = _reference(model)
    tables = {name: _scored(table, reference, model) for name, table in _tables(rows).items()}
    if all(_HOUR in table.column_names for table in tables.values()):
        days = _whole_days(_together(tables), reference.trained_until)
        decisions = list(_decisions(days, reference, table_of_limits, track))
    else:
        days = tables
        decisions = [_alone(name, days[name], reference, table_of_limits) for name in track("drift", list(days))]
    for decision in decisions:
        _write(output_dir / decision.folder, decision)
    _write(output_dir / "latest", decisions[-1])
    messages = ["\n".join(decision.message) for decision in decisions if decision.message]
    (output_dir / "messages.txt").write_text("\n\n".join(messages) + "\n", encoding="utf-8")
    title = f"Drift of {' to '.join(sorted({min(days), max(days)}))} against the training rows of {model.name}"
    measures = [json.loads(decision.files["measures.json"]) for decision in decisions]
    write_drift(output_dir / "drift.html", measures, title)
    return [asdict(decision.outcome) for decision in decisions]


def _write(folder: Path, decision: Decision) -> None:
    folder.mkdir()
    for name, body in decision.files.items():
        (folder / name).write_bytes(body)


def _decisions(
    days: dict[str, pa.Table],
    reference: Reference,
    limits: LimitTable,
    track: Callable[[str, list[str]], Iterable[str]],
) -> Iterator[Decision]:
    """Decide on consecutive days. There are no rows before the first one."""
    yesterday: list[Measure] = []
    day_before: list[Measure] = []
    for day in track("drift", list(days)):
        rows = day_of_table(day, days[day], reference)
        today = measures_of(rows, reference, limits)
        yield decide(rows, Measured(today, yesterday, day_before), reference, limits, rows.folder)
        yesterday, day_before = today, yesterday


def _alone(name: str, table: pa.Table, reference: Reference, limits: LimitTable) -> Decision:
    """Decide on a single table without hours."""
    rows = day_of_table(name, table, reference, "batch")
    return decide(rows, Measured(measures_of(rows, reference, limits)), reference, limits, rows.folder)


def _reference(model: Path) -> Reference:
    try:
        with model.open("rb") as file:
            if model.suffix == ".json":
                return reference_of({}, json.load(file))
            return read_reference(file, model.name)
    except NoReferenceError as error:
        raise UserError(str(error)) from error
    except (OSError, EOFError, tarfile.TarError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise UserError(
            f"cannot read the model {model}: {error}; a model.tar.gz or its baseline.json is accepted"
        ) from error


def _limits(text: str) -> LimitTable:
    try:
        return LimitTable.parse(Path(text).read_text("utf-8") if text.endswith(".json") else text)
    except OSError as error:
        raise UserError(f"cannot read the limits {text}: {error.strerror}") from error
    except LimitsError as error:
        raise UserError(str(error)) from error


def _tables(rows: Path) -> dict[str, pa.Table]:
    """Read the files. Return them by their names without extension."""
    paths = [rows]
    if rows.is_dir():
        paths = sorted(path for path in rows.rglob("*") if path.suffix in {".parquet", ".csv"})
    if not paths:
        raise UserError(f"there is no .parquet or .csv file below {rows}")
    named = {_name(path, rows): path for path in paths}
    if len(named) < len(paths):
        other = next(path for path in paths if path not in named.values())
        raise UserError(f"{other} and {named[_name(other, rows)]} would have the same report; rename one of them")
    return {name: _table(path) for name, path in named.items()}


def _name(path: Path, rows: Path) -> str:
    name = path.relative_to(rows) if rows.is_dir() else Path(path.name)
    return "-".join(name.with_suffix("").parts)


def _table(path: Path) -> pa.Table:
    try:
        return pa_csv.read_csv(path) if path.suffix == ".csv" else ds.dataset(path, format="parquet").to_table()
    except (OSError, ValueError) as error:
        raise UserError(f"cannot read rows from {path}: {error}") from error


def _scored(table: pa.Table, reference: Reference, model_tar: Path) -> pa.Table:
    """Score rows without scores, if they have all columns of the model."""
    names = reference.features
    if SCORE in table.column_names or SCORE not in reference.columns or model_tar.suffix == ".json":
        return table
    if not all(name in table.column_names and is_number(table.schema.field(name).type) for name in names):
        return table
    model = load_model(model_tar)
    matrix = np.stack([table[name].to_numpy() for name in model.feature_names], axis=1).astype(np.float32)
    return table.append_column(SCORE, pa.array(model.forest.scores(matrix)))


def _together(tables: dict[str, pa.Table]) -> pa.Table:
    """Return all rows, with `hour_utc` as a time."""
    try:
        table = pa.concat_tables(tables.values(), promote_options="permissive")
        hours = table[_HOUR].cast(pa.timestamp("us", "UTC"))
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        raise UserError(
            f"the rows cannot be split by day: {error}; {_HOUR} must be a time in UTC, and each column must have one "
            "type in all files"
        ) from error
    return table.set_column(table.column_names.index(_HOUR), _HOUR, hours)


def _whole_days(table: pa.Table, last_hour: str | None) -> dict[str, pa.Table]:
    """Split rows by day. Leave out days of training, and the first and the last day unless they are whole."""
    trained_until = None if last_hour is None else datetime.fromisoformat(last_hour)
    ends = pc.min_max(table[_HOUR]).as_py()
    if ends["min"] is None:
        raise UserError("there are no rows to check")
    first = max(ends["min"], trained_until + timedelta(hours=1) if trained_until else ends["min"])
    start = _midnight(first) + timedelta(days=int(first != _midnight(first)))
    end = _midnight(ends["max"] + timedelta(hours=1))
    days = [f"{start + timedelta(days=n):%Y-%m-%d}" for n in range(max((end - start).days, 0))]
    if not days:
        raise UserError(
            f"the rows from {ends['min']:%Y-%m-%dT%H:%MZ} to {ends['max']:%Y-%m-%dT%H:%MZ} have no whole day after the "
            f"model's training, which ended with {trained_until or 'an unknown hour'}"
        )
    day_of_row = pc.strftime(table[_HOUR], format="%Y-%m-%d")
    return {day: table.filter(pc.equal(day_of_row, day)) for day in days}


def _midnight(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
