"""One invocation: a day and the two before it, held against the serving model's reference; files, and one message."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from drift_monitor import documents
from drift_monitor.capture import read_captured
from drift_monitor.judge import Measure, drifted, measures_of
from drift_monitor.models import current_model, read_reference
from drift_monitor.reference import NoReferenceError
from drift_monitor.scored import read_scored

if TYPE_CHECKING:
    from drift_monitor.day import Day
    from drift_monitor.reference import Reference
    from drift_monitor.settings import Settings

JUDGED, NO_ROWS, NO_REFERENCE = "judged", "no rows", "no reference"
SHOWN = 12


@dataclass(frozen=True)
class Outcome:
    """What an invocation found.

    Parameters
    ----------
    day : str
    status : str
        "judged", "no rows" or "no reference".
    reason : str
        Where it was not judged, why.
    rows : int
    violations : int
        Measures beyond their limits on this day.
    drifted : list of str
        Features, keys and `anomaly_score` that have drifted.
    is_told : bool
        A message went out: drift begins.
    flagged_share : float or None
    worst : float
        The largest measure in multiples of its limit; at most 1 where nothing is violated.
    """

    day: str
    status: str
    reason: str = ""
    rows: int = 0
    violations: int = 0
    drifted: list[str] = field(default_factory=list)
    is_told: bool = False
    flagged_share: float | None = None
    worst: float = 0.0


class Monitor:
    """Everything an invocation needs, made once for a function instance."""

    def __init__(self, settings: Settings, s3: Any, sagemaker: Any, sns: Any) -> None:
        self._settings = settings
        self._s3 = s3
        self._sagemaker = sagemaker
        self._sns = sns

    def run(self, day: date) -> Outcome:
        """Judge a day; doing it again writes the same files, and tells again only where drift begins on that day.

        Raises
        ------
        CaptureError, ClientError
            Something did not work; a retry takes it from there.
        """
        model_name = self._settings.model_name or current_model(self._sagemaker, self._settings.endpoint_name)
        try:
            reference = read_reference(self._sagemaker, self._s3, model_name)
        except NoReferenceError as error:
            return Outcome(str(day), NO_REFERENCE, str(error))
        rows = self._read(day, reference)
        if rows is None:
            return Outcome(str(day), NO_ROWS, f"there are no rows under s3://{self._settings.bucket}/{self._source}")
        today = measures_of(rows, reference, self._settings.limits)
        yesterday, before = (self._measures(day - timedelta(days=back), reference) for back in (1, 2))
        found = drifted(today, yesterday)
        is_new = bool(found) and not drifted(yesterday, before)
        self._write(rows, today, found, reference)
        if is_new:
            self._tell(rows, found, reference)
        return _outcome(rows, today, found, is_told=is_new)

    @property
    def _source(self) -> str:
        return self._settings.capture_prefix or self._settings.scored_prefix

    def _read(self, day: date, reference: Reference) -> Day | None:
        read = read_captured if self._settings.capture_prefix else read_scored
        return read(self._s3, self._settings.bucket, self._source, str(day), reference)

    def _measures(self, day: date, reference: Reference) -> list[Measure]:
        rows = self._read(day, reference)
        return [] if rows is None else measures_of(rows, reference, self._settings.limits)

    def _write(self, day: Day, today: list[Measure], found: list[Measure], reference: Reference) -> None:
        for name, document in (
            ("statistics.json", documents.statistics(day)),
            ("constraint_violations.json", documents.violations(day, today)),
            ("measures.json", documents.measured(day, today, found, reference)),
        ):
            self._s3.put_object(
                Bucket=self._settings.bucket,
                Key=f"{self._settings.drift_prefix}day={day.day}/{name}",
                Body=json.dumps(document, indent=1).encode(),
                ContentType="application/json",
            )

    def _tell(self, day: Day, found: list[Measure], reference: Reference) -> None:
        worst = sorted(found, key=_times, reverse=True)
        by_feature = {measure.feature: measure for measure in reversed(worst)}
        lines = [f"{m.feature}: {m.described(day.day)}" for m in worst if by_feature[m.feature] is m]
        more = [f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
        where = f"s3://{self._settings.bucket}/{self._settings.drift_prefix}day={day.day}/"
        subject = f"Drift on {day.day}: {len(lines)} of the model's inputs or outputs are not what it was trained on"
        text = [
            f"{day.rows:,} rows of {day.day} against {len(reference.days)} days of training, {reference.days[0]} to "
            f"{reference.days[-1]} (model {reference.model_id}):",
            *lines[:SHOWN],
            *more,
            f"Every number: {where}",
            "A missing or odd column is a fault of the data: mend it first. A bill that has changed for good needs "
            "another model. The runbook's section on drift says how to tell.",
        ]
        self._sns.publish(TopicArn=self._settings.topic_arn, Subject=subject[:100], Message="\n".join(text))


def _outcome(day: Day, today: list[Measure], found: list[Measure], *, is_told: bool) -> Outcome:
    return Outcome(
        day.day,
        JUDGED,
        rows=day.rows,
        violations=sum(measure.is_violated for measure in today),
        drifted=sorted({measure.feature for measure in found}),
        is_told=is_told,
        flagged_share=day.flagged_share,
        worst=max((_times(measure) for measure in today), default=0.0),
    )


def _times(measure: Measure) -> float:
    """Return a measure in multiples of its limit; of a limit of 0, the measure itself."""
    return 0.0 if measure.limit is None else measure.value / (measure.limit or 1.0)
