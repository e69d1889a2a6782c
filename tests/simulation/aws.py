"""A small AWS in process, with AWS's semantics of atomic, conditional, delayed and consistent operations.

Every call goes through a network, which may delay it, lose its reply, refuse it or kill the caller.
"""

import hashlib
import io
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol, TypeVar

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import ClientError

from tests.simulation.expressions import Item, condition_of, updated

Result = TypeVar("Result")
MAX_ITEM_BYTES = 400 * 1024
MAX_TRANSACTION_ITEMS = 100


class Killed(BaseException):
    """The process ended at this place. No `except Exception` sees it."""


class Network(Protocol):
    """What lies between a function and AWS."""

    def call(self, name: str, perform: Callable[[], Result]) -> Result:
        """Perform a call, named such as "s3.put_object", or let something go wrong."""

    def clock(self) -> float:
        """Return AWS's own second of the epoch."""

    def index_lag(self) -> float:
        """Return by how many seconds an index lags behind its table at the moment."""


class Direct:
    """A network in which nothing goes wrong."""

    def __init__(self, now: float = 1.8e9) -> None:
        self.now = now

    def call(self, name: str, perform: Callable[[], Result]) -> Result:
        self.now += 0.01
        return perform()

    def clock(self) -> float:
        return self.now

    def index_lag(self) -> float:
        return 0.0


def client_error(code: str, operation: str, status: int = 400, **more: Any) -> ClientError:
    """Return the error that a client raises."""
    metadata = {"HTTPStatusCode": status}
    return ClientError(
        {"Error": {"Code": code, "Message": code}, "ResponseMetadata": metadata} | more,  # type: ignore[arg-type]
        operation,
    )


@dataclass(frozen=True)
class Stored:
    body: bytes
    etag: str
    modified: float
    metadata: Mapping[str, str] = field(default_factory=dict)


class S3:
    """Strongly consistent objects, with conditional writes."""

    def __init__(self, network: Network, on_put: Callable[[str], None] = lambda key: None) -> None:
        self._network = network
        self._on_put = on_put
        self.objects: dict[tuple[str, str], Stored] = {}

    def get_object(self, Bucket: str, Key: str, IfMatch: str | None = None) -> dict[str, Any]:
        found = self._network.call("s3.get_object", lambda: self._found(Bucket, Key, IfMatch, "GetObject"))
        return {"Body": io.BytesIO(found.body), "ETag": found.etag, "Metadata": dict(found.metadata)}

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:
        def perform() -> Stored:
            if (Bucket, Key) not in self.objects:
                raise client_error("404", "HeadObject", 404)
            return self.objects[Bucket, Key]

        found = self._network.call("s3.head_object", perform)
        return {"ETag": found.etag, "ContentLength": len(found.body), "Metadata": dict(found.metadata)}

    def put_object(
        self,
        Bucket: str,
        Key: str,
        Body: bytes,
        IfMatch: str | None = None,
        IfNoneMatch: str | None = None,
        Metadata: Mapping[str, str] | None = None,
        ContentType: str = "",
    ) -> dict[str, Any]:
        def perform() -> dict[str, Any]:
            old = self.objects.get((Bucket, Key))
            if IfNoneMatch is not None and old is not None:
                raise client_error("PreconditionFailed", "PutObject", 412)
            if IfMatch is not None and old is None:
                raise client_error("NoSuchKey", "PutObject", 404)
            if IfMatch is not None and old is not None and old.etag != IfMatch:
                raise client_error("PreconditionFailed", "PutObject", 412)
            return {"ETag": self.store(Bucket, Key, Body, Metadata or {})}

        return self._network.call("s3.put_object", perform)

    def copy_object(
        self,
        Bucket: str,
        Key: str,
        CopySource: Mapping[str, str],
        CopySourceIfMatch: str | None = None,
        MetadataDirective: str = "COPY",
        Metadata: Mapping[str, str] | None = None,
    ) -> None:
        def perform() -> None:
            source = self._found(CopySource["Bucket"], CopySource["Key"], CopySourceIfMatch, "CopyObject")
            self.store(Bucket, Key, source.body, Metadata or source.metadata)

        self._network.call("s3.copy_object", perform)

    def delete_object(self, Bucket: str, Key: str) -> None:
        self._network.call("s3.delete_object", lambda: self.objects.pop((Bucket, Key), None))

    def upload_file(self, path: str, bucket: str, key: str, ExtraArgs: Mapping[str, Any] | None = None) -> None:
        self.put_object(bucket, key, Path(path).read_bytes(), Metadata=(ExtraArgs or {}).get("Metadata"))

    def download_file(self, bucket: str, key: str, path: str) -> None:
        Path(path).write_bytes(self.get_object(bucket, key)["Body"].read())

    def download_fileobj(self, bucket: str, key: str, file: Any) -> None:
        shutil.copyfileobj(self.get_object(bucket, key)["Body"], file)

    def get_paginator(self, operation: str) -> "S3":
        assert operation == "list_objects_v2"
        return self

    def paginate(self, Bucket: str, Prefix: str, StartAfter: str = "") -> Iterator[dict[str, Any]]:
        def perform() -> dict[str, Any]:
            keys = sorted(k for b, k in self.objects if b == Bucket and k.startswith(Prefix) and k > StartAfter)
            found = [(key, self.objects[Bucket, key]) for key in keys]
            return {
                "Contents": [
                    {"Key": key, "LastModified": datetime.fromtimestamp(int(one.modified), UTC), "ETag": one.etag}
                    for key, one in found
                ]
            }

        yield self._network.call("s3.list_objects_v2", perform)

    def store(self, bucket: str, key: str, body: bytes, metadata: Mapping[str, str] | None = None) -> str:
        """Write an object without a network between, and return its ETag."""
        etag = f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
        self.objects[bucket, key] = Stored(bytes(body), etag, self._network.clock(), metadata or {})
        self._on_put(key)
        return etag

    def _found(self, bucket: str, key: str, if_match: str | None, operation: str) -> Stored:
        if (bucket, key) not in self.objects:
            raise client_error("NoSuchKey", operation, 404)
        found = self.objects[bucket, key]
        if if_match is not None and found.etag.strip('"') != if_match.strip('"'):
            raise client_error("PreconditionFailed", operation, 412)
        return found


class Table:
    """A DynamoDB table with one key; its index shows an earlier state."""

    def __init__(
        self,
        network: Network,
        key: str,
        index: tuple[str, str] = ("", ""),
        on_write: Callable[[Item | None, Item | None, str], None] = lambda old, new, kind: None,
    ) -> None:
        self.name = "table"
        self.items: dict[str, Item] = {}
        self._network = network
        self._key = key
        self._index = index
        self._on_write = on_write
        self._history: dict[str, list[tuple[float, Item | None]]] = {}

    @property
    def meta(self) -> Any:
        """The resource's client is the table too."""
        return self

    @property
    def client(self) -> "Table":
        return self

    def get_item(self, Key: Item, ConsistentRead: bool = False) -> dict[str, Any]:
        def perform() -> dict[str, Any]:
            found = self.items.get(Key[self._key])
            return {} if found is None else {"Item": dict(found)}

        assert ConsistentRead, "an eventually consistent read may miss the last write"
        return self._network.call("dynamodb.get_item", perform)

    def batch_get_item(self, RequestItems: Mapping[str, Any]) -> dict[str, Any]:
        def perform() -> dict[str, Any]:
            request = RequestItems[self.name]
            assert request["ConsistentRead"]
            assert 0 < len(request["Keys"]) <= 100
            found = [self.items.get(key[self._key]) for key in request["Keys"]]
            return {"Responses": {self.name: [dict(item) for item in found if item]}, "UnprocessedKeys": {}}

        return self._network.call("dynamodb.batch_get_item", perform)

    def put_item(self, Item: Item, ConditionExpression: str | None = None, **request: Any) -> dict[str, Any]:
        def perform() -> dict[str, Any]:
            self._check(Item[self._key], ConditionExpression, request, "PutItem")
            self._write(_plain(Item), "put")
            self._on_write(None, None, "committed")
            return {}

        return self._network.call("dynamodb.put_item", perform)

    def update_item(
        self, Key: Item, UpdateExpression: str, ConditionExpression: str | None = None, **request: Any
    ) -> dict[str, Any]:
        def perform() -> dict[str, Any]:
            self._check(Key[self._key], ConditionExpression, request, "UpdateItem")
            old = self.items.get(Key[self._key], dict(Key))
            new = _plain(updated(UpdateExpression, old, request))
            self._write(new, UpdateExpression)
            return {"Attributes": dict(new)}

        return self._network.call("dynamodb.update_item", perform)

    def transact_write_items(self, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:
        done: list[bool] = []

        def perform() -> dict[str, Any]:
            # The client's own retry has the same token.
            if done:
                return {}
            assert len(TransactItems) <= MAX_TRANSACTION_ITEMS
            puts = [entry["Put"] for entry in TransactItems]
            codes = [self._refusal(put["Item"][self._key], put.get("ConditionExpression"), put) for put in puts]
            if any(codes):
                reasons = [{"Code": code or "None"} for code in codes]
                raise client_error("TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons)
            items = [_plain(put["Item"]) for put in puts]
            for item in items:
                self._write(item, "put")
            self._on_write(None, None, "committed")
            done.append(True)
            return {}

        return self._network.call("dynamodb.transact_write_items", perform)

    def query(self, IndexName: str, KeyConditionExpression: Any, **request: Any) -> dict[str, Any]:
        def perform() -> dict[str, Any]:
            moment = self._network.clock() - self._network.index_lag()
            shown = [self._shown(key, moment) for key in self._history]
            holds = condition_of(KeyConditionExpression, request)
            found = [item for item in shown if item and all(n in item for n in self._index) and holds(item)]
            return {"Items": [dict(item) for item in sorted(found, key=lambda item: item[self._index[1]])]}

        return self._network.call("dynamodb.query", perform)

    def scan(self, FilterExpression: Any = None, **request: Any) -> dict[str, Any]:
        def perform() -> dict[str, Any]:
            names = set((request.get("ExpressionAttributeNames") or {}).values())
            holds = condition_of(FilterExpression, request)
            found = [item for _, item in sorted(self.items.items()) if holds(item)]
            return {"Items": [{name: v for name, v in item.items() if not names or name in names} for item in found]}

        return self._network.call("dynamodb.scan", perform)

    def _shown(self, key: str, moment: float) -> Item | None:
        return next((item for at, item in reversed(self._history[key]) if at <= moment), None)

    def _refusal(self, key: str, condition: str | None, request: Mapping[str, Any]) -> str:
        return "" if condition_of(condition, request)(self.items.get(key)) else "ConditionalCheckFailed"

    def _check(self, key: str, condition: str | None, request: Mapping[str, Any], operation: str) -> None:
        if self._refusal(key, condition, request):
            raise client_error("ConditionalCheckFailedException", operation)

    def _write(self, item: Item, kind: str) -> None:
        key = item[self._key]
        old = self.items.get(key)
        self.items[key] = item
        self._history.setdefault(key, []).append((self._network.clock(), item))
        self._on_write(old, item, kind)


def _plain(item: Item) -> Item:
    """Return an item as a reader gets it. A value that DynamoDB does not accept raises an error."""
    serialized = {name: TypeSerializer().serialize(value) for name, value in item.items()}
    size = len(str(serialized))
    if size > 4 * MAX_ITEM_BYTES:  # far too large in any encoding
        raise client_error("ValidationException", "PutItem")
    return {name: TypeDeserializer().deserialize(value) for name, value in serialized.items()}


class Sns:
    """Stores the published messages."""

    def __init__(self, network: Network, on_publish: Callable[[str], None] = lambda text: None) -> None:
        self._network = network
        self._on_publish = on_publish
        self.messages: list[str] = []

    def publish(
        self,
        TopicArn: str,
        Subject: str,
        Message: str,
        MessageStructure: str = "",
        MessageAttributes: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        text = json.loads(Message)["email"] if MessageStructure == "json" else Message

        def perform() -> dict[str, Any]:
            self.messages.append(f"{Subject}\n{text}")
            self._on_publish(self.messages[-1])
            return {"MessageId": str(len(self.messages))}

        return self._network.call("sns.publish", perform)
