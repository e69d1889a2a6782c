"""One invocation: it turns features into scored rows and scored rows into alerts, and leaves nothing half done.

An invocation may be killed at any call, run at the same time as others, and run again. It writes a day's rows only if
no other invocation wrote the day since it was read. It decides its alerts from stored rows, from the first hour of its
window to the last scored day. It writes them only if no other invocation changed rows or alerts meanwhile. Otherwise it
starts over.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from anomaly_detector.alert_store import AlertStore
from anomaly_detector.change_log import LONGEST_SECONDS, ChangeLog
from anomaly_detector.endpoint import RefusedError
from anomaly_detector.errors import AlertSizeError, ConflictError
from anomaly_detector.feature_rows import FeatureError, feature_descriptions, read_features
from anomaly_detector.scored_rows import ScoredRows
from egress_alerts.detector import Detector, Outcome
from egress_alerts.planned import read_calendar
from egress_alerts.routing import read_owners
from egress_alerts.rows import KEYS, in_hours
from egress_alerts.series import Window, parse_hour

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from anomaly_detector.endpoint import Endpoint
    from anomaly_detector.feature_rows import Features
    from anomaly_detector.feature_store import FeatureStore
    from anomaly_detector.scored_rows import Stored
    from anomaly_detector.settings import Settings
    from anomaly_detector.topic import Topic
    from egress_alerts.changes import FindChanges
    from egress_alerts.planned import PlannedEvent
    from egress_alerts.routing import OwnerRule

_ATTEMPTS = 50
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Runner:
    """The state that invocations share, made once for a function instance.

    Parameters
    ----------
    settings : Settings
    s3 : S3 client
    table : DynamoDB table
        The alerts table.
    endpoint : Endpoint
    topic : Topic
    clock, sleep : callable
        As in `time`.
    feature_store : FeatureStore, optional
        Gets the latest features of each series.
    cloudtrail : callable, optional
        Returns the CloudTrail client of a region. None if changes are not looked up.
    """

    settings: Settings
    s3: Any
    table: Any
    endpoint: Endpoint
    topic: Topic
    clock: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep
    feature_store: FeatureStore | None = None
    cloudtrail: Callable[[str], Any] | None = None

    def run(self, window: Window, owner: str, deadline: float) -> Outcome:
        """Score a window and notify people of new alerts and changes. A second run changes nothing.

        Parameters
        ----------
        window : Window
        owner : str
            Identifies the invocation and its retries: Lambda's request id.
        deadline : float
            The second of the epoch after which the invocation cannot be alive.

        Raises
        ------
        FeatureError
            The window must have features and has none. Or some files cannot be used: the others were scored, and
            people were notified.
        ConflictError
            Other invocations wrote the same rows or alerts in each of 50 attempts.
        """
        settings = self.settings
        store = AlertStore(
            self.table,
            owner,
            deadline,
            self.clock,
            s3=self.s3,
            bucket=settings.bucket,
            prefix=settings.alerts_prefix,
        )
        rows = ScoredRows(self.s3, settings.bucket, settings.scored_prefix)
        find_changes = self._find_changes(deadline)
        detector = Detector(settings.policy, self.endpoint, rows, store, self.topic, self._owners(), find_changes)
        started = self.clock()
        features, scored = self._until_alone(lambda: self._score(window, detector, rows))
        outcome = Outcome()
        if scored:
            store.begin()
            calendar = self._calendar()
            descriptions = feature_descriptions(features.table)
            outcome = self._until_alone(
                lambda: self._decide(window, detector, rows, store, descriptions, calendar), store.reread
            )
        if self.feature_store is not None:  # after the notifications, which it must not delay
            self.feature_store.ingest(features.table, started)
        if features.faults:
            raise FeatureError(_faults_text(features.faults))
        return replace(outcome, rows_scored=scored)

    def _find_changes(self, deadline: float) -> FindChanges | None:
        """Return the function that looks up the changes before an incident, in at most half of the remaining time."""
        if self.cloudtrail is None:
            return None
        now = self.clock()
        until = now + min(LONGEST_SECONDS, (deadline - now) / 2)
        return ChangeLog(self.cloudtrail, self.settings.account_id, until, self.clock, self.sleep).find

    def _score(self, window: Window, detector: Detector, rows: ScoredRows) -> tuple[Features, int]:
        """Score the window's features, write the rows, and return how many there are."""
        # Stored rows are read before the features, so that rows of older features never replace rows of newer ones.
        stored = rows.read(window.days)
        features = read_features(self.s3, self.settings.bucket, self.settings.features_prefix, window)
        if features.table.num_rows == 0:
            if not (window.may_be_empty or features.faults):
                where = f"s3://{self.settings.bucket}/{self.settings.features_prefix}"
                raise FeatureError(f"there are no features from {window} under {where}day=YYYY-MM-DD/")
            return features, 0
        scored = _scored(detector, features)
        if scored.num_rows:
            rows.write(window, _with_earlier_rows(scored, window, features, stored), stored)
        return features, scored.num_rows

    def _decide(
        self,
        window: Window,
        detector: Detector,
        rows: ScoredRows,
        store: AlertStore,
        descriptions: Mapping[str, str],
        calendar: list[PlannedEvent],
    ) -> Outcome:
        """Decide on stored rows from the window's first hour on, because alerts of later days may depend on them."""
        scored = rows.since(window, self.settings.policy)
        last = max(scored["hour_utc"].to_pylist())
        end = max(window.end, parse_hour(f"{last:%Y-%m-%d}T00:00:00Z") + 24)
        try:
            outcome = detector.decide(Window(window.start, end), scored, descriptions, calendar)
        except AlertSizeError:
            # The other alerts are written, even if no notification was due.
            store.commit()
            raise
        store.commit()
        return outcome

    def _calendar(self) -> list[PlannedEvent]:
        """Read the calendar of planned events. It is empty if no key is set."""
        key = self.settings.planned_events_key
        return read_calendar(self._read(key)) if key else []

    def _owners(self) -> list[OwnerRule]:
        """Read the owner rules. There are none if no key is set."""
        key = self.settings.owners_key
        return read_owners(self._read(key)) if key else []

    def _read(self, key: str) -> str:
        body: bytes = self.s3.get_object(Bucket=self.settings.bucket, Key=key)["Body"].read()
        return body.decode()

    def _until_alone(self, work: Callable[[], _Result], before_retry: Callable[[], None] | None = None) -> _Result:
        """Do work, and start over each time another invocation has changed the data that it read."""
        for attempt in range(_ATTEMPTS - 1):
            try:
                return work()
            except ConflictError:
                longest = min(_FIRST_PAUSE_SECONDS * 2**attempt, _LONGEST_PAUSE_SECONDS)
                self.sleep(longest * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
                if before_retry is not None:
                    before_retry()
        return work()


def _scored(detector: Detector, features: Features) -> pa.Table:
    """Score all rows at once. If the model refuses them, score file by file, so that one file does not stop others."""
    try:
        return detector.score(features.table)
    except RefusedError:
        tables = _scored_by_file(detector, features)
        if not tables:
            raise
    return pa.concat_tables(tables, promote_options="permissive")


def _scored_by_file(detector: Detector, features: Features) -> list[pa.Table]:
    tables = []
    for number, (address, day) in enumerate(features.files if len(features.files) > 1 else ()):
        part = features.of_file(number)
        try:
            tables += [detector.score(part)] if part.num_rows else []
        except RefusedError as error:
            features.add_fault(address, day, str(error))
    return tables


def _with_earlier_rows(scored: pa.Table, window: Window, features: Features, stored: Mapping[str, Stored]) -> pa.Table:
    """Add the rows that were stored earlier for days with a faulty file, except those that have a newer row."""
    tables = [scored]
    keys = set(zip(*(scored[name].to_pylist() for name in KEYS), strict=True)) if features.faulty_days else set()
    for day in sorted(features.faulty_days):
        old = stored[day].rows
        if old is not None:
            earlier = in_hours(old, window.start, window.end)
            of_row = zip(*(earlier[name].to_pylist() for name in KEYS), strict=True)
            tables.append(earlier.filter(pa.array([key not in keys for key in of_row], pa.bool_())))
    return pa.concat_tables(tables, promote_options="permissive")


def _faults_text(faults: Mapping[str, str]) -> str:
    found = "; ".join(f"{address}: {reason}" for address, reason in faults.items())
    files = "1 feature file" if len(faults) == 1 else f"{len(faults)} feature files"
    return f"{files} could not be used; all others were scored. Fix the file and upload it again. {found}"
