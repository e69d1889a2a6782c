"""Alerts in a file, and the line about a suppressed one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from egress_alerts.alert import account_text, period_text, read_alert
from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

    from egress_alerts.alert import Alert


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
        f"{_short(alert['resource_id'])} in account {account_text(alert)}, {period_text(alert)}"
    )


def _short(resource_id: str) -> str:
    """Return the end of an ARN, which identifies the resource."""
    return resource_id.rpartition(":")[2] or "no resource in the bill"
