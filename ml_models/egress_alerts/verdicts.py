"""Verdicts on earlier alerts, and the new alerts that they suppress.

A verdict of `false` or `planned` suppresses an alert that the same series cause, if none of them is much larger. A
series may carry at most twice the excess, both in all and in its largest day. The total is compared because a leak of
the usual size that does not end is no repeat. The largest day is compared because a burst of the traffic that once took
a week is no repeat either. Hours are not compared, because the same job may take two hours or ten.

`false` means that the resource behaves like this. It holds for thirteen months, so that it covers yearly jobs.
`planned` is about one event. It holds for sixty days, to cover the rest of the plan. A larger incident, a later one and
one with another series that matters are notified as usual. So is a suppressed incident that grows beyond the verdict. A
verdict never hides a new cause.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from egress_alerts.series import Series, parse_hour

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from egress_alerts.alert import Alert, Contributor

VERDICTS = ("true", "false", "planned")
SERIES = ("region", "service", "egress_class", "resource_id")
SIZES = ("excess_gb", "day_excess_gb")
ABOUT = ("account_id", "region", "start_hour_utc", "end_hour_utc")
_REMEMBERED_HOURS = {"false": 400 * 24, "planned": 60 * 24}
LONGEST_REMEMBERED_HOURS = max(_REMEMBERED_HOURS.values())
_LARGER = 2.0
_MATTERS = 0.1  # share of the excess


class Size(NamedTuple):
    """GB of a series above expected: in all, and in the 24 hours with the most."""

    excess_gb: float
    day_excess_gb: float

    def covers(self, other: Size) -> bool:
        """Return whether another size is at most twice this one."""
        return all(new <= _LARGER * old for new, old in zip(other, self, strict=True))


@dataclass(frozen=True)
class Verdict:
    """A person's verdict on an alert: the series that caused it, their sizes, and its start as an hour number."""

    alert_id: str
    verdict: str
    causes: Mapping[Series, Size]
    start: int

    def covers(self, causes: Mapping[Series, Size], start: int) -> bool:
        """Return whether the verdict suppresses an alert with these causes."""
        return (
            0 <= start - self.start <= _REMEMBERED_HOURS.get(self.verdict, -1)
            and causes.keys() <= self.causes.keys()
            and all(self.causes[series].covers(size) for series, size in causes.items())
        )


def build_verdict(alert: Alert, verdict: str, note: str, judged_at: str) -> dict[str, Any]:
    """Return the record of a verdict, as a feedback file and the alerts table keep it.

    Parameters
    ----------
    alert : Alert
    verdict : str
        One of `VERDICTS`.
    note : str
        The person's reason. May be empty.
    judged_at : str
        The time in ISO 8601.

    Raises
    ------
    ValueError
        Another verdict.
    """
    if verdict not in VERDICTS:
        raise ValueError(f"the verdict is {verdict!r}; accepted are {', '.join(VERDICTS)}")
    return {
        "judged_alert_id": alert["alert_id"],
        "verdict": verdict,
        "note": note,
        "judged_at": judged_at,
        **{name: value for name, value in alert.items() if name in ABOUT},
        "causes": [_cause(row) for row in alert["contributors"]],
    }


def read_verdict(record: Mapping[str, Any]) -> Verdict:
    """Read a record that `build_verdict` made."""
    return Verdict(
        alert_id=str(record["judged_alert_id"]),
        verdict=str(record["verdict"]),
        causes={_series(record, cause): _size(cause) for cause in record["causes"]},
        start=parse_hour(str(record["start_hour_utc"])),
    )


def suppressed_by(alert: Alert, verdicts: Iterable[Verdict]) -> str:
    """Return the alert id of the verdict that suppresses an alert, or "" when people are to be notified."""
    lead, *others = alert["contributors"]
    causes = {_series(alert, row): _size(row) for row in (lead, *(row for row in others if row["share"] >= _MATTERS))}
    start = parse_hour(alert["start_hour_utc"])
    return next((verdict.alert_id for verdict in verdicts if verdict.covers(causes, start)), "")


def _cause(row: Contributor) -> dict[str, Any]:
    series = {name: value for name, value in row.items() if name in SERIES}
    # Alerts from before sizes were kept have none.
    sizes: dict[str, Any] = {name: row.get(name, 0.0) for name in SIZES}
    return series | {name: float(value) for name, value in sizes.items()}


def _series(about: Mapping[str, Any], cause: Mapping[str, Any]) -> Series:
    return Series(str(about["account_id"]), *(str(cause[name]) for name in SERIES))


def _size(cause: Mapping[str, Any]) -> Size:
    # A verdict from before sizes were kept covers nothing.
    return Size(*(float(cause.get(name, 0.0)) for name in Size._fields))
