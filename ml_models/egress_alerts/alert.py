"""The alert: the typed record of one incident, as `alerts.json`, the alerts table and every notification have it."""

from __future__ import annotations

from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    Literal,
    TypedDict,
    TypeVar,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from egress_alerts.changes import Change  # noqa: TC001 - the schema reads it
from egress_alerts.lifecycle import (
    State,
    current_usd_per_day,
    is_large_for_the_account,
    peak_usd_per_day,
    severity_of,
)
from egress_alerts.policy import SEVERITIES, Severity
from egress_alerts.remedies import remedy_of
from egress_alerts.series import SUMMED, Labels, Series, day_of, iso_hour, parse_hour
from egress_alerts.signatures import Cause, likely_cause

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from egress_alerts.hours import Hour, Incident
    from egress_alerts.policy import Policy

MAX_CONTRIBUTORS = 5
DAY_HOURS = 24
_UNKNOWN = Labels()

Granularity = Literal["hour", "day"]
Record = TypeVar("Record", bound="Mapping[str, Any]")


class Contributor(TypedDict):
    """One series of an incident."""

    account_id: Annotated[str, "AWS account; * where it is the sum of several"]
    region: Annotated[str, "AWS region code; * where it is the sum of several"]
    service: Annotated[str, "AWS service code, such as AmazonS3"]
    egress_class: Annotated[str, "Kind of data transfer, such as internet or inter_az"]
    usage_type: Annotated[str, "Usage type of the hour with the most GB"]
    operation: Annotated[str, "Operation of that hour; empty when the bill has none"]
    resource_id: Annotated[str, "Resource id or ARN; empty when the bill has none, * where it is the sum of several"]
    excess_usd: Annotated[float, "Dollars above expected"]
    excess_gb: Annotated[float, "GB (10^9 bytes) above expected"]
    day_excess_gb: Annotated[float, "GB above expected in the 24 hours with the most"]
    share: Annotated[float, "Share of the incident's excess dollars, or of its GB where it costs nothing (0 to 1)"]


class Alert(TypedDict):
    """One incident, priced and explained. Amounts cover the incident's anomalous hours."""

    alert_id: Annotated[str, "Stable id of the incident and of its cause: 16 hexadecimal digits"]
    account_id: Annotated[str, "AWS account of the leading series; * where it is the sum of several"]
    region: Annotated[str, "Region of the leading series; * where it is the sum of several"]
    service: Annotated[str, "Service of the leading series"]
    egress_class: Annotated[str, "Kind of data transfer of the leading series"]
    usage_type: Annotated[str, "Usage type of the leading series"]
    resource_id: Annotated[str, "Resource of the leading series; empty when the bill has none, * for a sum of several"]
    start_hour_utc: Annotated[str, "Start of the first anomalous hour, such as 2026-10-17T02:00:00Z"]
    end_hour_utc: Annotated[str, "Start of the last anomalous hour that matters; the incident ends an hour later"]
    detected_hour_utc: Annotated[str, "Start of the hour whose data opened the incident"]
    granularity: Annotated[
        Granularity, "Whether the bill has hours, or days alone, which begin and end at midnight UTC"
    ]
    cost_usd: Annotated[float, "Dollars"]
    expected_cost_usd: Annotated[float, "Dollars expected for the same hours"]
    egress_gb: Annotated[float, "GB that left, over all series; bytes that a gateway meters again count once"]
    expected_egress_gb: Annotated[float, "GB expected to leave in the same hours"]
    usage_gb: Annotated[float, "GB billed in the leading series' egress class"]
    expected_usage_gb: Annotated[float, "GB expected to be billed in that class"]
    excess_cost_usd_per_day: Annotated[
        float,
        "Dollars above expected of the costliest 24 hours; those of less than a day are scaled up, at most to twice",
    ]
    current_usd_per_day: Annotated[
        float, "Dollars above expected per day at the rate of the last 24 hours; 0 unless the state is open"
    ]
    severity: Annotated[
        Severity,
        "By the dollars above expected, in a day and in all, their share of the account's, the likely cause and the "
        "thresholds",
    ]
    state: Annotated[State, "Whether the incident is ongoing, has ended, or is gone from a restated bill"]
    anomaly_score: Annotated[float, "Lowest score of its hours: scikit-learn's decision_function, below 0 is anomalous"]
    p_value: Annotated[float | None, "Share of training hours that score as low; null without a calibration"]
    reasons: Annotated[list[str], "Why it is an incident, one sentence each"]
    contributors: Annotated[list[Contributor], "Up to five series, largest excess first; the first one leads"]
    anomalous_hours: Annotated[int, "Number of distinct anomalous hours; 24 for each day of a daily bill"]
    is_provisional: Annotated[bool, "True when the bill for one of its hours may still change"]
    is_estimated: Annotated[bool, "True when one of its hours is estimated from flow logs"]
    incident_class: Annotated[str, "Short name of the likely cause, such as log_loop; empty when unknown"]
    likely_cause: Annotated[str, "Likely cause in words; empty when unknown"]
    next_step: Annotated[str, "What to check first"]
    suppressed_by: Annotated[
        str,
        "Why no notification is sent: the alert id of a verdict, or `planned: ` and a note; empty otherwise",
    ]
    remedy_page: Annotated[str, "Page of the documentation with the fix; empty unless the likely cause is clear"]
    saving: Annotated[str, "What the fix saves or would have saved, with the arithmetic; empty when that is unknown"]
    saving_usd_per_month: Annotated[float, "Dollars that the fix saves in 30 days; 0 unless the state is open"]
    changes: Annotated[list[Change], "Up to three write events of CloudTrail that fit the incident, likeliest first"]
    changes_note: Annotated[
        str, "What limited the look-up in CloudTrail, or that no event fits; empty otherwise, and when it is off"
    ]
    contributor_count: Annotated[int, "Number of series of the incident; 0 in alerts of earlier versions"]
    details_key: Annotated[
        str,
        "S3 key of the JSON list of all contributors, largest excess first; empty for up to five, and outside AWS",
    ]
    owner: Annotated[str, "Team that owns the resource, by owners.toml or a tag; empty when unknown"]
    owner_source: Annotated[
        str, "Where the owner comes from, such as `tag owner` or `account 210987654321`; empty without an owner"
    ]
    account_name: Annotated[str, "Name of the account; empty when the bill has none, and for a sum over accounts"]
    tags: Annotated[
        dict[str, str],
        "Tags and cost categories (cost_category:NAME) of the leading series; of a sum, those that all resources share "
        "that rose",
    ]
    model_id: Annotated[str, "First 16 hexadecimal digits of the model's hash; empty when the endpoint has no manifest"]


ALERT_FIELDS = tuple(Alert.__annotations__)
# Fields of alerts that earlier versions stored.
_RENAMED = {"quieted_by": "suppressed_by", "looks_like": "likely_cause", "first_look": "next_step"}

# Fields that alerts of earlier versions lack. The next run over a stored incident sets its state.
_LATER: dict[str, Any] = {
    "suppressed_by": "",
    "is_estimated": False,
    "model_id": "",
    "p_value": None,
    "granularity": "hour",
    "state": "ended",
    "current_usd_per_day": 0.0,
    "remedy_page": "",
    "saving": "",
    "saving_usd_per_month": 0.0,
    "changes": [],
    "changes_note": "",
    "contributor_count": 0,
    "details_key": "",
    "owner": "",
    "owner_source": "",
    "account_name": "",
    "tags": {},
}


_SHARES = ("excess_usd", "excess_gb", "day_excess_gb", "share")
_AMOUNTS = (
    "cost_usd",
    "expected_cost_usd",
    "egress_gb",
    "expected_egress_gb",
    "usage_gb",
    "expected_usage_gb",
    "excess_cost_usd_per_day",
)


def read_alert(record: Mapping[str, Any]) -> Alert:
    """Return a stored record as an alert: only its fields, in order. It may have the names of earlier versions.

    Raises
    ------
    ValueError
        A field is missing.
    """
    renamed = {_RENAMED.get(name, name): value for name, value in record.items()}
    given = _LATER | renamed
    missing = [name for name in ALERT_FIELDS if name not in given]
    if missing:
        raise ValueError(f"alert {record.get('alert_id', 'without an id')} has no field {missing[0]}")
    return {name: given[name] for name in ALERT_FIELDS}  # type: ignore[return-value]


def json_schema(kind: Any = Alert) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of one alert, or of another typed record."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_schema(kind)}


def time_text(alert: Mapping[str, Any], name: str) -> str:
    """Return a time of an alert for people: "2026-10-17 02:00", or only the day if the bill is daily."""
    text = str(alert[name])[:16].replace("T", " ")
    return text[:10] if alert.get("granularity") == "day" else text


def period(alert: Mapping[str, Any]) -> tuple[str, str, str]:
    """Return the start, the end and the length of an incident, for people.

    The end is the end of the last hour: 02:00, 08:00 and "6 h" for six hours, or the first day, the last day and
    "3 days" if the bill is daily.
    """
    start, last = parse_hour(alert["start_hour_utc"]), parse_hour(alert["end_hour_utc"])
    if alert.get("granularity") == "day":
        days = (last - start) // DAY_HOURS + 1
        return day_of(start), day_of(last), "1 day" if days == 1 else f"{days} days"
    first, end = (iso_hour(hour)[:16].replace("T", " ") for hour in (start, last + 1))
    return first, end, f"{last - start + 1:,} h"


def period_text(alert: Mapping[str, Any]) -> str:
    """Return the time of an incident, half-open, such as "2026-10-17 02:00-08:00 UTC (6 h)".

    Over midnight it is "2026-10-17 22:00 to 2026-10-18 04:00 UTC (6 h)". Where the bill is daily, it is the day, or
    "2026-11-03 to 2026-11-05 (3 days)".
    """
    start, end, length = period(alert)
    if alert.get("granularity") == "day":
        return start if start == end else f"{start} to {end} ({length})"
    is_one_day = start[:10] == end[:10]
    return f"{start}-{end[11:]} UTC ({length})" if is_one_day else f"{start} to {end} UTC ({length})"


def hours_text(alert: Mapping[str, Any]) -> str:
    """Return the length of an incident in words, such as "in 9 hours" or "in 3 days"."""
    hours = parse_hour(alert["end_hour_utc"]) - parse_hour(alert["start_hour_utc"]) + 1
    number, unit = (-(-hours // DAY_HOURS), "day") if alert.get("granularity") == "day" else (hours, "hour")
    return f"in {number} {unit}{'' if number == 1 else 's'}"


def worst_first(alerts: Iterable[Record]) -> list[Record]:
    """Sort by severity, then by dollars and GB above expected, then by start."""
    return sorted(
        alerts,
        key=lambda alert: (
            -SEVERITIES.index(alert["severity"]),
            alert["expected_cost_usd"] - alert["cost_usd"],
            alert["expected_usage_gb"] - alert["usage_gb"],
            alert["start_hour_utc"],
        ),
    )


def build_alert(
    incident: Incident,
    policy: Policy,
    model_reason: str,
    model_id: str = "",
    state: State = "open",
    expected_usd_per_day: Mapping[str, float] | None = None,
    labels: Labels = _UNKNOWN,
) -> Alert:
    """Return the alert record, with its fields in the order in which they are printed.

    Amounts are sums over the incident's anomalous hours. `usage_gb` counts only the egress class of the leading series,
    because a gateway meters the same bytes again. `egress_gb` counts the true egress of every series.

    Parameters
    ----------
    incident : Incident
        Of any size.
    policy : Policy
        For the severity.
    model_reason : str
        The reasons for the score of the worst hour, one sentence per line. May be empty.
    model_id : str
        The model that scored it.
    state : str
        Open or ended.
    expected_usd_per_day : mapping, optional
        The expected cost of each account's data transfer in the day before the incident's detection.
    labels : Labels, optional
        Of the leading series.
    """
    hours = incident.hours
    contributors = contributors_of(incident)
    lead = contributors[0]
    series = _series(lead)
    cause = likely_cause(incident, series)
    causes = (cause.incident_class, _first_cause(incident))
    amounts = _amounts(hours, [h for h in hours if h.series.egress_class == lead["egress_class"]])
    worst = worst_hour(incident)
    account_usd = (expected_usd_per_day or {}).get(lead["account_id"], 0.0)
    is_large = is_large_for_the_account(incident, series, policy, account_usd)
    large = (
        [f"much for this account: all its data transfer normally costs ${account_usd:,.2f} a day"] if is_large else []
    )
    record: Any = {
        "alert_id": incident.alert_id,
        "account_id": lead["account_id"],
        "region": lead["region"],
        "service": lead["service"],
        "egress_class": lead["egress_class"],
        "usage_type": lead["usage_type"],
        "resource_id": lead["resource_id"],
        "start_hour_utc": iso_hour(incident.start),
        "end_hour_utc": iso_hour(incident.end),
        "detected_hour_utc": iso_hour(incident.detected),
        "granularity": "day" if incident.is_daily else "hour",
        "cost_usd": amounts["cost_usd"],
        "expected_cost_usd": amounts["expected_cost_usd"],
        "egress_gb": amounts["egress_gb"],
        "expected_egress_gb": amounts["expected_egress_gb"],
        "usage_gb": amounts["usage_gb"],
        "expected_usage_gb": amounts["expected_usage_gb"],
        "excess_cost_usd_per_day": peak_usd_per_day(incident),
        "current_usd_per_day": current_usd_per_day(incident) if state == "open" else 0.0,
        "severity": severity_of(incident, series, causes, policy, is_large=is_large),
        "state": state,
        "anomaly_score": worst.anomaly_score,
        "p_value": worst.p_value,
        "reasons": [*_reasons(incident, amounts, model_reason), *large, *_evidence(cause)],
        "contributors": contributors[:MAX_CONTRIBUTORS],
        "anomalous_hours": len({hour.hour for hour in hours}),
        "is_provisional": any(hour.is_provisional for hour in hours),
        "is_estimated": any(hour.is_estimated for hour in hours),
        "incident_class": cause.incident_class,
        "likely_cause": cause.likely_cause,
        "next_step": cause.next_step,
        "suppressed_by": "",
        "remedy_page": "",
        "saving": "",
        "saving_usd_per_month": 0.0,
        "changes": [],
        "changes_note": "",
        "contributor_count": len(contributors),
        "details_key": "",
        "owner": "",
        "owner_source": "",
        "account_name": labels.account_name,
        "tags": dict(labels.tags),
        "model_id": model_id,
    }
    alert: Alert = record | remedy_of(record) if cause.is_clear else record
    return alert


def _amounts(hours: list[Hour], same_class: list[Hour]) -> dict[str, float]:
    over_all = ("cost_usd", "expected_cost_usd", "egress_gb", "expected_egress_gb")
    totals = {name: _total(hours, name) for name in over_all}
    return totals | {name: _total(same_class, name) for name in ("usage_gb", "expected_usage_gb")}


def worst_hour(incident: Incident) -> Hour:
    """Return the hour that most exceeds its usual excess. On a tie, the lowest score decides, then the time."""
    return min(incident.hours, key=lambda hour: (-hour.times_habit, hour.anomaly_score, hour.hour, hour.series))


def lead_of(alert: Alert) -> Series:
    """Return the series that leads an alert."""
    lead: Any = {"account_id": alert["account_id"], **alert["contributors"][0]}
    return _series(lead)


def leading_series(incident: Incident) -> Series:
    """Return the series with the largest excess of an incident."""
    return _series(contributors_of(incident)[0])


def close_alert(alert: Alert, state: State) -> Alert:
    """Return the record of an incident that has ended or is withdrawn. A withdrawn one has no amounts."""
    record: Any = {**alert, "state": state, "current_usd_per_day": 0.0}
    if state == "withdrawn":
        record |= dict.fromkeys(_AMOUNTS, 0.0)
        record["details_key"] = ""
        record["reasons"] = ["the restated bill no longer shows this incident"]
        record["contributors"] = [row | dict.fromkeys(_SHARES, 0.0) for row in alert["contributors"]]
    if alert["remedy_page"]:
        record |= remedy_of(record)
    closed: Alert = record
    return closed


def account_text(alert: Mapping[str, Any]) -> str:
    """Return an alert's account for a person, such as "prod-media (210987654321)"."""
    account_id = str(alert["account_id"])
    if account_id == SUMMED:
        return "all accounts"
    name = alert.get("account_name")
    return f"{name} ({account_id})" if name else account_id


def resource_text(row: Alert | Contributor) -> str:
    """Return the name for people of an alert's or a contributor's resource, or of the resources that a level sums."""
    if row["resource_id"] != SUMMED:
        return row["resource_id"] or f"{row['service']} (no resource in the bill)"
    if row["region"] != SUMMED:
        return f"all {row['service']} resources in {row['region']}"
    return "all regions" if row["account_id"] != SUMMED else "all accounts"


def _series(row: Contributor) -> Series:
    return Series(row["account_id"], row["region"], row["service"], row["egress_class"], row["resource_id"])


def _first_cause(incident: Incident) -> str:
    """Return the likely cause as it was at the detection."""
    then = incident.before(incident.detected + 1)
    if not then.members:  # the bill was restated since
        return ""
    return likely_cause(then, leading_series(then)).incident_class


def _total(hours: list[Hour], name: str) -> float:
    return round(float(sum(getattr(hour, name) for hour in hours)), 6)


def contributors_of(incident: Incident) -> list[Contributor]:
    """Return all series of an incident, largest excess first."""
    rows = [_contributor(series, list(member.values())) for series, member in incident.members.items()]
    rows.sort(key=lambda row: (-row["excess_usd"], -row["excess_gb"], row["egress_class"], row["resource_id"]))
    is_priced = rows[0]["excess_usd"] > 0
    parts = [max(row["excess_usd"] if is_priced else row["excess_gb"], 0.0) for row in rows]
    whole = sum(parts)
    for row, part in zip(rows, parts, strict=True):
        row["share"] = round(part / whole, 6) if whole > 0 else 0.0
    return rows


def _contributor(series: Series, hours: list[Hour]) -> Contributor:
    largest = max(hours, key=lambda hour: (hour.usage_gb, -hour.hour))
    return {
        "account_id": series.account_id,
        "region": series.region,
        "service": series.service,
        "egress_class": series.egress_class,
        "usage_type": largest.usage_type,
        "operation": largest.operation,
        "resource_id": series.resource_id,
        "excess_usd": round(sum(hour.excess_usd for hour in hours), 6),
        "excess_gb": round(sum(hour.excess_gb for hour in hours), 6),
        "day_excess_gb": round(_largest_day(hours), 6),
        "share": 0.0,
    }


def _largest_day(hours: list[Hour]) -> float:
    """Return the largest excess of 24 hours, in GB."""
    ordered = sorted(hours, key=lambda hour: hour.hour)
    # A series has one row an hour, so a day begins and ends within 24 of them: an incident may have 4,000.
    days = ((first.hour, ordered[place : place + DAY_HOURS]) for place, first in enumerate(ordered))
    return max(sum(hour.excess_gb for hour in day if hour.hour - start < DAY_HOURS) for start, day in days)


def _reasons(incident: Incident, amounts: dict[str, float], model_reason: str) -> list[str]:
    unit = "day" if incident.is_daily else "hour"
    hours = len({hour.hour for hour in incident.hours})
    usual = f"{_compared(amounts['usage_gb'], amounts['expected_usage_gb'], unit)}; elevated {_lasting(incident)}"
    reasons = [usual, *model_reason.splitlines(), _how_often(worst_hour(incident).p_value, unit)]
    if amounts["cost_usd"] == 0:
        reasons.append("billed at $0 so far: a free tier, or not priced yet")
    estimated = len({hour.hour for hour in incident.hours if hour.is_estimated})
    if estimated:
        some = "" if estimated == hours else f"{estimated} of {hours} hours are "
        reasons.append(f"{some}estimated from flow logs at list prices, not billed yet")
    if any(hour.is_provisional for hour in incident.hours):
        reasons.append(f"the bill for these {unit}s is provisional and may still grow")
    return [reason for reason in reasons if reason]


def _evidence(cause: Cause) -> list[str]:
    return [f"signs of the likely cause: {'; '.join(cause.evidence)}"] if cause.evidence else []


def _lasting(incident: Incident) -> str:
    """Return for how many hours or days, of how many, the incident was anomalous."""
    length, one, several = (DAY_HOURS, "on one day", "on") if incident.is_daily else (1, "for one hour", "in")
    unit = "days" if incident.is_daily else "hours"
    anomalous = len({hour.hour // length for hour in incident.hours})
    span = incident.end // length - incident.start // length + 1
    if span == 1:
        return one
    return f"{several} {anomalous} of {span} {unit}" if anomalous < span else f"for {anomalous} consecutive {unit}"


def _how_often(p_value: float | None, unit: str) -> str:
    if p_value is None:
        return ""
    one_in = 1 / max(p_value, 1e-6)
    figures = 10 ** max(len(str(int(one_in))) - 2, 0)
    least = "at most " if p_value < 1e-6 else ""
    return f"{least}1 in {int(one_in / figures) * figures:,} {unit}s above expected looks as unusual to the model"


def _compared(usage_gb: float, expected_gb: float, unit: str) -> str:
    if expected_gb < 0.02 * usage_gb:
        return f"normally {_gb_text(expected_gb)}"
    same = "the same weekdays of earlier weeks" if unit == "day" else "the same hours of earlier days and weeks"
    return f"{usage_gb / expected_gb:,.1f} times {same}"


def _gb_text(gb: float) -> str:
    if gb < 0.01:
        return "nothing" if gb == 0 else "less than 0.01 GB"
    return f"{gb:,.0f} GB" if gb >= 10 else f"{gb:.2g} GB"


def _schema(kind: Any) -> dict[str, Any]:
    """Return the schema of a type that the alert uses; `Annotated` texts become descriptions."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _schema(arguments[0]) | {"description": arguments[1]}
    if origin is list:
        return {"type": "array", "items": _schema(arguments[0])}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1])}
    if origin is Literal:
        return {"type": "string", "enum": list(arguments)}
    if is_typeddict(kind):
        hints = get_type_hints(kind, include_extras=True)
        properties = {name: _schema(hint) for name, hint in hints.items()}
        return {"title": kind.__name__, "type": "object", "properties": properties, "required": list(hints)}
    if type(None) in arguments:
        return {"type": ["number", "null"]}
    return {"type": {str: "string", bool: "boolean", int: "integer", float: "number"}[kind]}
