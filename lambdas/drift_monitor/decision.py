"""Decides on a day, an hour or a table: outcome, result files and, if drift begins, a notification. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from drift_monitor import documents
from drift_monitor.judge import MIN_ROWS, drifted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from drift_monitor.day import Day
    from drift_monitor.judge import Measure
    from drift_monitor.limits import LimitTable
    from drift_monitor.reference import Reference

JUDGED, NO_ROWS, NO_REFERENCE = "judged", "no rows", "no reference"
_SHOWN = 12
_PREPOSITIONS = {"day": "on", "hour": "at", "batch": "in"}
_MAX_SUBJECT = 100  # the limit of SNS


@dataclass(frozen=True)
class Outcome:
    """The result of checking a day, an hour or a table.

    Parameters
    ----------
    day : str
        As in `day.Day`.
    status : str
        "judged", "no rows" or "no reference".
    reason : str
        Why the day was not checked, or only in part. Empty if it was checked in full.
    rows : int
    violations : int
        The number of measures beyond their limits on this day.
    drifted : list of str
        Features, keys and `anomaly_score` that have drifted.
    is_notified : bool
        Whether a notification is published because drift begins.
    flagged_share : float or None
    worst : float
        The largest measure in multiples of its limit. At most 1 if no limit is violated.
    """

    day: str
    status: str
    reason: str = ""
    rows: int = 0
    violations: int = 0
    drifted: list[str] = field(default_factory=list)
    is_notified: bool = False
    flagged_share: float | None = None
    worst: float = 0.0


class Message(NamedTuple):
    """A notification."""

    subject: str
    text: str


class Measured(NamedTuple):
    """The measures of a day and of the two days before it. Empty for a day without rows. Also used for hours."""

    today: list[Measure]
    yesterday: Sequence[Measure] = ()
    day_before: Sequence[Measure] = ()


class Decision(NamedTuple):
    """The outcome of a day, its files by name and their folder, and a notification if drift begins."""

    outcome: Outcome
    folder: str
    files: dict[str, bytes]
    message: Message | None


def decide(day: Day, measured: Measured, reference: Reference, limits: LimitTable, folder: str) -> Decision:
    """Decide whether a day has drifted, and whether drift begins on it.

    A day or an hour has drifted if a limit is exceeded twice in a row. For a table, once is enough.

    Parameters
    ----------
    day : Day
    measured : Measured
        The results of `judge.measures_of` for the three days.
    reference : Reference
    limits : LimitTable
    folder : str
        The folder of the day's files, named in the notification.

    Returns
    -------
    Decision
    """
    before = measured.today if day.kind == "batch" else measured.yesterday
    found = drifted(measured.today, before)
    begins = bool(found) and not drifted(measured.yesterday, measured.day_before)
    files = {
        "statistics.json": documents.statistics(day),
        "constraints.json": documents.constraints(reference, limits),
        "constraint_violations.json": documents.violations(measured.today),
        "measures.json": documents.measured(day, measured.today, found, reference),
    }
    return Decision(
        _outcome(day, measured.today, found, is_notified=begins),
        day.folder,
        {name: json.dumps(document, indent=1).encode() for name, document in files.items()},
        _message(day, found, reference, folder) if begins else None,
    )


def _outcome(day: Day, today: list[Measure], found: list[Measure], *, is_notified: bool) -> Outcome:
    return Outcome(
        day.day,
        JUDGED,
        "" if day.rows >= MIN_ROWS else f"only the schema was checked: {day.rows} rows, fewer than {MIN_ROWS}",
        rows=day.rows,
        violations=sum(measure.is_violated for measure in today),
        drifted=sorted({measure.feature for measure in found}),
        is_notified=is_notified,
        flagged_share=day.flagged_share,
        worst=max((_times_limit(measure) for measure in today), default=0.0),
    )


def _message(day: Day, found: list[Measure], reference: Reference, folder: str) -> Message:
    worst = sorted(found, key=_times_limit, reverse=True)
    by_feature = {measure.feature: measure for measure in reversed(worst)}
    lines = [f"{m.feature}: {m.described()}" for m in worst if by_feature[m.feature] is m]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    when = f"{_PREPOSITIONS[day.kind]} {day.day}"
    subject = f"Drift {when}: {len(lines)} of the model's inputs or outputs differ from its training rows"
    text = [
        f"{day.rows:,} rows of {day.day} against {_training(reference)}:",
        *lines[:_SHOWN],
        *more,
        f"All measures: {folder}",
        "If a column is missing or has another type, fix the data first. If the data have changed permanently, train a "
        "new model. See the section on drift in the runbook.",
    ]
    return Message(subject[:_MAX_SUBJECT], "\n".join(text))


def _training(reference: Reference) -> str:
    model = f" (model {reference.model_id})" if reference.model_id else ""
    if not reference.days:
        return f"{int(reference.rows.sum()):,} rows of training{model}"
    return f"{len(reference.days)} days of training, {reference.days[0]} to {reference.days[-1]}{model}"


def _times_limit(measure: Measure) -> float:
    """Return a measure in multiples of its limit. For a limit of 0, return the measure itself."""
    return 0.0 if measure.limit is None else measure.value / (measure.limit or 1.0)
