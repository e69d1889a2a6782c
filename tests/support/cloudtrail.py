"""Records of CloudTrail, as a trail writes them and as LookupEvents has them."""

import json
from typing import Any

PERSON = {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice", "accountId": "111122223333"}


def record(name: str, time: str, *, names: str = "", who: dict[str, Any] = PERSON, **other: Any) -> dict[str, Any]:
    """Return a write event in eu-west-1 that names a resource; `other` replaces fields."""
    return {
        "eventVersion": "1.10",
        "eventID": f"{name}-{time}",
        "eventTime": time,
        "eventName": name,
        "eventSource": "s3.amazonaws.com",
        "awsRegion": "eu-west-1",
        "readOnly": False,
        "managementEvent": True,
        "recipientAccountId": "111122223333",
        "userIdentity": who,
        "requestParameters": {"bucketName": names, "Host": "s3.eu-west-1.amazonaws.com"} if names else None,
        "responseElements": None,
    } | other


class CloudTrail:
    """LookupEvents of one region: pages of up to 50 records, the newest first; `fault` is raised instead."""

    def __init__(self, *records: dict[str, Any], fault: Exception | None = None) -> None:
        self.records = sorted(records, key=lambda each: each["eventTime"], reverse=True)
        self.requests: list[dict[str, Any]] = []
        self.fault = fault

    def lookup_events(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        if self.fault:
            raise self.fault
        ((key, value),) = [(each["AttributeKey"], each["AttributeValue"]) for each in request["LookupAttributes"]]
        asked = {"ReadOnly": lambda r: str(r["readOnly"]).lower(), "EventSource": lambda r: r["eventSource"]}[key]
        first, last = (f"{request[name]:%Y-%m-%dT%H:%M:%SZ}" for name in ("StartTime", "EndTime"))
        found = [r for r in self.records if asked(r) == value and first <= r["eventTime"] <= last]
        start = int(request.get("NextToken", 0))
        page, more = found[start : start + request["MaxResults"]], start + request["MaxResults"]
        token = {"NextToken": str(more)} if more < len(found) else {}
        return {"Events": [{"CloudTrailEvent": json.dumps(each)} for each in page]} | token
