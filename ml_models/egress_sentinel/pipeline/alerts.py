"""Alerts in a file, and alerts printed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from rich.table import Table

from egress_alerts.alert import read_alert
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from egress_alerts.alert import Alert

_COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}


def read_alerts(path: Path) -> list[Alert]:
    """Read an alerts.json.

    Raises
    ------
    UserError
        The file is missing or is no list of alerts.
    """
    try:
        alerts = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read alerts from {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}") from error
    if not isinstance(alerts, list) or any(not isinstance(a, dict) or "alert_id" not in a for a in alerts):
        raise UserError(f"{path} is no list of alerts as `egress-sentinel score` writes it")
    try:
        return [read_alert(alert) for alert in alerts]
    except ValueError as error:
        raise UserError(f"{path}: {error}") from error


def suppressed_line(alert: Alert) -> str:
    """Return a line about a suppressed alert: how large it is, and why it is suppressed."""
    why = alert["suppressed_by"]
    why = why if why.startswith("planned: ") else f"by the verdict on alert {why}"
    return (
        f"suppressed, {why}: {alert['usage_gb'] - alert['expected_usage_gb']:,.1f} GB and "
        f"${alert['cost_usd'] - alert['expected_cost_usd']:,.2f} above expected, {alert['egress_class']} of "
        f"{_short(alert['resource_id'])} in account {alert['account_id']}, {_hour(alert['start_hour_utc'])} to "
        f"{_hour(alert['end_hour_utc'])} UTC"
    )


def alerts_table(alerts: Sequence[Alert]) -> Table:
    """Lay alerts out for a terminal: of the reasons the first, and what it looks like; the report has them all."""
    table = Table(show_lines=True, caption=_CAPTION, caption_justify="left", pad_edge=False)
    table.add_column("severity")
    table.add_column("start_hour_utc\nend_hour_utc", no_wrap=True)
    table.add_column("account_id\nregion", no_wrap=True)
    table.add_column("egress_class\nresource_id", overflow="fold", min_width=18)
    table.add_column("cost_usd\nexpected", justify="right", no_wrap=True)
    table.add_column("egress_gb\nexpected", justify="right", no_wrap=True)
    table.add_column("reasons\nlikely_cause", overflow="fold", ratio=1)
    for alert in alerts:
        table.add_row(*_cells(alert))
    return table


_CAPTION = (
    "GB in parentheses passed through a gateway or endpoint that bills a fee for them; the line on which they leave "
    "counts them as egress_gb."
)


def _cells(alert: Alert) -> tuple[str, ...]:
    colour = _COLOURS[alert["severity"]]
    return (
        f"[{colour}]{alert['severity'].upper()}[/]",
        f"{_hour(alert['start_hour_utc'])}\n{_hour(alert['end_hour_utc'])}",
        f"{alert['account_id']}\n{alert['region']}",
        f"{alert['egress_class']}\n{_escape(_short(alert['resource_id']))}",
        f"${alert['cost_usd']:,.2f}\n${alert['expected_cost_usd']:,.2f}",
        _gigabytes(alert),
        _escape(_why(alert)),
    )


def _why(alert: Alert) -> str:
    likely = f"looks like {alert['likely_cause']}" if alert["likely_cause"] else ""
    return "\n".join(line for line in (*alert["reasons"][:1], likely) if line)


def _gigabytes(alert: Alert) -> str:
    if alert["egress_gb"] == 0 and alert["usage_gb"] > 0:
        return f"({alert['usage_gb']:,.1f})\n({alert['expected_usage_gb']:,.1f})"
    return f"{alert['egress_gb']:,.1f}\n{alert['expected_egress_gb']:,.1f}"


def _hour(text: str) -> str:
    return text[:16].replace("T", " ")


def _short(resource_id: str) -> str:
    """Leave the end of an ARN, which tells resources apart."""
    return resource_id.rpartition(":")[2] or "no resource in the bill"


def _escape(text: str) -> str:
    return text.replace("[", r"\[")
