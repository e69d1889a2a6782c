"""What people said of earlier alerts, and which new incidents that answers. Pure.

An incident is quiet when somebody called an earlier one false or planned, the same series cause it, and it is not
larger: its worst hour carries at most twice what the judged one's did. Anything larger, later than two months, or with
another series that matters, is told as ever, so a judgement never hides a new cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anomaly_detector.hours import parse_hour
from anomaly_detector.incidents import Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

QUIET_VERDICTS = ("false", "planned")
REMEMBERED_HOURS = 60 * 24
LARGER = 2.0
MATTERS = 0.1  # share of the excess


@dataclass(frozen=True)
class Judgement:
    """What somebody said of an alert, and what that was about: the series that caused it, its start, its worst hour."""

    alert_id: str
    verdict: str
    causes: frozenset[Series]
    start: int
    peak_excess_gb: float


def judgement_of(record: Mapping[str, Any]) -> Judgement:
    """Read an item of the alerts table that `egress-sentinel feedback` wrote."""
    return Judgement(
        alert_id=str(record["judged_alert_id"]),
        verdict=str(record["verdict"]),
        causes=frozenset(_series(record, cause) for cause in record["causes"]),
        start=parse_hour(str(record["start_hour_utc"])),
        peak_excess_gb=float(record["peak_excess_gb"]),
    )


def quieted_by(alert: Mapping[str, Any], judgements: Iterable[Judgement]) -> str:
    """Return the id of the judged alert that answers this one, or "" where it is to be told."""
    lead, *others = alert["contributors"]
    causes = {_series(alert, row) for row in (lead, *(row for row in others if row["share"] >= MATTERS))}
    start = parse_hour(alert["start_hour_utc"])
    for judged in judgements:
        if (
            judged.verdict in QUIET_VERDICTS
            and causes <= judged.causes
            and 0 <= start - judged.start <= REMEMBERED_HOURS
            and alert["peak_excess_gb"] <= LARGER * judged.peak_excess_gb
        ):
            return judged.alert_id
    return ""


def _series(alert: Mapping[str, Any], cause: Mapping[str, Any]) -> Series:
    return Series(str(alert["account_id"]), *(str(cause[name]) for name in Series._fields[1:]))
