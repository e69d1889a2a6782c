"""The notification's text: amounts, place, time, contributors, reasons, likely cause and next step.

Up to 20 alerts are described in full. More are a digest: counts by severity, account and likely cause, the five worst
alerts in full, and one line for each alert with the id under which the alerts table has it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from egress_alerts.alert import account_text, hours_text, period_text, resource_text, time_text
from egress_alerts.policy import SEVERITIES
from egress_alerts.printable import printable
from egress_alerts.series import SUMMED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from egress_alerts.alert import Alert

MAX_SUBJECT = 100
# SNS takes 256 KB, the text and the JSON body together: 20 alerts of 8 KB, or five of them and a line for each of 200.
MAX_IN_FULL = 20
_WORST, _MAX_COUNTS = 5, 10
_MAX_ALERT_BYTES, _MAX_NAME = 8_000, 60
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


def class_text(egress_class: str) -> str:
    """Return the way that an egress class takes, such as "to the internet"."""
    return _WHERE_TO.get(egress_class, egress_class)


def render_subject(alerts: Sequence[Alert]) -> str:
    """Return one line of at most 100 ASCII characters about the worst alert and the number of the others."""
    alerts = printable(list(alerts))
    worst = alerts[0]
    others = f" and {len(alerts) - 1} more" if len(alerts) > 1 else ""
    if worst["state"] == "open":
        what = f"egress: ${worst['current_usd_per_day']:,.0f} a day"
    else:
        what = f"egress, {worst['state']}: ${_excess(worst):,.0f}"
    place = f"{_short(account_text(worst))} {_in_words(worst['region'], 'regions')}"
    text = f"{worst['severity'].upper()} {what} in {place} {worst['egress_class']}"
    return _one_line(f"{text}{others}").encode("ascii", "replace").decode("ascii")[:MAX_SUBJECT]


def s3_address(bucket: str, key: str) -> str:
    """Return the address of an object, or "" without a bucket or a key."""
    return f"s3://{bucket}/{key}" if bucket and key else ""


def is_digest(alerts: Sequence[Alert]) -> bool:
    """Return whether the notification of so many alerts is a digest."""
    return len(alerts) > MAX_IN_FULL


def render_message(alerts: Sequence[Alert], changes: Mapping[str, str], bucket: str = "", list_key: str = "") -> str:
    """Return the text for alerts, worst first.

    Parameters
    ----------
    alerts : sequence of mapping
        Alert records.
    changes : mapping
        By alert id, the change since people were last notified, in a few words.
    bucket : str
        The bucket of the alerts' `details_key`, and of `list_key`. Empty outside AWS.
    list_key : str
        The key of all records of a digest. Empty without one.
    """
    full_list = s3_address(bucket, list_key)
    alerts = printable(list(alerts))

    def in_full(some: Sequence[Alert]) -> list[str]:
        return [_within(render_alert(alert, changes.get(alert["alert_id"], ""), bucket)) for alert in some]

    if not is_digest(alerts):
        return "\n\n".join(in_full(alerts))
    lines = [_line(alert, changes.get(alert["alert_id"], "")) for alert in alerts]
    return "\n\n".join(
        [
            "\n".join([_digest(alerts), *([f"All records  {full_list}"] if full_list else [])]),
            f"The {_WORST} worst",
            *in_full(alerts[:_WORST]),
            "\n".join([f"All {len(alerts)}, with their alert_id in the alerts table", *lines]),
        ]
    )


def render_alert(alert: Alert, change: str = "", bucket: str = "") -> str:
    """Return the lines about one alert. `bucket` has the list of all its contributors."""
    changed = f" ({change})" if change else ""
    lines = [
        f"{alert['severity'].upper()}{changed}   {_money(alert)}   {_place(alert)} {class_text(alert['egress_class'])}",
        _what(alert),
        *_owner(alert),
        _labelled("Contributors", _who(alert, bucket)),
        *(_labelled("" if i else "Why", reason) for i, reason in enumerate(alert["reasons"])),
        _labelled("Likely cause", alert["likely_cause"] or "unknown"),
        _labelled("Next step", alert["next_step"]),
        *([_labelled("Fix", _fix(alert))] if alert["remedy_page"] else []),
        *(_labelled("" if i else "Changed", text) for i, text in enumerate(_changed(alert))),
        _labelled("Alert", f"{alert['alert_id']}, {_detected(alert)}"),
    ]
    return "\n".join(lines)


def _fix(alert: Alert) -> str:
    return f"{alert['saving']} See {alert['remedy_page']}".strip()


def _owner(alert: Alert) -> list[str]:
    return [_labelled("Owner", f"{alert['owner']} ({alert['owner_source']})")] if alert["owner"] else []


def _changed(alert: Alert) -> list[str]:
    """Return the lines about the changes before an incident, or none if nothing was looked up."""
    lines = []
    for each in alert["changes"]:
        what = f"{each['event_name']} on {each['resource']}" if each["resource"] else each["event_name"]
        who, when = _short(each["actor"].rpartition(":")[2]), each["time_utc"][:16].replace("T", " ")
        lines.append(f"{what} by {who} at {when} UTC ({each['reason']})")
    return [*lines, *filter(None, [alert["changes_note"]])]


def _labelled(label: str, text: str) -> str:
    return f"{label:<13} {text}"


def _digest(alerts: Sequence[Alert]) -> str:
    total = sum(_excess(alert) for alert in alerts)
    severities = [(name, sum(alert["severity"] == name for alert in alerts)) for name in reversed(SEVERITIES)]
    counts = ", ".join(f"{number} {name.upper()}" for name, number in severities if number)
    return "\n".join(
        [
            f"{len(alerts)} alerts, ${total:,.2f} above expected so far: {counts}",
            f"By account  {_counts(alerts, account_text)}",
            f"By cause    {_counts(alerts, lambda alert: alert['likely_cause'] or 'unknown')}",
        ]
    )


def _counts(alerts: Sequence[Alert], name_of: Callable[[Alert], str]) -> str:
    found: dict[str, list[float]] = {}
    for alert in alerts:
        found.setdefault(_short(name_of(alert)), []).append(_excess(alert))
    largest = sorted(found.items(), key=lambda item: (-sum(item[1]), -len(item[1]), item[0]))
    parts = [f"{name}: {len(usd)} (${sum(usd):,.2f})" for name, usd in largest[:_MAX_COUNTS]]
    others = len(largest) - len(parts)
    return "; ".join([*parts, *([f"{others} others"] if others else [])])


def _line(alert: Alert, change: str) -> str:
    changed = f" ({change})" if change else ""
    return (
        f"{alert['alert_id']}  {alert['severity'].upper()}{changed}  {alert['state']}  ${_excess(alert):,.2f}  "
        f"{_short(account_text(alert))}  {_short(alert['region'])}  {_short(alert['egress_class'])}  "
        f"{_short(resource_text(alert) if alert['resource_id'] else alert['service'])}"
    )


def _in_words(name: str, several: str) -> str:
    return f"all {several}" if name == SUMMED else name


def _short(name: str) -> str:
    line = _one_line(name)
    return line if len(line) <= _MAX_NAME else f"...{line[3 - _MAX_NAME :]}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _within(text: str) -> str:
    whole = text.encode()
    return text if len(whole) <= _MAX_ALERT_BYTES else f"{whole[: _MAX_ALERT_BYTES - 3].decode(errors='ignore')}..."


def _excess(alert: Alert) -> float:
    return alert["cost_usd"] - alert["expected_cost_usd"]


def _money(alert: Alert) -> str:
    if alert["state"] == "withdrawn":
        return "withdrawn"
    excess = f"${_excess(alert):,.2f}" if alert["cost_usd"] else "$0"
    if alert["state"] == "ended":
        return f"ended, {excess} in all {hours_text(alert)}"
    rate = f", about ${alert['current_usd_per_day']:,.2f} a day at the current rate" if alert["cost_usd"] else ""
    return f"open, {excess} so far{rate}"


def _place(alert: Alert) -> str:
    account = account_text(alert)
    account = f"account {account}" if account == alert["account_id"] else account
    services = [] if alert["service"] == SUMMED else [alert["service"]]
    return ", ".join([account, _in_words(alert["region"], "regions"), *services])


def _what(alert: Alert) -> str:
    verb = "processed" if alert["egress_class"] in _FEES else "sent"
    resource, has = resource_text(alert), "have" if alert["resource_id"] == SUMMED else "has"
    return (
        f"{resource} {has} {verb} {alert['usage_gb']:,.1f} GB for ${alert['cost_usd']:,.2f} {_when(alert)}. "
        f"Expected: {alert['expected_usage_gb']:,.1f} GB for ${alert['expected_cost_usd']:,.2f}."
    )


def _when(alert: Alert) -> str:
    text = period_text(alert)
    return f"{'from' if ' to ' in text else 'on'} {text}"


def _detected(alert: Alert) -> str:
    time = time_text(alert, "detected_hour_utc")
    return f"detected on {time}" if alert["granularity"] == "day" else f"detected at {time} UTC"


def _who(alert: Alert, bucket: str) -> str:
    parts = []
    for row in alert["contributors"]:
        operation = f"{row['operation']} " if row["operation"] else ""
        resource = resource_text(row) if row["resource_id"] else row["service"]
        # A sum over regions has usage types of several regions.
        kind = "" if row["region"] == SUMMED else f"{operation}{row['usage_type']} on "
        parts.append(f"{row['share']:.0%} {kind}{resource}")
    others = alert["contributor_count"] - len(parts)
    if others > 0:
        address = s3_address(bucket, alert["details_key"])
        parts.append(f"and {others} more" + (f": {address}" if address else ""))
    return ", ".join(parts)
