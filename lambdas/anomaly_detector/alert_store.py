"""Alerts in DynamoDB: one item per incident, written on condition that no other invocation wrote it meanwhile."""

from __future__ import annotations

import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key
from boto3.dynamodb.types import Binary
from botocore.exceptions import ClientError

from egress_alerts.alert import read_alert
from egress_alerts.detector import StoredAlert
from egress_alerts.lifecycle import Notified, excess_usd
from egress_alerts.packing import pack_incident, unpack_incident
from egress_alerts.series import iso_hour
from egress_alerts.verdicts import read_verdict

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from egress_alerts.alert import Alert
    from egress_alerts.incidents import Incident
    from egress_alerts.verdicts import Verdict

_VERDICTS = "feedback"  # verdicts have keys of their own in the index
# As long as publishing may take; a later run notifies of what an invocation claimed and did not live to publish.
_CLAIM_SECONDS = 120


class AlertStore:
    """The alerts table; its index `account-region` finds open incidents."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def since(self, accounts_and_regions: Iterable[tuple[str, str]], hour: int) -> list[StoredAlert]:
        """Read the incidents of these accounts and regions that ended at `hour` or later."""
        places = [f"{account_id}#{region}" for account_id, region in sorted(set(accounts_and_regions))]
        found = [_stored(item) for place in places for item in self._query(place, hour)]
        return sorted(found, key=lambda stored: (stored.incident.detected, stored.incident.alert_id))

    def verdicts(self, accounts_and_regions: Iterable[tuple[str, str]], hour: int) -> list[Verdict]:
        """Read the verdicts on alerts of these accounts and regions that ended at `hour` or later."""
        places = [f"{_VERDICTS}#{account_id}#{region}" for account_id, region in sorted(set(accounts_and_regions))]
        return [read_verdict(item) for place in places for item in self._query(place, hour)]

    def _query(self, place: str, hour: int) -> Iterator[dict[str, Any]]:
        condition = Key("account_region").eq(place) & Key("end_hour_utc").gte(iso_hour(hour))
        request: dict[str, Any] = {"IndexName": "account-region", "KeyConditionExpression": condition}
        while True:
            page = self._table.query(**request)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def put(self, stored: StoredAlert) -> None:
        """Write an alert whose version is the one that was read, and count the version up.

        Raises
        ------
        ClientError
            ConditionalCheckFailedException where another invocation wrote it meanwhile; a retry reads that first.
        """
        self._table.put_item(
            Item=_item(stored, stored.version + 1),
            ConditionExpression="attribute_not_exists(alert_id) OR version = :version",
            ExpressionAttributeValues={":version": stored.version},
        )
        stored.version += 1

    def claim(self, stored: StoredAlert) -> bool:
        """Reserve the notification of an alert; False when another invocation has it, or has written meanwhile.

        Invocations that score adjacent days side by side find the same incident. Every write counts the version up, so
        that only one of those that read the same version may notify.
        """
        now = int(time.time())
        if stored.claimed_until > now:
            return False
        try:
            self._table.update_item(
                Key={"alert_id": stored.incident.alert_id},
                UpdateExpression="SET claimed_until = :until, version = :next",
                ConditionExpression="version = :version",
                ExpressionAttributeValues={
                    ":until": now + _CLAIM_SECONDS,
                    ":next": stored.version + 1,
                    ":version": stored.version,
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            return False
        stored.version += 1
        return True

    def release(self, stored: StoredAlert) -> None:
        """Give a claim back: the notification failed."""
        self._table.update_item(
            Key={"alert_id": stored.incident.alert_id},
            UpdateExpression="REMOVE claimed_until ADD version :one",
            ExpressionAttributeValues={":one": 1},
        )

    def mark_notified(self, stored: StoredAlert) -> None:
        """Write what people have been notified of, and end the claim."""
        self._table.update_item(
            Key={"alert_id": stored.incident.alert_id},
            UpdateExpression=(
                "SET notified_severity = :severity, notified = :notified REMOVE claimed_until ADD version :one"
            ),
            ExpressionAttributeValues={
                ":severity": _severity(stored.notified),
                ":notified": _notified_item(stored.notified),
                ":one": 1,
            },
        )
        stored.version += 1


def _item(stored: StoredAlert, version: int) -> dict[str, Any]:
    first = stored.incident.hours[0].series
    return {
        **_decimals(dict(stored.alert)),
        "account_region": f"{first.account_id}#{first.region}",
        "hours": Binary(pack_incident(stored.incident)),
        "model_reason": stored.model_reason,
        "notified_severity": _severity(stored.notified),
        "notified": _notified_item(stored.notified),
        **({"claimed_until": stored.claimed_until} if stored.claimed_until else {}),
        "version": version,
    }


def _stored(item: Mapping[str, Any]) -> StoredAlert:
    incident = unpack_incident(item["alert_id"], bytes(item["hours"]))
    alert = read_alert(_floats(item))
    return StoredAlert(
        incident=incident,
        alert=alert,
        model_reason=item["model_reason"],
        version=int(item["version"]),
        notified=_read_notified(item, incident, alert),
        claimed_until=int(item.get("claimed_until", 0)),
    )


def _severity(notified: Notified | None) -> str:
    return notified.severity if notified else ""


def _notified_item(notified: Notified | None) -> dict[str, Any] | None:
    return None if notified is None else _decimals(notified._asdict() | {"causes": list(notified.causes)})


def _read_notified(item: Mapping[str, Any], incident: Incident, alert: Alert) -> Notified | None:
    if "notified" in item:
        given = item["notified"]
        if given is None:
            return None
        return Notified(
            given["severity"], given["state"], int(given["until"]), float(given["excess_usd"]), tuple(given["causes"])
        )
    # Earlier versions kept the severity alone: people know the incident as it was stored last.
    severity = item["notified_severity"]
    known = Notified(severity, "open", incident.end + 1, excess_usd(incident), (alert["incident_class"],))
    return known if severity else None


def _decimals(value: Any) -> Any:
    """DynamoDB takes decimals, not floats."""
    if isinstance(value, float):
        return Decimal(repr(value))
    if isinstance(value, dict):
        return {name: _decimals(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_decimals(item) for item in value]
    return value


_WHOLE_NUMBERS = {"anomalous_hours"}


def _floats(value: Any, name: str = "") -> Any:
    if isinstance(value, Decimal):
        return int(value) if name in _WHOLE_NUMBERS else float(value)
    if isinstance(value, dict):
        return {key: _floats(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return value
