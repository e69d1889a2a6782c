"""Alerts in DynamoDB: one item an incident, written on condition that nobody else did meanwhile."""

from __future__ import annotations

import json
import time
import zlib
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key
from boto3.dynamodb.types import Binary
from botocore.exceptions import ClientError

from anomaly_detector.feedback import judgement_of
from anomaly_detector.hours import iso_hour
from anomaly_detector.incidents import Hour, Incident, Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from anomaly_detector.feedback import Judgement

FEEDBACK = "feedback"  # what people said is kept in places of the index of its own
# As long as publishing may take; whoever claims to tell and dies leaves it to a run after that.
CLAIM_SECONDS = 120


@dataclass
class Stored:
    """An item: the incident, the alert made of it, and what has been told about it.

    `telling_until` is the second of the epoch until which another invocation may be about to tell it.
    """

    incident: Incident
    alert: dict[str, Any]
    model_reason: str
    version: int = 0
    notified_severity: str = ""
    telling_until: int = 0


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

    def claim(self, stored: Stored) -> bool:
        """Say that this invocation tells people of the alert; false where another one does, or has written meanwhile.

        Days that are scored side by side find the same incident. Every write counts the version up, so that of those
        who have read the same version one alone may tell.
        """
        now = int(time.time())
        if stored.telling_until > now:
            return False
        try:
            self._table.update_item(
                Key={"alert_id": stored.incident.alert_id},
                UpdateExpression="SET telling_until = :until, version = :next",
                ConditionExpression="version = :version",
                ExpressionAttributeValues={
                    ":until": now + CLAIM_SECONDS,
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

    def give_up(self, stored: Stored) -> None:
        """Take a claim back: people could not be told."""
        self._table.update_item(
            Key={"alert_id": stored.incident.alert_id},
            UpdateExpression="REMOVE telling_until ADD version :one",
            ExpressionAttributeValues={":one": 1},
        )

    def mark_notified(self, stored: Stored) -> None:
        """Remember that people have been told, and of which severity."""
        self._table.update_item(
            Key={"alert_id": stored.incident.alert_id},
            UpdateExpression="SET notified_severity = :severity REMOVE telling_until ADD version :one",
            ExpressionAttributeValues={":severity": stored.alert["severity"], ":one": 1},
        )
        stored.notified_severity = stored.alert["severity"]
        stored.version += 1


def _item(stored: Stored, version: int) -> dict[str, Any]:
    first = stored.incident.hours[0].series
    return {
        **_decimals(stored.alert),
        "account_region": f"{first.account_id}#{first.region}",
        "hours": Binary(_packed(stored.incident)),
        "model_reason": stored.model_reason,
        "notified_severity": stored.notified_severity,
        **({"telling_until": stored.telling_until} if stored.telling_until else {}),
        "version": version,
    }


def _stored(item: Mapping[str, Any]) -> Stored:
    internal = {"account_region", "hours", "model_reason", "notified_severity", "telling_until", "version"}
    return Stored(
        incident=_unpacked(item["alert_id"], bytes(item["hours"])),
        alert=_floats({name: value for name, value in item.items() if name not in internal}),
        model_reason=item["model_reason"],
        version=int(item["version"]),
        notified_severity=item["notified_severity"],
        telling_until=int(item.get("telling_until", 0)),
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
