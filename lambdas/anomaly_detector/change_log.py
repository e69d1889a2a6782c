"""Looks up CloudTrail's write events before an incident with `LookupEvents`. A failure never stops an alert."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit
from botocore.exceptions import BotoCoreError, ClientError

from egress_alerts.changes import GLOBAL_SOURCES, changes_span, find_changes, not_read, read_event
from egress_alerts.series import SUMMED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from egress_alerts.changes import Change, Event

logger = Logger(child=True)
metrics = Metrics()
# LookupEvents accepts two requests per second in an account and region, and returns at most 50 events.
_PAUSE_SECONDS = 0.55
# The limit for all look-ups of an invocation, which may have alerts of many accounts and regions.
LONGEST_SECONDS, _MOST_PAGES = 150.0, 240
_GLOBAL_REGION = "us-east-1"
_WRITES = ("ReadOnly", "false")


class ChangeLog:
    """CloudTrail of this account, as one invocation reads it.

    Parameters
    ----------
    client_of : callable
        Returns the CloudTrail client of a region.
    account_id : str
        The function's account. CloudTrail of other accounts cannot be read.
    until : float
        The second of the epoch after which no request starts.
    clock, sleep : callable
        As in `time`.
    """

    def __init__(
        self,
        client_of: Callable[[str], Any],
        account_id: str,
        until: float,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._client_of = client_of
        self._account_id = account_id
        self._until = until
        self._clock = clock
        self._sleep = sleep
        self._pages = 0
        # A decision may be repeated after a conflict. The results of earlier look-ups are then reused.
        self._found: dict[str, tuple[list[Change], str]] = {}

    def find(self, alert: Mapping[str, Any]) -> tuple[list[Change], str]:
        """Return up to three changes before an incident, and the reason if a limit may hide more of them."""
        if alert["alert_id"] not in self._found:
            self._found[alert["alert_id"]] = self._find(alert)
        return self._found[alert["alert_id"]]

    def _find(self, alert: Mapping[str, Any]) -> tuple[list[Change], str]:
        if alert["account_id"] != self._account_id:
            return not_read("the incident is in another account")
        if alert["region"] == SUMMED:
            return not_read("the incident spans several regions")
        if not self._may_ask():
            return not_read("the time for it was used up")
        try:
            return self._look_up(alert)
        except (BotoCoreError, ClientError) as error:
            logger.warning("lookup failed", extra={"alert_id": alert["alert_id"], "error": str(error)})
            metrics.add_metric("ChangeLookupsFailed", MetricUnit.Count, 1)
            return not_read(f"the look-up failed ({_name(error)})")

    def _look_up(self, alert: Mapping[str, Any]) -> tuple[list[Change], str]:
        queries = [(alert["region"], _WRITES)]
        if alert["region"] != _GLOBAL_REGION and not alert["region"].startswith(("cn-", "us-gov-")):
            queries = [*((_GLOBAL_REGION, ("EventSource", source)) for source in GLOBAL_SOURCES), *queries]
        events: deque[Event] = deque()
        for region, attribute in queries:
            for page in self._read(region, attribute, alert):
                events.extend(page)
        limit = "" if self._may_ask() else "not all events were read: the time for it was used up"
        return find_changes(alert, events, limit)

    def _read(self, region: str, attribute: tuple[str, str], alert: Mapping[str, Any]) -> Iterator[list[Event]]:
        """Yield pages of events, the newest first, until the time is used up."""
        first, last = changes_span(alert)
        key, value = attribute
        request: dict[str, Any] = {
            "LookupAttributes": [{"AttributeKey": key, "AttributeValue": value}],
            "StartTime": first,
            "EndTime": last,
            "MaxResults": 50,
        }
        client = self._client_of(region)
        while self._may_ask():
            if self._pages:
                self._sleep(_PAUSE_SECONDS)
            self._pages += 1
            answer = client.lookup_events(**request)
            records = (json.loads(each["CloudTrailEvent"]) for each in answer.get("Events", []))
            yield [event for record in records if (event := read_event(record))]
            if not answer.get("NextToken"):
                return
            request["NextToken"] = answer["NextToken"]

    def _may_ask(self) -> bool:
        return self._pages < _MOST_PAGES and self._clock() < self._until


def _name(error: Exception) -> str:
    return error.response["Error"]["Code"] if isinstance(error, ClientError) else type(error).__name__
