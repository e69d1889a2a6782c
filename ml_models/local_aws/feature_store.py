"""Feature groups of SageMaker and their online store.

Closes these gaps of moto 5.2: a feature group cannot be deleted, its tags and stores are lost, and records are neither
written nor read. As in AWS, a record is checked against the group's feature definitions, and a record whose event time
is not greater than the stored one's does not replace it. Nothing is written to an offline store.
"""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Response

from local_aws.account import ACCOUNT_ID, REGION, ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable

_RESERVED = {"is_deleted", "write_time", "api_invocation_time"}
_EVENT_TIME_TYPES = {"String", "Fractional"}
_EVENT_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{3})?Z")
_NUMBERS = {"Integral": re.compile(r"[+-]?\d+"), "Fractional": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")}
_SECONDS = {"Seconds": 1, "Minutes": 60, "Hours": 3600, "Days": 86_400, "Weeks": 604_800}
_NOT_FOUND = "ResourceNotFound"


class FeatureStore:
    """The API of feature groups, and of the records in their online stores."""

    def __init__(self) -> None:
        self._groups: dict[str, dict[str, Any]] = {}
        self._records: dict[str, dict[str, dict[str, str]]] = {}

    def _CreateFeatureGroup(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802 - the API's name
        name = given["FeatureGroupName"]
        if name in self._groups:
            raise ApiError(f"Resource Already Exists: FeatureGroup with name {name} already exists.", "ResourceInUse")
        types = {definition["FeatureName"]: definition["FeatureType"] for definition in given["FeatureDefinitions"]}
        _check_group(given, types)
        arn = f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:feature-group/{name}"
        kept = {key: value for key, value in given.items() if key != "Tags"}
        state = {"FeatureGroupArn": arn, "CreationTime": time.time(), "FeatureGroupStatus": "Created"}
        if "OfflineStoreConfig" in kept:
            storage = kept["OfflineStoreConfig"]["S3StorageConfig"]
            path = f"{ACCOUNT_ID}/sagemaker/{REGION}/offline-store/{name}-{int(time.time())}/data"
            storage.setdefault("ResolvedOutputS3Uri", f"{storage['S3Uri'].rstrip('/')}/{path}")
            kept["OfflineStoreConfig"].setdefault("TableFormat", "Glue")
        self._groups[name] = {"ThroughputConfig": {"ThroughputMode": "OnDemand"}, **kept, **state}
        self._records[name] = {}
        return {"FeatureGroupArn": arn}

    def _DescribeFeatureGroup(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        return {**self._group(given["FeatureGroupName"]), "NextToken": ""}

    def _UpdateFeatureGroup(self, given: dict[str, Any]) -> dict[str, str]:  # noqa: N802
        group = self._group(given["FeatureGroupName"])
        if "OnlineStoreConfig" in given:
            group["OnlineStoreConfig"] = {**group["OnlineStoreConfig"], **given["OnlineStoreConfig"]}
        if "ThroughputConfig" in given:
            group["ThroughputConfig"] = given["ThroughputConfig"]
        group |= {"LastModifiedTime": time.time(), "LastUpdateStatus": {"Status": "Successful"}}
        return {"FeatureGroupArn": group["FeatureGroupArn"]}

    def _DeleteFeatureGroup(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        name = self._group(given["FeatureGroupName"])["FeatureGroupName"]
        del self._groups[name], self._records[name]
        return {}

    def _ListFeatureGroups(self, _: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        shown = ("FeatureGroupName", "FeatureGroupArn", "CreationTime", "FeatureGroupStatus")
        found = [{name: group[name] for name in shown} for group in self._groups.values()]
        return {"FeatureGroupSummaries": found, "NextToken": ""}

    def answer(self, operation: str, given: dict[str, Any]) -> Response:
        """Answer a call of the online store: PutRecord, GetRecord or BatchGetRecord.

        Parameters
        ----------
        operation : str
            Such as `PutRecord`.
        given : dict
            The members of the request.
        """
        handler = {"PutRecord": self._put, "GetRecord": self._get, "BatchGetRecord": self._batch_get}.get(operation)
        if handler is None:
            return ApiError(f"The local AWS does not imitate {operation}.", status=501).response()
        try:
            result = handler(given)
        except ApiError as error:
            return error.response()
        return Response(json.dumps(result), mimetype="application/json")

    def _put(self, given: dict[str, Any]) -> dict[str, Any]:
        group = self._group(given["FeatureGroupName"])
        record = _checked(group, given["Record"])
        key, moment = record[group["RecordIdentifierFeatureName"]], _moment(record[group["EventTimeFeatureName"]])
        if "OnlineStore" not in given.get("TargetStores", ["OnlineStore"]):
            return {}
        stored = self._records[group["FeatureGroupName"]]
        if key not in stored or moment > _moment(stored[key][group["EventTimeFeatureName"]]):
            stored[key] = record
        return {}

    def _get(self, given: dict[str, Any]) -> dict[str, Any]:
        group = self._group(given["FeatureGroupName"])
        record = self._stored(group, given["RecordIdentifierValueAsString"])
        return {} if record is None else {"Record": _shown(group, record, given.get("FeatureNames"))}

    def _batch_get(self, given: dict[str, Any]) -> dict[str, Any]:
        records, errors = [], []
        for identifier in given["Identifiers"]:
            name = identifier["FeatureGroupName"]
            for key in dict.fromkeys(identifier["RecordIdentifiersValueAsString"]):
                where = {"FeatureGroupName": name, "RecordIdentifierValueAsString": key}
                try:
                    group = self._group(name)
                    record = self._stored(group, key)
                    shown = record and _shown(group, record, identifier.get("FeatureNames"))
                except ApiError as error:
                    errors.append({**where, "ErrorCode": error.code, "ErrorMessage": str(error)})
                    continue
                if shown:  # one that is not there is neither a record nor an error
                    records.append({**where, "Record": shown})
        return {"Records": records, "Errors": errors, "UnprocessedIdentifiers": []}

    def _group(self, name: str) -> dict[str, Any]:
        name = name.rpartition("/")[2]
        if name not in self._groups:
            raise ApiError(f"Resource Not Found: FeatureGroup with name {name} does not exist.", _NOT_FOUND, 404)
        return self._groups[name]

    def _stored(self, group: dict[str, Any], key: str) -> dict[str, str] | None:
        if not group.get("OnlineStoreConfig", {}).get("EnableOnlineStore"):
            raise _invalid(f"Online Store is not enabled for FeatureGroup {group['FeatureGroupName']}.")
        record = self._records[group["FeatureGroupName"]].get(key)
        ttl = group["OnlineStoreConfig"].get("TtlDuration")
        if record is None or ttl is None:
            return record
        expires = _moment(record[group["EventTimeFeatureName"]]) + ttl["Value"] * _SECONDS[ttl["Unit"]]
        return record if expires > time.time() else None


def _check_group(given: dict[str, Any], types: dict[str, str]) -> None:
    """Refuse a group that AWS refuses.

    Raises
    ------
    ApiError
        A name is reserved or used twice, key or event time is no feature, or there is no store.
    """
    if reserved := sorted(_RESERVED & {name.lower() for name in types}):
        raise ApiError(f"{reserved[0]} is a reserved feature name.")
    if len(types) < len(given["FeatureDefinitions"]):
        raise ApiError("a feature name is defined twice.")
    for member in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if given[member] not in types:
            raise ApiError(f"{member} {given[member]} is not in FeatureDefinitions.")
    if types[given["EventTimeFeatureName"]] not in _EVENT_TIME_TYPES:
        raise ApiError("the event time feature is of type String or Fractional.")
    online = given.get("OnlineStoreConfig", {}).get("EnableOnlineStore")
    if not online and "OfflineStoreConfig" not in given:
        raise ApiError("at least one of OnlineStoreConfig and OfflineStoreConfig is required.")
    if "OfflineStoreConfig" in given and "RoleArn" not in given:
        raise ApiError("RoleArn is required with an OfflineStoreConfig.")


def _checked(group: dict[str, Any], given: Iterable[dict[str, Any]]) -> dict[str, str]:
    """Return a record by feature name.

    Raises
    ------
    ApiError
        A feature is unknown or given twice, a value is not of its type, or key or event time is missing.
    """
    types = {definition["FeatureName"]: definition["FeatureType"] for definition in group["FeatureDefinitions"]}
    record: dict[str, str] = {}
    for value in given:
        name = value["FeatureName"]
        if name not in types:
            raise _invalid(f"{name} is not a feature of {group['FeatureGroupName']}.")
        if name in record:
            raise _invalid(f"the feature {name} is given twice.")
        text = value.get("ValueAsString")
        if text is None:
            raise _invalid(f"the feature {name} has no ValueAsString.")
        if types[name] in _NUMBERS and not _NUMBERS[types[name]].fullmatch(text):
            raise _invalid(f"{name} is of type {types[name]}, and {text[:40]!r} is not.")
        record[name] = text
    for member in ("RecordIdentifierFeatureName", "EventTimeFeatureName"):
        if not record.get(group[member]):
            raise _invalid(f"the record has no value for {group[member]}.")
    _moment(record[group["EventTimeFeatureName"]])
    return record


def _shown(group: dict[str, Any], record: dict[str, str], names: list[str] | None) -> list[dict[str, str]]:
    types = {definition["FeatureName"] for definition in group["FeatureDefinitions"]}
    for name in names or ():
        if name not in types:
            raise _invalid(f"{name} is not a feature of {group['FeatureGroupName']}.")
    wanted = names or list(record)
    return [{"FeatureName": name, "ValueAsString": record[name]} for name in wanted if name in record]


def _moment(text: str) -> float:
    if _NUMBERS["Fractional"].fullmatch(text):
        return float(text)
    if not _EVENT_TIME.fullmatch(text):
        raise _invalid(
            "the event time is seconds since 1970 or ISO 8601, yyyy-MM-dd'T'HH:mm:ssZ or "
            f"yyyy-MM-dd'T'HH:mm:ss.SSSZ, and {text[:40]!r} is neither."
        )
    return datetime.fromisoformat(text).astimezone(UTC).timestamp()


def _invalid(message: str) -> ApiError:
    return ApiError(f"Validation Error: {message}", "ValidationError")
