"""The detector between stores in memory, with a rule as its model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from egress_alerts.alert import Alert
from egress_alerts.detector import Detector, Outcome, StoredAlert
from egress_alerts.notification import Notification
from egress_alerts.planned import PlannedEvent
from egress_alerts.policy import Policy
from egress_alerts.routing import OwnerRule
from egress_alerts.rows import sort_rows
from egress_alerts.series import Window, parse_hour
from egress_sentinel.pipeline.memory import AlertsInMemory, Outbox, RowsInMemory

DAY_HOURS = 24
FIRST = parse_hour("2026-10-02T00:00:00Z")  # a Friday
Row = dict[str, Any]


def row(hour: int, gb: float = 80.0, expected: float = 5.0, price: float = 0.09, **other: Any) -> Row:
    """Return a row of features; `hour` counts from FIRST. The fake model calls it anomalous when GB exceed expected."""
    return {
        "hour_utc": datetime(1970, 1, 1, tzinfo=UTC) + timedelta(hours=FIRST + hour),
        "account_id": "111122223333",
        "region": "eu-west-1",
        "service": "AmazonS3",
        "egress_class": "internet",
        "resource_id": "media-prod",
        "usage_type": "EU-DataTransfer-Out-Bytes",
        "operation": "GetObject",
        "usage_gb": gb,
        "egress_gb": gb,
        "cost_usd": price * gb,
        "expected_usage_gb": expected,
        "expected_egress_gb": expected,
        "expected_cost_usd": price * expected,
        "expected_spread_gb": 1.0,
        "is_provisional": False,
        "is_estimated": False,
        "is_complete": True,
        "is_daily": False,
        "beyond_habit_log": 3.0,
        "ratio": gb / expected if expected else gb,
        "hour_of_day": float(hour % 24),
    } | other


def hot(first: int, hours: int, gb: float = 80.0, **other: Any) -> list[Row]:
    """Return anomalous hours in a row."""
    return [row(first + hour, gb, **other) for hour in range(hours)]


def table(rows: Sequence[Row]) -> pa.Table:
    """Return rows as a table of features, sorted."""
    features = pa.Table.from_pylist(list(rows))
    singles = dict.fromkeys(("beyond_habit_log", "ratio", "hour_of_day"), pa.float32())
    kinds = {"hour_utc": pa.timestamp("us", tz="UTC")} | singles
    return sort_rows(features.cast(pa.schema([(f.name, kinds.get(f.name, f.type)) for f in features.schema])))


class RatioScorer:
    """A row is anomalous where `ratio` is above 1, the more the larger it is."""

    def __init__(self, calibration: Mapping[str, Any] | None = None) -> None:
        self._calibration = calibration
        self.columns: set[tuple[str, ...]] = set()
        self.rows_scored: list[int] = []
        self.rows_explained: list[int] = []
        self.explains = True

    def score(self, features: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        self.columns.add(tuple(features.column_names))
        self.rows_scored.append(features.num_rows)
        scores = 0.5 - 0.5 * features["ratio"].to_numpy().astype(np.float64)
        return (scores < 0).astype(np.int8), scores

    def manifest(self, features: pa.Table) -> Mapping[str, Any]:
        assert features.num_rows == 1
        return {"files": {"model.joblib": "0123456789abcdef" * 4}, "calibration": self._calibration}

    def attributions(self, features: pa.Table) -> tuple[np.ndarray, Mapping[str, np.ndarray]] | None:
        self.rows_explained.append(features.num_rows)
        if not self.explains:
            return None
        ones = np.ones(features.num_rows)
        return self.score(features)[1], {"ratio": 3 * ones, "hour_of_day": ones, "beyond_habit_log": 0 * ones}


class ClaimedAlerts(AlertsInMemory):
    """Alerts whose notification one invocation at a time may send."""

    def __init__(self) -> None:
        super().__init__()
        self.claimed: set[str] = set()

    def claim(self, stored: StoredAlert) -> bool:
        is_free = stored.incident.alert_id not in self.claimed
        self.claimed.add(stored.incident.alert_id)
        return is_free

    def release(self, stored: StoredAlert) -> None:
        self.claimed.remove(stored.incident.alert_id)

    def mark_notified(self, stored: StoredAlert) -> None:
        super().mark_notified(stored)
        self.claimed.remove(stored.incident.alert_id)


class FaultyOutbox(Outbox):
    """Keeps notifications, or raises while it is broken."""

    is_broken = False

    broken_team: str | None = None

    def publish(self, notification: Notification) -> None:
        if self.is_broken or notification.body["team"] == self.broken_team:
            raise ConnectionError("the topic does not answer")
        super().publish(notification)


@dataclass
class Detection:
    """What a detector keeps between its runs."""

    policy: Policy = field(default_factory=Policy)
    scorer: RatioScorer = field(default_factory=RatioScorer)
    rows: RowsInMemory = field(default_factory=RowsInMemory)
    store: ClaimedAlerts = field(default_factory=ClaimedAlerts)
    outbox: FaultyOutbox = field(default_factory=FaultyOutbox)
    owners: Sequence[OwnerRule] = ()
    find_changes: Any = None

    def run(self, rows: Sequence[Row], start: int, end: int, calendar: Sequence[PlannedEvent] = ()) -> Outcome:
        """Run the detector on the rows of the hours [start, end), counted from FIRST."""
        window = Window(FIRST + start, FIRST + end)
        inside = [r for r in rows if start <= (r["hour_utc"].timestamp() // 3600 - FIRST) < end]
        features = table(inside or [row(start, gb=1.0)])
        detector = Detector(
            self.policy, self.scorer, self.rows, self.store, self.outbox, self.owners, self.find_changes
        )
        return detector.run(window, features, {"ratio": "the rise over the usual GB"}, calendar)

    @property
    def alerts(self) -> list[Alert]:
        """All alerts, in the order in which they were stored first."""
        return [stored.alert for stored in self.store.all()]

    @property
    def alert(self) -> Alert:
        """The only alert."""
        (alert,) = self.alerts
        return alert
