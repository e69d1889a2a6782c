"""Alerts as a table: of the reasons the first, and the likely cause; the report has them all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.table import Column
from rich.text import Text

from egress_alerts.alert import time_text
from egress_alerts.printable import printable
from egress_sentinel.cli.output import print_json, print_table, resource_name, right, say

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
_CAPTION = (
    "GB in parentheses passed through a gateway or endpoint that bills a fee for them; the line on which they leave "
    "counts them as egress_gb."
)


def print_alerts(alerts: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Print alerts as JSON or as a table."""
    if as_json:
        print_json(alerts)
        return
    if not alerts:
        say("no alerts")
        return
    alerts = printable(list(alerts))
    columns: list[str | Column] = [
        "severity\nstate",
        Column("start_hour_utc\nend_hour_utc", no_wrap=True),
        Column("account_id\nregion", no_wrap=True),
        Column("egress_class\nresource_id", overflow="fold", min_width=18),
        right("cost_usd\nexpected", no_wrap=True),
        right("egress_gb\nexpected", no_wrap=True),
        Column("reasons\nlikely_cause", overflow="fold", ratio=1),
    ]
    rows = (_cells(alert) for alert in alerts)
    print_table(columns, rows, show_lines=True, caption=_CAPTION, caption_justify="left", pad_edge=False)


def _cells(alert: Mapping[str, Any]) -> tuple[str | Text, ...]:
    return (
        Text(f"{alert['severity'].upper()}\n{alert['state']}", style=_COLOURS[alert["severity"]]),
        f"{time_text(alert, 'start_hour_utc')}\n{time_text(alert, 'end_hour_utc')}",
        f"{alert['account_id']}\n{alert['region']}",
        f"{alert['egress_class']}\n{resource_name(alert['resource_id'])}",
        f"${alert['cost_usd']:,.2f}\n${alert['expected_cost_usd']:,.2f}",
        _gigabytes(alert),
        _why(alert),
    )


def _why(alert: Mapping[str, Any]) -> str:
    likely = f"likely cause: {alert['likely_cause']}" if alert.get("likely_cause") else ""
    return "\n".join(line for line in (*alert["reasons"][:1], likely) if line)


def _gigabytes(alert: Mapping[str, Any]) -> str:
    if alert["egress_gb"] == 0 and alert["usage_gb"] > 0:
        return f"({alert['usage_gb']:,.1f})\n({alert['expected_usage_gb']:,.1f})"
    return f"{alert['egress_gb']:,.1f}\n{alert['expected_egress_gb']:,.1f}"
