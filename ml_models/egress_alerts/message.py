"""The notification's text: what, where, since when, how much, against what, who, why, and what to check first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_alerts.alert import days_text, time_text
from egress_alerts.printable import printable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from egress_alerts.alert import Alert

MAX_BYTES = 200_000  # SNS takes 256 KB
MAX_SUBJECT = 100
_FEES = {
    "nat_gateway",
    "transit_gateway",
    "vpc_endpoint",
    "vpc_lattice",
    "classic_load_balancer",
    "global_accelerator",
    "s3_acceleration",
    "s3_replication_time_control",
    "s3_mrap",
}
_WHERE_TO = {
    "internet": "to the internet",
    "inter_region": "to another region",
    "inter_az": "between availability zones",
    "cloudfront": "from CloudFront",
    "cloudfront_origin": "from the origin to CloudFront",
    "direct_connect": "over Direct Connect",
    "vpn": "over VPN",
    "nat_gateway": "through a NAT gateway",
    "transit_gateway": "through a transit gateway",
    "vpc_endpoint": "through a VPC endpoint",
    "vpc_lattice": "through VPC Lattice",
    "classic_load_balancer": "through a Classic Load Balancer",
    "global_accelerator": "through Global Accelerator",
    "s3_acceleration": "with S3 transfer acceleration",
    "s3_replication_time_control": "with S3 replication time control",
    "s3_mrap": "through an S3 Multi-Region Access Point",
    "unclassified_transfer": "as data transfer of an unknown kind",
}


def render_subject(alerts: Sequence[Alert]) -> str:
    """Return one line of at most 100 ASCII characters about the worst alert and the number of the others."""
    alerts = printable(list(alerts))
    worst = alerts[0]
    others = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
    text = (
        f"{worst['severity'].upper()} egress: ${worst['excess_cost_usd_per_day']:,.0f} a day in {worst['account_id']}"
    )
    text = f"{text} {worst['region']} {worst['egress_class']}{others}"
    return text.encode("ascii", "replace").decode("ascii")[:MAX_SUBJECT]


def render_message(alerts: Sequence[Alert], raised: Mapping[str, str]) -> str:
    """Return the text for alerts, worst first.

    Parameters
    ----------
    alerts : sequence of mapping
        Alert records.
    raised : mapping
        By alert id, the severity that was told before, for those that got worse.
    """
    alerts = printable(list(alerts))
    parts: list[str] = []
    size = 0
    for number, alert in enumerate(alerts):
        part = render_alert(alert, raised.get(alert["alert_id"]))
        size += len(part.encode()) + 2
        if size > MAX_BYTES:
            parts.append(f"and {len(alerts) - number} more in the alerts table")
            break
        parts.append(part)
    return "\n\n".join(parts)


def render_alert(alert: Alert, raised_from: str | None = None) -> str:
    """Return the lines about one alert."""
    raised = f" (raised from {raised_from.upper()})" if raised_from else ""
    lines = [
        f"{alert['severity'].upper()}{raised}   {_money(alert)}   account {alert['account_id']}, {alert['region']}, "
        f"{alert['service']} {_WHERE_TO.get(alert['egress_class'], 'out')}",
        _what(alert),
        f"Who    {_who(alert)}",
        *(f"{'Why' if i == 0 else '':<6} {reason}" for i, reason in enumerate(alert["reasons"])),
        *([f"Looks  like {alert['likely_cause']}"] if alert["likely_cause"] else []),
        f"First  {alert['next_step']}",
        f"Alert  {alert['alert_id']}, {_detected(alert)}",
    ]
    return "\n".join(lines)


def _money(alert: Alert) -> str:
    per_day = alert["excess_cost_usd_per_day"]
    if alert["cost_usd"] == 0:
        return "$0 so far"
    return f"${alert['cost_usd'] - alert['expected_cost_usd']:,.2f} so far, about ${per_day:,.2f} a day if it goes on"


def _what(alert: Alert) -> str:
    verb = "processed" if alert["egress_class"] in _FEES else "sent"
    resource = alert["resource_id"] or f"{alert['service']} (no resource in the bill)"
    return (
        f"{resource} has {verb} {alert['usage_gb']:,.1f} GB for ${alert['cost_usd']:,.2f} {_when(alert)}; "
        f"{alert['expected_usage_gb']:,.1f} GB for ${alert['expected_cost_usd']:,.2f} were expected"
    )


def _when(alert: Alert) -> str:
    if alert["granularity"] == "day":
        is_one = alert["start_hour_utc"][:10] == alert["end_hour_utc"][:10]
        return f"{'on' if is_one else 'from'} {days_text(alert)}"
    return f"from {time_text(alert, 'start_hour_utc')} UTC to {time_text(alert, 'end_hour_utc')} UTC"


def _detected(alert: Alert) -> str:
    time = time_text(alert, "detected_hour_utc")
    return f"detected on {time}" if alert["granularity"] == "day" else f"detected at {time} UTC"


def _who(alert: Alert) -> str:
    parts = []
    for row in alert["contributors"]:
        operation = f"{row['operation']} " if row["operation"] else ""
        parts.append(f"{row['share']:.0%} {operation}{row['usage_type']} on {row['resource_id'] or row['service']}")
    return ", ".join(parts)
