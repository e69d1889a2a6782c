"""Alerts in DynamoDB: one item per incident. An invocation writes its decision only if no other one wrote since."""

from __future__ import annotations

import hashlib
import json
import time
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from boto3.dynamodb.conditions import Key
from boto3.dynamodb.types import Binary
from botocore.exceptions import ClientError

from anomaly_detector.errors import AlertSizeError, ConflictError
from egress_alerts.alert import read_alert
from egress_alerts.detector import StoredAlert
from egress_alerts.lifecycle import Notified, excess_usd
from egress_alerts.packing import pack_incident, unpack_incident
from egress_alerts.series import iso_hour
from egress_alerts.verdicts import read_verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from egress_alerts.alert import Alert
    from egress_alerts.hours import Incident
    from egress_alerts.verdicts import Verdict

# The item that counts the changes to scored rows and alerts. The index leaves it out, as it has no account_region.
LEDGER = "ledger"
_VERDICTS = "feedback"  # verdicts have separate keys in the index
# An invocation lives for at most 15 minutes. The rest is a margin for clocks that differ.
LONGEST_CLAIM_SECONDS = 1000
# The index lags behind the table by about a second. The ledger lists the alerts that were written in the last hour.
_RECENT_SECONDS = 3600
_TRANSACTION_ITEMS, _TRANSACTION_BYTES = 99, 3_000_000
_GET_ITEMS = 100
_MAX_ITEM_BYTES = 400 * 1024
# A transaction that was cancelled for one of these reasons changed nothing, and may be tried again.
_CONFLICTS = {"ConditionalCheckFailed", "TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"}


class AlertStore:
    """The alerts table as one invocation uses it; its index `account-region` finds open incidents.

    The ledger counts every change to scored rows and alerts. A decision starts with its number (`begin`, `reread`) and
    is written only if the number is still the same (`commit`). So decisions take effect one after the other, and each
    one is based on everything that was written before it.

    Parameters
    ----------
    table : DynamoDB table
    owner : str
        Identifies the invocation and its retries: Lambda's request id. Claims need it and the deadline.
    deadline : float
        The second of the epoch after which the invocation cannot be alive. Its claims last until then.
    clock : callable
        Returns the second of the epoch.
    s3 : S3 client
    bucket, prefix : str
        Place for lists that are too long for an item or a notification.
    """

    def __init__(
        self,
        table: Any,
        owner: str = "",
        deadline: float = 0.0,
        clock: Callable[[], float] = time.time,
        *,
        s3: Any = None,
        bucket: str = "",
        prefix: str = "alerts/",
    ) -> None:
        self._table = table
        self._owner = owner
        self._deadline = deadline
        self._clock = clock
        self._s3 = s3
        self.bucket = bucket
        self._prefix = prefix
        self._kept: set[str] = set()
        self._version = 0
        self._recent: dict[str, int] = {}
        self._pending: list[dict[str, Any]] = []
        self._is_committed = False
        self._owners: dict[str, str] = {}

    def begin(self) -> None:
        """Count scored rows that this invocation wrote, and start a decision."""
        answer = self._table.update_item(
            Key={"alert_id": LEDGER},
            UpdateExpression="ADD version :one",
            ExpressionAttributeValues={":one": 1},
            ReturnValues="ALL_NEW",
        )
        self._start(answer["Attributes"])

    def reread(self) -> None:
        """Start a decision again, from the state that others wrote."""
        self._start(self._get(LEDGER))

    def _start(self, ledger: Mapping[str, Any]) -> None:
        self._version = int(ledger.get("version", 0))
        self._recent = {alert_id: int(second) for alert_id, second in ledger.get("recent", {}).items()}
        self._pending = []
        self._is_committed = False

    def since(self, accounts_and_regions: Iterable[tuple[str, str]], hour: int) -> list[StoredAlert]:
        """Read the incidents of these accounts and regions that ended at `hour` or later."""
        places = {f"{account_id}#{region}" for account_id, region in accounts_and_regions}
        ids = {item["alert_id"] for place in sorted(places) for item in self._query(place, hour)}
        first = iso_hour(hour)
        items = [
            item
            for item in self._items(sorted(ids | self._recent.keys()))
            if item["account_region"] in places and item["end_hour_utc"] >= first
        ]
        self._owners = {item["alert_id"]: item.get("claimed_by", "") for item in items}
        return sorted(map(_stored, items), key=lambda stored: (stored.incident.detected, stored.incident.alert_id))

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

    def _items(self, ids: list[str]) -> Iterator[dict[str, Any]]:
        """Read the current state of alerts by id. The index may show an earlier state."""
        for first in range(0, len(ids), _GET_ITEMS):
            keys: Any = [{"alert_id": alert_id} for alert_id in ids[first : first + _GET_ITEMS]]
            request = {self._table.name: {"Keys": keys, "ConsistentRead": True}}
            while request:
                answer = self._table.meta.client.batch_get_item(RequestItems=request)
                yield from answer["Responses"].get(self._table.name, [])
                request = answer["UnprocessedKeys"]

    def _get(self, alert_id: str) -> dict[str, Any]:
        answer: dict[str, Any] = self._table.get_item(Key={"alert_id": alert_id}, ConsistentRead=True)
        item: dict[str, Any] = answer.get("Item", {})
        return item

    def put(self, stored: StoredAlert) -> None:
        """Add an alert to the next `commit` and increment its version, which must be the version that was read.

        Raises
        ------
        AlertSizeError
            The alert is too large for DynamoDB. The others can still be written.
        """
        item = self._item(stored)
        if _size_bytes(item) > _MAX_ITEM_BYTES:
            raise AlertSizeError(f"alert {stored.incident.alert_id} is larger than the 400 KB that DynamoDB accepts")
        stored.version += 1
        self._pending.append(item)

    def commit(self) -> None:
        """Write the alerts of `put`, if no other invocation changed rows or alerts since the decision started.

        Raises
        ------
        ConflictError
            Another invocation did. Nothing or a first part is written, and the decision must be made again.
        """
        if self._is_committed and not self._pending:
            return
        self._is_committed = True
        if not self._pending and int(self._get(LEDGER).get("version", 0)) != self._version:
            raise ConflictError("another invocation changed the alerts table")
        items, self._pending = self._pending, []
        for part in _parts(items):
            self._write(part)

    def keep_list(self, folder: str, records: Sequence[Mapping[str, Any]]) -> str:
        """Write records to S3 and return the key. It holds the hash of the text, so that equal lists have one key."""
        body = json.dumps(records, indent=1).encode()
        key = f"{self._prefix}{folder}/{hashlib.sha256(body).hexdigest()}.json"
        if key not in self._kept:
            self._s3.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType="application/json")
            self._kept.add(key)
        return key

    def _item(self, stored: StoredAlert) -> dict[str, Any]:
        item = _item(stored)
        owner = self._owners.get(stored.incident.alert_id, "")
        return item | {"claimed_by": owner} if owner and stored.claimed_until else item

    def _write(self, items: list[dict[str, Any]]) -> None:
        now = int(self._clock())
        recent = {alert_id: at for alert_id, at in self._recent.items() if at >= now - _RECENT_SECONDS}
        recent |= {item["alert_id"]: now for item in items}
        ledger = {"alert_id": LEDGER, "version": self._version + 1, "recent": recent}
        writes = [self._put(ledger, self._version), *(self._put(item, item["version"] - 1) for item in items)]
        try:
            self._table.meta.client.transact_write_items(TransactItems=writes)
        except ClientError as error:
            if not _is_conflict(error):
                raise
            raise ConflictError("another invocation changed the alerts table") from error
        self._version, self._recent = self._version + 1, recent

    def _put(self, item: dict[str, Any], version: int) -> dict[str, Any]:
        condition = "attribute_not_exists(alert_id) OR version = :version"
        values = {":version": version}
        put = {"TableName": self._table.name, "Item": item, "ConditionExpression": condition}
        return {"Put": put | {"ExpressionAttributeValues": values}}

    def claim(self, stored: StoredAlert) -> bool:
        """Reserve the notification of an alert. Return False if another invocation has it, or changed the alert.

        The decision is committed first. A retry may take over the claim of an earlier attempt of the same invocation.
        """
        self.commit()
        alert_id = stored.incident.alert_id
        if self._is_claimed(stored.claimed_until) and self._owners.get(alert_id) != self._owner:
            return False
        try:
            self._table.update_item(
                Key={"alert_id": alert_id},
                UpdateExpression="SET claimed_until = :until, claimed_by = :owner, version = :next",
                ConditionExpression="version = :version",
                ExpressionAttributeValues={
                    ":until": int(self._deadline),
                    ":owner": self._owner,
                    ":next": stored.version + 1,
                    ":version": stored.version,
                },
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                raise
            # The first attempt may have succeeded, and only its reply was lost.
            item = self._get(alert_id)
            if item.get("claimed_by") != self._owner or item["version"] != stored.version + 1:
                return False
        stored.version += 1
        return True

    def _is_claimed(self, until: int) -> bool:
        # A clock that was set back would make a claim last for longer than an invocation can live.
        return 0 < until - self._clock() <= LONGEST_CLAIM_SECONDS

    def release(self, stored: StoredAlert) -> None:
        """Remove a claim after its notification failed."""
        self._table.update_item(
            Key={"alert_id": stored.incident.alert_id},
            UpdateExpression="REMOVE claimed_until, claimed_by ADD version :one",
            ExpressionAttributeValues={":one": 1},
        )

    def mark_notified(self, stored: StoredAlert) -> None:
        """Write the state of which people have been notified, and end the claim."""
        self._table.update_item(
            Key={"alert_id": stored.incident.alert_id},
            UpdateExpression=(
                "SET notified_severity = :severity, notified = :notified REMOVE claimed_until, claimed_by "
                "ADD version :one"
            ),
            ExpressionAttributeValues={
                ":severity": _severity(stored.notified),
                ":notified": _notified_item(stored.notified),
                ":one": 1,
            },
        )
        stored.version += 1


def _is_conflict(error: ClientError) -> bool:
    answer: Any = error.response
    if answer["Error"]["Code"] != "TransactionCanceledException":
        return False
    codes = {reason.get("Code", "None") for reason in answer.get("CancellationReasons", [])} - {"None"}
    return codes <= _CONFLICTS


def _parts(items: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Divide items into parts that fit into a transaction: 100 items and 4 MB, with the ledger."""
    part: list[dict[str, Any]] = []
    size = 0
    for item in items:
        item_size = _size_bytes(item)
        if part and (len(part) == _TRANSACTION_ITEMS or size + item_size > _TRANSACTION_BYTES):
            yield part
            part, size = [], 0
        part.append(item)
        size += item_size
    if part:
        yield part


def _size_bytes(item: Mapping[str, Any]) -> int:
    """Return an upper estimate of an item's size."""
    rest = {name: value for name, value in item.items() if name != "hours"}
    return len(json.dumps(rest, default=str, ensure_ascii=False).encode()) + len(bytes(item["hours"]))


def _item(stored: StoredAlert) -> dict[str, Any]:
    first = stored.incident.hours[0].series
    return {
        **_decimals(dict(stored.alert)),
        "account_region": f"{first.account_id}#{first.region}",
        "hours": Binary(pack_incident(stored.incident)),
        "model_reason": stored.model_reason,
        "notified_severity": _severity(stored.notified),
        "notified": _notified_item(stored.notified),
        **({"claimed_until": stored.claimed_until} if stored.claimed_until else {}),
        "version": stored.version + 1,
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
    # Earlier versions kept only the severity. People then know the incident in its last stored state.
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


_WHOLE_NUMBERS = {"anomalous_hours", "contributor_count"}


def _floats(value: Any, name: str = "") -> Any:
    if isinstance(value, Decimal):
        return int(value) if name in _WHOLE_NUMBERS else float(value)
    if isinstance(value, dict):
        return {key: _floats(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_floats(item) for item in value]
    return value
