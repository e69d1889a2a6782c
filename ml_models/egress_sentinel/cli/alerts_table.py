"""Alerts as a table, or as blocks where the terminal is narrow; the report has all reasons."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from rich.table import Column
from rich.text import Text

from egress_alerts.alert import account_text, period, period_text
from egress_alerts.printable import printable
from egress_sentinel.cli.output import (
    columns_of_stdout,
    print_json,
    print_line,
    print_table,
    resource_name,
    right,
    say,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

_COLOURS = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan"}
_CAPTION = (
    "GB in parentheses passed through a gateway or endpoint that bills a fee for them; the line on which they leave "
    "counts them as egress_gb."
)
_TABLE_COLUMNS = 120


def print_alerts(alerts: Sequence[Mapping[str, Any]], *, as_json: bool, file: Path) -> None:
    """Print alerts as JSON, as a table or as blocks, and the command that comes next.

    Parameters
    ----------
    alerts : sequence of mapping
    as_json : bool
    file : Path
        The alerts.json that holds them.
    """
    if as_json:
        print_json(alerts)
        return
    if not alerts:
        say("no alerts")
        return
    alerts = printable(list(alerts))
    if columns_of_stdout() < _TABLE_COLUMNS:
        for alert in alerts:
            print_line("\n  ".join(_block(alert)) + "\n")
    else:
        _print_table(alerts)
    say(f"next: egress-sentinel feedback {alerts[0]['alert_id']} true|false|planned --alerts {shlex.quote(str(file))}")


def _print_table(alerts: Sequence[Mapping[str, Any]]) -> None:
    columns: list[str | Column] = [
        "severity\nstate",
        Column("from (UTC)\nto\nlength", no_wrap=True),
        Column("account_id\nregion", overflow="fold", min_width=14),
        Column("egress_class\nresource_id", overflow="fold", min_width=18),
        right("cost_usd\nexpected", no_wrap=True),
        right("egress_gb\nexpected", no_wrap=True),
        Column("alert_id\nowner\nreasons\nlikely_cause", overflow="fold", ratio=1),
    ]
    rows = (_cells(alert) for alert in alerts)
    print_table(columns, rows, show_lines=True, caption=_CAPTION, caption_justify="left", pad_edge=False)


def _block(alert: Mapping[str, Any]) -> list[str]:
    usage = "processed" if _is_fee(alert) else "sent"
    return [
        f"{alert['severity'].upper()}  {alert['state']}  {alert['alert_id']}",
        f"{alert['egress_class']} of {resource_name(alert['resource_id'])}",
        f"account {account_text(alert)}, {alert['region']}",
        *([f"tags {tags}"] if (tags := _tags(alert)) else []),
        *_owner(alert),
        period_text(alert),
        f"${alert['cost_usd']:,.2f} (expected ${alert['expected_cost_usd']:,.2f}), {alert['usage_gb']:,.1f} GB {usage} "
        f"(expected {alert['expected_usage_gb']:,.1f} GB)",
        *_why(alert).splitlines(),
        f"next step: {alert['next_step']}",
    ]


def _cells(alert: Mapping[str, Any]) -> tuple[str | Text, ...]:
    return (
        Text(f"{alert['severity'].upper()}\n{alert['state']}", style=_COLOURS[alert["severity"]]),
        "\n".join(period(alert)),
        _lines(alert["account_id"], alert.get("account_name"), alert["region"]),
        _lines(alert["egress_class"], resource_name(alert["resource_id"]), _tags(alert)),
        f"${alert['cost_usd']:,.2f}\n${alert['expected_cost_usd']:,.2f}",
        _gigabytes(alert),
        "\n".join([alert["alert_id"], *_owner(alert), _why(alert)]),
    )


def _owner(alert: Mapping[str, Any]) -> list[str]:
    return [f"owner: {alert['owner']} ({alert['owner_source']})"] if alert.get("owner") else []


def _tags(alert: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in alert.get("tags", {}).items())


def _lines(*texts: str | None) -> str:
    return "\n".join(text for text in texts if text)


def _why(alert: Mapping[str, Any]) -> str:
    likely = f"likely cause: {alert['likely_cause']}" if alert.get("likely_cause") else ""
    return "\n".join(line for line in (*alert["reasons"][:1], likely) if line)


def _is_fee(alert: Mapping[str, Any]) -> bool:
    return bool(alert["egress_gb"] == 0 and alert["usage_gb"] > 0)


def _gigabytes(alert: Mapping[str, Any]) -> str:
    if _is_fee(alert):
        return f"({alert['usage_gb']:,.1f})\n({alert['expected_usage_gb']:,.1f})"
    return f"{alert['egress_gb']:,.1f}\n{alert['expected_egress_gb']:,.1f}"
