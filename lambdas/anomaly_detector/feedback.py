"""What people said of earlier alerts, and which new incidents that answers. Pure.

An incident is quiet when somebody called an earlier one false or planned, the same series cause it, and none of these
is larger than it was then: neither in all nor in its largest day does it carry more than twice as much above what was
expected. In all, since a leak of a usual size that does not end is no repeat; by the day and not by the hour, since a
job may take two hours or ten, while a burst of what once trickled for a week is no repeat either.

`false` says that this is how the resource is, and holds for thirteen months: what comes once a year is known then.
`planned` says that this time was meant, and holds for sixty days: for the rest of the plan. What is larger, later or
has another series that matters is told as ever, and an incident that was quiet is told once it has grown beyond that,
so that a judgement never hides a new cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from anomaly_detector.hours import parse_hour
from anomaly_detector.incidents import Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REMEMBERED_HOURS = {"false": 400 * 24, "planned": 60 * 24}
LONGEST_REMEMBERED_HOURS = max(REMEMBERED_HOURS.values())
LARGER = 2.0
MATTERS = 0.1  # share of the excess


class Size(NamedTuple):
    """GB of a series above what was expected: in all, and in the 24 hours with the most."""

    excess_gb: float
    day_excess_gb: float

    def covers(self, other: Size) -> bool:
        """Say whether another time is no larger than this one, give or take."""
        return all(new <= LARGER * judged for new, judged in zip(other, self, strict=True))


@dataclass(frozen=True)
class Judgement:
    """What somebody said of an alert, and what that was about: the series that caused it, their sizes, its start."""

    alert_id: str
    verdict: str
    causes: Mapping[Series, Size]
    start: int

    def answers(self, causes: Mapping[Series, Size], start: int) -> bool:
        """Say whether an incident of these causes is one that the judgement was about."""
        return (
            0 <= start - self.start <= REMEMBERED_HOURS.get(self.verdict, -1)
            and causes.keys() <= self.causes.keys()
            and all(self.causes[series].covers(size) for series, size in causes.items())
        )


def judgement_of(record: Mapping[str, Any]) -> Judgement:
    """Read an item of the alerts table that `egress-sentinel feedback` wrote."""
    return Judgement(
        alert_id=str(record["judged_alert_id"]),
        verdict=str(record["verdict"]),
        causes={_series(record, cause): _size(cause) for cause in record["causes"]},
        start=parse_hour(str(record["start_hour_utc"])),
    )


def quieted_by(alert: Mapping[str, Any], judgements: Iterable[Judgement]) -> str:
    """Return the id of the judged alert that answers this one, or "" where it is to be told."""
    lead, *others = alert["contributors"]
    causes = {_series(alert, row): _size(row) for row in (lead, *(row for row in others if row["share"] >= MATTERS))}
    start = parse_hour(alert["start_hour_utc"])
    return next((judged.alert_id for judged in judgements if judged.answers(causes, start)), "")


def _series(alert: Mapping[str, Any], cause: Mapping[str, Any]) -> Series:
    return Series(str(alert["account_id"]), *(str(cause[name]) for name in Series._fields[1:]))


def _size(cause: Mapping[str, Any]) -> Size:
    # A verdict of before sizes were kept covers nothing.
    return Size(*(float(cause.get(name, 0.0)) for name in Size._fields))
