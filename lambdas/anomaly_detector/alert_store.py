"""Alerts in DynamoDB: one item an incident, written on condition that nobody else did meanwhile."""

from __future__ import annotations

import json
import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key
from boto3.dynamodb.types import Binary

from anomaly_detector.feedback import judgement_of
from anomaly_detector.hours import iso_hour
from anomaly_detector.incidents import Hour, Incident, Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from anomaly_detector.feedback import Judgement

FEEDBACK = "feedback"  # what people said is kept in places of the index of its own


@dataclass
class Stored:
    """An item: the incident, the alert made of it, and what has been told about it."""

    incident: Incident
    alert: dict[str, Any]
    model_reason: str
    version: int = 0
    notified_severity: str = ""


class AlertStore:
    """The alerts table; its index `account-region` finds open incidents."""

    def __init__(self, table: Any) -> None:
        self._table = table

    def since(self, accounts_and_regions: Iterable[tuple[str, str]], hour: int) -> list[Stored]:
        """Read the incidents of these accounts and regions that ended at `hour` or later."""
        places = [f"{account_id}#{region}" for account_id, region in sorted(set(accounts_and_regions))]
        found = [_stored(item) for place in places for item in self._query(place, hour)]
        return sorted(found, key=lambda stored: (stored.incident.detected, stored.incident.alert_id))

    def judgements(self, accounts_and_regions: Iterable[tuple[str, str]], hour: int) -> list[Judgement]:
        """Read what was said of alerts of these accounts and regions that ended at `hour` or later."""
        places = [f"{FEEDBACK}#{account_id}#{region}" for account_id, region in sorted(set(accounts_and_regions))]
        return [judgement_of(item) for place in places for item in self._query(place, hour)]

    def _query(self, place: str, hour: int) -> Iterator[dict[str, Any]]:
        condition = Key("account_region").eq(place) & Key("end_hour_utc").gte(iso_hour(hour))
        request: dict[str, Any] = {"IndexName": "account-region", "KeyConditionExpression": condition}
        while True:
            page = self._table.query(**request)
            yield from page["Items"]
            if "LastEvaluatedKey" not in page:
                return
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def put(self, stored: Stored) -> None:
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

    def mark_notified(self, stored: Stored) -> None:
        """Remember that people have been told, and of which severity."""
        self._table.update_item(
            Key={"alert_id": stored.incident.alert_id},
            UpdateExpression="SET notified_severity = :severity",
            ExpressionAttributeValues={":severity": stored.alert["severity"]},
        )
        stored.notified_severity = stored.alert["severity"]


def _item(stored: Stored, version: int) -> dict[str, Any]:
    first = stored.incident.hours[0].series
    return {
        **_decimals(stored.alert),
        "account_region": f"{first.account_id}#{first.region}",
        "hours": Binary(_packed(stored.incident)),
        "model_reason": stored.model_reason,
        "notified_severity": stored.notified_severity,
        "version": version,
    }


def _stored(item: Mapping[str, Any]) -> Stored:
    internal = {"account_region", "hours", "model_reason", "notified_severity", "version"}
    return Stored(
        incident=_unpacked(item["alert_id"], bytes(item["hours"])),
        alert=_floats({name: value for name, value in item.items() if name not in internal}),
        model_reason=item["model_reason"],
        version=int(item["version"]),
        notified_severity=item["notified_severity"],
    )


def _packed(incident: Incident) -> bytes:
    content = {"detected": incident.detected, "hours": incident.hours}
    return zlib.compress(json.dumps(content, separators=(",", ":")).encode(), 9)


def _unpacked(alert_id: str, packed: bytes) -> Incident:
    content = json.loads(zlib.decompress(packed))
    incident = Incident(alert_id, content["detected"])
    incident.add(Hour(hour, Series(*series), *rest) for hour, series, *rest in content["hours"])
    return incident


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
