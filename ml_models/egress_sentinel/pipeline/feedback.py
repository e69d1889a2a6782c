"""Verdicts on alerts: kept in a file for runs on this machine, and in the alerts table in AWS.

`egress_alerts.verdicts` builds the records and decides which alerts they suppress. `egress_alerts.exclusions` decides
which hours training leaves out.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from egress_alerts.alert import read_alert
from egress_alerts.verdicts import ABOUT, SIZES, build_verdict
from egress_sentinel.errors import UserError
from egress_sentinel.pipeline.alerts import read_alerts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from egress_alerts.alert import Alert


def judge(alert: Alert, verdict: str, note: str = "", *, now: datetime | None = None) -> dict[str, Any]:
    """Return the record of a verdict on an alert, given now.

    Raises
    ------
    UserError
        The verdict is unknown.
    """
    try:
        return build_verdict(alert, verdict, note, f"{now or datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}")
    except ValueError as error:
        raise UserError(str(error)) from error


def alert_in_file(path: Path, alert_id: str) -> Alert:
    """Return an alert of an alerts.json.

    Raises
    ------
    UserError
        The file cannot be read, or has no such alert.
    """
    alerts = read_alerts(path)
    for alert in alerts:
        if alert["alert_id"] == alert_id:
            return alert
    known = ", ".join(alert["alert_id"] for alert in alerts[:5]) or "none"
    raise UserError(f"{path} has no alert {alert_id}; it has {known}{' and more' if len(alerts) > 5 else ''}")


def read_feedback(path: Path) -> list[dict[str, Any]]:
    """Read a feedback file.

    Raises
    ------
    UserError
        The file is missing, or is not a list of verdicts.
    """
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read feedback from {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}") from error
    needed = {"judged_alert_id", "verdict", "judged_at", "causes", *ABOUT}
    if not isinstance(records, list) or any(not isinstance(r, dict) or not needed <= set(r) for r in records):
        raise UserError(f"{path} is not a list of verdicts; use a file that `egress-sentinel feedback` wrote")
    return records


def add_to_file(path: Path, record: Mapping[str, Any]) -> None:
    """Add a record, or replace an earlier record about the same alert. The file is written atomically."""
    records = read_feedback(path) if path.exists() else []
    kept = [other for other in records if other["judged_alert_id"] != record["judged_alert_id"]]
    beside = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(json.dumps([*kept, record], indent=2) + "\n", encoding="utf-8")
        beside.replace(path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}") from error


def _table_item(record: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a record to an item of the alerts table, which the detector queries by account and region."""
    causes = [
        {name: Decimal(str(value)) if name in SIZES else value for name, value in cause.items()}
        for cause in record["causes"]
    ]
    return {
        **record,
        "causes": causes,
        "alert_id": f"feedback#{record['judged_alert_id']}",
        "account_region": f"feedback#{record['account_id']}#{record['region']}",
    }


def put_in_table(dynamodb: Any, table: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Write records into the alerts table, with a DynamoDB client."""
    from boto3.dynamodb.types import TypeSerializer

    serialize = TypeSerializer().serialize
    for record in records:
        item = {name: serialize(value) for name, value in _table_item(record).items()}
        dynamodb.put_item(TableName=table, Item=item)


def alert_in_table(dynamodb: Any, table: str, alert_id: str) -> Alert:
    """Return an alert of the alerts table, with a DynamoDB client.

    Raises
    ------
    UserError
        There is no such alert.
    """
    from boto3.dynamodb.types import TypeDeserializer

    deserialize = TypeDeserializer().deserialize
    found = dynamodb.get_item(TableName=table, Key={"alert_id": {"S": alert_id}}).get("Item")
    item: dict[str, Any] = {name: deserialize(value) for name, value in (found or {}).items()}
    if not item or "verdict" in item:
        raise UserError(f"the table {table} has no alert {alert_id}; the id is in the last line of the alert")
    try:
        return read_alert(item)
    except ValueError as error:
        raise UserError(f"the table {table}: {error}") from error
