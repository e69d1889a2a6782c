"""Alert records as the Lambda stores them: read from the table and ordered."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from egress_sentinel.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from local_aws import LocalAws

FIELDS = (
    "alert_id",
    "account_id",
    "region",
    "service",
    "egress_class",
    "usage_type",
    "resource_id",
    "start_hour_utc",
    "end_hour_utc",
    "detected_hour_utc",
    "cost_usd",
    "expected_cost_usd",
    "egress_gb",
    "expected_egress_gb",
    "usage_gb",
    "expected_usage_gb",
    "excess_cost_usd_per_day",
    "severity",
    "anomaly_score",
    "p_value",
    "reasons",
    "contributors",
    "anomalous_hours",
    "is_provisional",
    "is_estimated",
    "incident_class",
    "looks_like",
    "first_look",
    "quieted_by",
    "model_id",
)
SEVERITIES = ("critical", "high", "medium", "low")


def alerts_from_table(aws: LocalAws, table_name: str) -> list[dict[str, Any]]:
    """Read every alert of a DynamoDB table, its fields in the order of `FIELDS`, numbers as floats."""
    from boto3.dynamodb.types import TypeDeserializer

    deserialize = TypeDeserializer().deserialize
    pages = aws.client("dynamodb").get_paginator("scan").paginate(TableName=table_name)
    items = [{k: deserialize(v) for k, v in item.items()} for page in pages for item in page["Items"]]
    items = [item for item in items if "verdict" not in item]
    alerts = [{name: _plain(item[name]) for name in FIELDS} for item in items]
    return [alert | {"anomalous_hours": int(alert["anomalous_hours"])} for alert in alerts]


def read_alerts(path: Path) -> list[dict[str, Any]]:
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
    return alerts


def told(alerts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the alerts that neither a verdict on an earlier one nor a planned event has quieted."""
    return [alert for alert in alerts if not alert.get("quieted_by")]


def quiet(alerts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keep the alerts that people are not told."""
    return [alert for alert in alerts if alert.get("quieted_by")]


def quiet_line(alert: Mapping[str, Any]) -> str:
    """Say in a line what is quiet, how large it is, and why."""
    why = alert["quieted_by"]
    why = why if why.startswith("planned: ") else f"as alert {why} was judged"
    return (
        f"quiet, {why}: {alert['usage_gb'] - alert['expected_usage_gb']:,.1f} GB and "
        f"${alert['cost_usd'] - alert['expected_cost_usd']:,.2f} above what was expected, {alert['egress_class']} of "
        f"{_short(alert['resource_id'])} in account {alert['account_id']}, {_hour(alert['start_hour_utc'])} to "
        f"{_hour(alert['end_hour_utc'])} UTC"
    )


def worst_first(alerts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Order by severity, then by dollars and GB above what was expected, then by time."""
    return sorted(
        alerts,
        key=lambda a: (
            SEVERITIES.index(a["severity"]),
            a["expected_cost_usd"] - a["cost_usd"],
            a["expected_usage_gb"] - a["usage_gb"],
            a["start_hour_utc"],
        ),
    )


def _hour(text: str) -> str:
    return text[:16].replace("T", " ")


def _short(resource_id: str) -> str:
    """Leave the end of an ARN, which tells resources apart."""
    return resource_id.rpartition(":")[2] or "no resource in the bill"


def _plain(value: Any) -> Any:
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return value
