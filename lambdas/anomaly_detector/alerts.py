"""An incident as an alert: totals, severity, who causes it, why. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from anomaly_detector.hours import iso_hour
from anomaly_detector.incidents import Series
from anomaly_detector.likely import likely
from anomaly_detector.settings import SEVERITIES

if TYPE_CHECKING:
    from anomaly_detector.incidents import Hour, Incident
    from anomaly_detector.settings import Policy

MAX_CONTRIBUTORS = 5
DAY_HOURS = 24


def alert_of(incident: Incident, policy: Policy, model_reason: str) -> dict[str, Any]:
    """Return the alert record, its fields in the order in which they are printed.

    Amounts run over the incident's anomalous hours. `usage_gb` counts the leading series' egress class alone, since
    a gateway meters the same bytes again; `egress_gb` counts true egress of every series.

    Parameters
    ----------
    incident : Incident
        Of any size.
    policy : Policy
        For the severity.
    model_reason : str
        Why the model calls the worst hour anomalous; may be empty.
    """
    hours = incident.hours
    contributors = _contributors(incident)
    lead = contributors[0]
    same_class = [h for h in hours if h.series.egress_class == lead["egress_class"]]
    per_day = excess_usd_per_day(incident)
    account_id = hours[0].series.account_id
    series = Series(account_id, *(lead[name] for name in Series._fields[1:]))
    guess = likely(incident, series)
    amounts = {
        "cost_usd": _total(hours, "cost_usd"),
        "expected_cost_usd": _total(hours, "expected_cost_usd"),
        "egress_gb": _total(hours, "egress_gb"),
        "expected_egress_gb": _total(hours, "expected_egress_gb"),
        "usage_gb": _total(same_class, "usage_gb"),
        "expected_usage_gb": _total(same_class, "expected_usage_gb"),
    }
    return {
        "alert_id": incident.alert_id,
        "account_id": account_id,
        "region": lead["region"],
        "service": lead["service"],
        "egress_class": lead["egress_class"],
        "usage_type": lead["usage_type"],
        "resource_id": lead["resource_id"],
        "start_hour_utc": iso_hour(incident.start),
        "end_hour_utc": iso_hour(incident.end),
        "detected_hour_utc": iso_hour(incident.detected),
        **amounts,
        "excess_cost_usd_per_day": per_day,
        "severity": severity(per_day, policy),
        "anomaly_score": worst_hour(incident).anomaly_score,
        "p_value": worst_hour(incident).p_value,
        "reasons": _reasons(incident, amounts, model_reason),
        "contributors": contributors[:MAX_CONTRIBUTORS],
        "anomalous_hours": len({hour.hour for hour in hours}),
        "is_provisional": any(hour.is_provisional for hour in hours),
        "is_estimated": any(hour.is_estimated for hour in hours),
        "incident_class": guess.kind,
        "looks_like": guess.looks_like,
        "first_look": guess.first_look,
        "quieted_by": "",
    }


def worst_hour(incident: Incident) -> Hour:
    """Return the hour with the lowest score, the first one of several."""
    return min(incident.hours, key=lambda hour: (hour.anomaly_score, hour.hour, hour.series))


def excess_usd_per_day(incident: Incident) -> float:
    """Return the dollars above what was expected that a day costs if it goes on as in its last 24 hours."""
    since = max(incident.start, incident.end - 23)
    excess = sum(hour.excess_usd for hour in incident.hours if hour.hour >= since)
    return round(max(excess, 0.0) / (incident.end - since + 1) * 24, 6)


def severity(usd_per_day: float, policy: Policy) -> str:
    """Return low, medium, high or critical."""
    return SEVERITIES[sum(usd_per_day >= threshold for threshold in policy.severity_usd_per_day)]


def _total(hours: list[Hour], name: str) -> float:
    return round(float(sum(getattr(hour, name) for hour in hours)), 6)


def _contributors(incident: Incident) -> list[dict[str, Any]]:
    rows = [_contributor(series, list(member.values())) for series, member in incident.members.items()]
    rows.sort(key=lambda row: (-row["excess_usd"], -row["excess_gb"], row["egress_class"], row["resource_id"]))
    unit = "excess_usd" if rows[0]["excess_usd"] > 0 else "excess_gb"
    whole = sum(max(row[unit], 0.0) for row in rows)
    for row in rows:
        row["share"] = round(max(row[unit], 0.0) / whole, 6) if whole > 0 else 0.0
    return rows


def _contributor(series: Series, hours: list[Hour]) -> dict[str, Any]:
    largest = max(hours, key=lambda hour: (hour.usage_gb, -hour.hour))
    return {
        "region": series.region,
        "service": series.service,
        "egress_class": series.egress_class,
        "usage_type": largest.usage_type,
        "operation": largest.operation,
        "resource_id": series.resource_id,
        "excess_usd": round(sum(hour.excess_usd for hour in hours), 6),
        "excess_gb": round(sum(hour.excess_gb for hour in hours), 6),
        "day_excess_gb": round(_largest_day(hours), 6),
    }


def _largest_day(hours: list[Hour]) -> float:
    """Return the most GB above what was expected that 24 hours hold."""
    ordered = sorted(hours, key=lambda hour: hour.hour)
    # A series has one row an hour, so a day begins and ends within 24 of them: an incident may have 4,000.
    days = ((first.hour, ordered[place : place + DAY_HOURS]) for place, first in enumerate(ordered))
    return max(sum(hour.excess_gb for hour in day if hour.hour - start < DAY_HOURS) for start, day in days)


def _reasons(incident: Incident, amounts: dict[str, float], model_reason: str) -> list[str]:
    hours = len({hour.hour for hour in incident.hours})
    span = incident.end - incident.start + 1
    lasting = (
        "in one hour" if span == 1 else f"in {hours} of {span} hours" if hours < span else f"{hours} hours in a row"
    )
    usual = f"{_times(amounts['usage_gb'], amounts['expected_usage_gb'])}, {lasting}"
    reasons = [usual, model_reason, _how_often(worst_hour(incident).p_value)]
    if amounts["cost_usd"] == 0:
        reasons.append("billed at $0 so far: a free tier, or not priced yet")
    estimated = len({hour.hour for hour in incident.hours if hour.is_estimated})
    if estimated:
        some = "" if estimated == hours else f"{estimated} of {hours} hours are "
        reasons.append(f"{some}estimated from flow logs at list prices, not billed yet")
    if any(hour.is_provisional for hour in incident.hours):
        reasons.append("the bill for these hours is provisional and may still grow")
    return [reason for reason in reasons if reason]


def _how_often(p_value: float | None) -> str:
    if p_value is None:
        return ""
    one_in = 1 / max(p_value, 1e-6)
    figures = 10 ** max(len(str(int(one_in))) - 2, 0)
    least = "at most " if p_value < 1e-6 else ""
    return f"{least}one in {int(one_in / figures) * figures:,} hours with traffic looks this unusual to the model"


def _times(usage_gb: float, expected_gb: float) -> str:
    if expected_gb < 0.02 * usage_gb:
        return f"next to nothing is usual here ({expected_gb:,.2f} GB)"
    return f"{usage_gb / expected_gb:,.1f} times what the same hours of earlier days and weeks carried"
