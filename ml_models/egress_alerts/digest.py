"""The weekly digest: the incidents of a week, their owners and missing verdicts, and how costs have changed.

A week is from Monday to Sunday, UTC. Every incident with an anomalous hour in it is in one of three lists:

- new: detected in the week, whether or not it has ended since
- ongoing: detected earlier, and neither ended nor withdrawn in the week
- ended: detected earlier, and its last anomalous hour is in the week

Suppressed and withdrawn incidents are counted and not listed. Dollars of an incident are those of all its hours.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, TypedDict

from egress_alerts.alert import account_text, resource_text, worst_first
from egress_alerts.message import MAX_SUBJECT, class_text
from egress_alerts.printable import printable
from egress_alerts.rows import without_levels
from egress_alerts.series import SUMMED, Window, day_of, parse_hour

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    import pyarrow as pa

    from egress_alerts.alert import Alert

_WEEK_HOURS = 7 * 24
# 1970-01-01, the first hour of all, was a Thursday.
_FIRST_MONDAY = 4 * 24
_WIDTH = 80
_MAX_INCIDENTS, _MAX_ROWS = 10, 10
_LABEL, _NUMBER = 35, 14


class _Incident(TypedDict):
    """An incident of the week."""

    alert_id: Annotated[str, "Id of the alert"]
    severity: Annotated[str, "Severity of the alert"]
    state: Annotated[str, "State when the digest was made"]
    place: Annotated[str, "Account with its name, region, and the kind of data transfer, in words"]
    resource: Annotated[str, "Resource of the leading series, in words"]
    excess_usd: Annotated[float, "Dollars above expected, of all its hours"]
    owner: Annotated[str, "Team that owns it; empty when unknown"]
    likely_cause: Annotated[str, "Likely cause in words; empty when unknown"]
    verdict: Annotated[str, "true, false or planned; empty when there is none"]


class _Row(TypedDict):
    """The cost of an account or of a kind of data transfer, in two weeks."""

    name: Annotated[str, "Account, or kind of data transfer in words"]
    cost_usd: Annotated[float, "Dollars of the week"]
    cost_usd_before: Annotated[float, "Dollars of the week before"]


class Digest(TypedDict):
    """One week, as `egress-sentinel digest --json` prints it."""

    week: Annotated[str, "Monday of the week, such as 2026-10-12"]
    last_day: Annotated[str, "Its Sunday"]
    cost_usd: Annotated[float, "Dollars that data transfer cost in the week"]
    cost_usd_before: Annotated[float, "Dollars of the week before"]
    days: Annotated[int, "Days of the week that have data"]
    days_before: Annotated[int, "Days of the week before that have data"]
    new: Annotated[list[_Incident], "Incidents detected in the week, worst first"]
    ongoing: Annotated[list[_Incident], "Incidents detected earlier that have not ended in it, worst first"]
    ended: Annotated[list[_Incident], "Incidents detected earlier that ended in it, worst first"]
    suppressed: Annotated[int, "Incidents of the week that a verdict or a planned event suppresses"]
    withdrawn: Annotated[int, "Incidents of the week that a restated bill no longer shows"]
    by_class: Annotated[list[_Row], "Costs by kind of data transfer, highest first"]
    by_account: Annotated[list[_Row], "Costs by account, highest first"]


@dataclass
class Spend:
    """What data transfer cost: dollars by account and egress class, and the number of days that have rows."""

    usd: dict[tuple[str, str], float] = field(default_factory=dict)
    days: int = 0

    def add_day(self, rows: pa.Table | None) -> None:
        """Add the rows of a day; None and an empty table count as a day without data."""
        if rows is None or rows.num_rows == 0:
            return
        self.days += 1
        of_series = without_levels(rows.select(["account_id", "egress_class", "resource_id", "cost_usd"]))
        sums = of_series.group_by(["account_id", "egress_class"], use_threads=False).aggregate([("cost_usd", "sum")])
        for row in sums.to_pylist():
            key = row["account_id"], row["egress_class"]
            self.usd[key] = self.usd.get(key, 0.0) + row["cost_usd_sum"]


def week_of(hour: int) -> Window:
    """Return the week that an hour is in."""
    start = hour - (hour - _FIRST_MONDAY) % _WEEK_HOURS
    return Window(start, start + _WEEK_HOURS)


def last_whole_week(until: int) -> Window:
    """Return the last week that is over by an hour, the first whose data are missing."""
    return week_of(until - _WEEK_HOURS)


def week_before(week: Window) -> Window:
    """Return the week before a week."""
    return Window(week.start - _WEEK_HOURS, week.start)


def build_digest(
    week: Window, alerts: Iterable[Alert], verdicts: Mapping[str, str], spend: Spend, spend_before: Spend
) -> Digest:
    """Return the digest of a week.

    Parameters
    ----------
    week : Window
        As `week_of` returns it.
    alerts : iterable of Alert
        All that have an hour in the week; others are left out.
    verdicts : mapping
        Verdicts by alert id.
    spend, spend_before : Spend
        Of the week, and of the week before.
    """
    of_week = [printable(alert) for alert in alerts if _is_of(alert, week)]
    counted = [alert for alert in of_week if alert["state"] != "withdrawn"]
    lists: dict[str, list[Alert]] = {"new": [], "ongoing": [], "ended": []}
    for alert in worst_first(alert for alert in counted if not alert["suppressed_by"]):
        lists[_list_of(alert, week)].append(alert)
    incidents = {name: [_incident(alert, verdicts) for alert in found] for name, found in lists.items()}
    names = {alert["account_id"]: account_text(alert) for alert in counted if alert["account_name"]}
    return {
        "week": day_of(week.start),
        "last_day": day_of(week.end - 1),
        "cost_usd": round(sum(spend.usd.values()), 6),
        "cost_usd_before": round(sum(spend_before.usd.values()), 6),
        "days": spend.days,
        "days_before": spend_before.days,
        "new": incidents["new"],
        "ongoing": incidents["ongoing"],
        "ended": incidents["ended"],
        "suppressed": sum(bool(alert["suppressed_by"]) for alert in counted),
        "withdrawn": len(of_week) - len(counted),
        "by_class": _trend(spend, spend_before, lambda _, egress_class: class_text(egress_class)),
        "by_account": _trend(spend, spend_before, lambda account, _: names.get(account, account)),
    }


def _is_of(alert: Alert, week: Window) -> bool:
    first = min(alert["start_hour_utc"], alert["detected_hour_utc"])
    return parse_hour(first) < week.end and parse_hour(alert["end_hour_utc"]) >= week.start


def _list_of(alert: Alert, week: Window) -> str:
    if parse_hour(alert["detected_hour_utc"]) >= week.start:
        return "new"
    return "ended" if alert["state"] == "ended" and parse_hour(alert["end_hour_utc"]) < week.end else "ongoing"


def _incident(alert: Alert, verdicts: Mapping[str, str]) -> _Incident:
    region = "all regions" if alert["region"] == SUMMED else alert["region"]
    return {
        "alert_id": alert["alert_id"],
        "severity": alert["severity"],
        "state": alert["state"],
        "place": f"{account_text(alert)}, {region}, {class_text(alert['egress_class'])}",
        "resource": resource_text(alert),
        "excess_usd": round(alert["cost_usd"] - alert["expected_cost_usd"], 6),
        "owner": alert["owner"],
        "likely_cause": alert["likely_cause"],
        "verdict": verdicts.get(alert["alert_id"], ""),
    }


def _trend(spend: Spend, before: Spend, name_of: Callable[[str, str], str]) -> list[_Row]:
    sums: dict[str, list[float]] = {}
    for number, each in enumerate((spend, before)):
        for key, usd in each.usd.items():
            sums.setdefault(printable(name_of(*key)), [0.0, 0.0])[number] += usd
    rows: list[_Row] = [
        {"name": name, "cost_usd": round(usd, 6), "cost_usd_before": round(earlier, 6)}
        for name, (usd, earlier) in sums.items()
        if round(usd, 2) or round(earlier, 2)
    ]
    return sorted(rows, key=lambda row: (-row["cost_usd"], -row["cost_usd_before"], row["name"]))


def render_subject(digest: Digest) -> str:
    """Return one line of at most 100 ASCII characters."""
    counts = ", ".join(f"{len(found)} {name}" for name, found in _lists(digest) if found) or "no incidents"
    text = f"Egress digest {digest['week']}: {counts}, ${_excess(digest):,.0f} above expected"
    return text.encode("ascii", "replace").decode("ascii")[:MAX_SUBJECT]


def render_digest(digest: Digest) -> str:
    """Return the digest as text, in lines of at most 80 characters."""
    sections = [
        _summary(digest),
        *(_incidents(name, found) for name, found in _lists(digest) if found),
        *_owners(digest),
        *_without_verdict(digest),
        *_table("Cost by kind of data transfer", digest["by_class"]),
        *_table("Cost by account", digest["by_account"]),
    ]
    return "\n\n".join("\n".join(lines) for lines in sections)


def _lists(digest: Digest) -> list[tuple[str, list[_Incident]]]:
    return [("new", digest["new"]), ("ongoing", digest["ongoing"]), ("ended", digest["ended"])]


def _all(digest: Digest) -> list[_Incident]:
    return [incident for _, found in _lists(digest) for incident in found]


def _excess(digest: Digest) -> float:
    return sum(incident["excess_usd"] for incident in _all(digest))


def _summary(digest: Digest) -> list[str]:
    lines = [f"Egress digest: {digest['week']} to {digest['last_day']} (UTC)", "", *_wrapped(_cost_text(digest))]
    if digest["days"] != digest["days_before"] and digest["days"] and digest["days_before"]:
        lines += _wrapped(
            f"The week has data for {digest['days']} of 7 days and the week before for {digest['days_before']}, so the "
            "weeks do not compare."
        )
    counts = ", ".join(f"{len(found)} {name}" for name, found in _lists(digest))
    lines += _wrapped(f"Incidents: {counts}. They cost ${_excess(digest):,.2f} above expected so far.")
    if digest["suppressed"] or digest["withdrawn"]:
        lines += _wrapped(f"Not listed: {digest['suppressed']} suppressed and {digest['withdrawn']} withdrawn.")
    return lines


def _cost_text(digest: Digest) -> str:
    if not digest["days"]:
        return "This week has no data."
    cost, before = digest["cost_usd"], digest["cost_usd_before"]
    if not digest["days_before"]:
        return f"Data transfer cost ${cost:,.2f}. The week before has no data."
    return f"Data transfer cost ${cost:,.2f}, after ${before:,.2f} in the week before ({_change(cost, before)})."


def _change(cost: float, before: float) -> str:
    if round(before, 2) == 0:
        return "new" if round(cost, 2) else "0 %"
    percent = round(100 * (cost - before) / before)
    return f"{percent:+,} %" if percent else "0 %"


def _incidents(name: str, found: Sequence[_Incident]) -> list[str]:
    lines = [name.capitalize()]
    for incident in found[:_MAX_INCIDENTS]:
        lines += _incident_lines(incident)
    others = found[_MAX_INCIDENTS:]
    if others:
        excess = sum(incident["excess_usd"] for incident in others)
        lines.append(f"  and {len(others)} more with ${excess:,.2f} above expected")
    return lines


def _incident_lines(incident: _Incident) -> list[str]:
    verdict = f"verdict: {incident['verdict']}" if incident["verdict"] else "no verdict"
    return [
        f"  {incident['severity'].upper():<8}  ${incident['excess_usd']:,.2f}  {incident['state']}  "
        f"{incident['alert_id']}  {verdict}",
        *_wrapped(incident["place"], 12),
        *_wrapped(_short(incident["resource"], _WIDTH - 12), 12),
        *_wrapped(f"likely cause: {incident['likely_cause'] or 'unknown'}", 12),
        *(_wrapped(f"owner: {incident['owner']}", 12) if incident["owner"] else []),
    ]


def _owners(digest: Digest) -> list[list[str]]:
    """Return the owners' section, or none if no owner is known."""
    found: dict[str, list[float]] = {}
    for incident in _all(digest):
        found.setdefault(incident["owner"], []).append(incident["excess_usd"])
    if not found.keys() - {""}:
        return []
    largest = sorted(found.items(), key=lambda item: (-sum(item[1]), item[0]))
    rows = [
        f"  {_short(owner or 'unknown', _LABEL):<{_LABEL}}{_count(len(usd)):>{_NUMBER}}{f'${sum(usd):,.2f}':>{_NUMBER}}"
        for owner, usd in largest[:_MAX_ROWS]
    ]
    others = len(largest) - len(rows)
    return [["Owners", *rows, *([f"  and {others} more"] if others else [])]]


def _count(number: int) -> str:
    return f"{number} incident{'' if number == 1 else 's'}"


def _without_verdict(digest: Digest) -> list[list[str]]:
    missing = [incident for incident in _all(digest) if not incident["verdict"]]
    if not missing:
        return []
    has = "has" if len(missing) == 1 else "have"
    command = f"  egress-sentinel feedback {missing[0]['alert_id']} true|false|planned"
    return [[*_wrapped(f"{_count(len(missing))} {has} no verdict. Record one with:"), command]]


def _table(title: str, rows: Sequence[_Row]) -> list[list[str]]:
    if not rows:
        return []
    shown, rest = list(rows[:_MAX_ROWS]), rows[_MAX_ROWS:]
    if rest:
        totals = (sum(row["cost_usd"] for row in rest), sum(row["cost_usd_before"] for row in rest))
        shown.append({"name": f"{len(rest)} others", "cost_usd": totals[0], "cost_usd_before": totals[1]})
    return [[_cells(title, "week", "week before", "change", indent=0), *(_row(row) for row in shown)]]


def _row(row: _Row) -> str:
    cost, before = row["cost_usd"], row["cost_usd_before"]
    return _cells(row["name"], f"${cost:,.2f}", f"${before:,.2f}", _change(cost, before))


def _cells(name: str, cost: str, before: str, change: str, indent: int = 2) -> str:
    label = f"{' ' * indent}{_short(name, _LABEL)}"
    return f"{label:<{_LABEL + 2}}{cost:>{_NUMBER}}{before:>{_NUMBER}}{change:>12}"


def _short(text: str, width: int) -> str:
    return text if len(text) <= width else f"...{text[3 - width :]}"


def _wrapped(text: str, indent: int = 0) -> list[str]:
    space = " " * indent
    return textwrap.wrap(text, _WIDTH, initial_indent=space, subsequent_indent=space, break_on_hyphens=False)
