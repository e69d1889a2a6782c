"""One run of the detector: features of a window, scores, incidents, alerts, one notification.

Where rows and alerts are kept and how people are notified is the caller's: DynamoDB, S3 and SNS in AWS, memory and a
folder on one machine.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from egress_alerts.alert import build_alert, worst_hour
from egress_alerts.incidents import GATHERING_HOURS, find_incidents
from egress_alerts.message import render_message, render_subject
from egress_alerts.model import model_id, model_reasons, p_values
from egress_alerts.planned import match_planned_event
from egress_alerts.policy import SEVERITIES
from egress_alerts.rows import add_scores, anomalous_features, anomalous_hours, feature_names
from egress_alerts.verdicts import LONGEST_REMEMBERED_HOURS, suppressed_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import pyarrow as pa

    from egress_alerts.alert import Alert
    from egress_alerts.incidents import Hour, Incident
    from egress_alerts.model import Scorer
    from egress_alerts.planned import PlannedEvent
    from egress_alerts.policy import Policy
    from egress_alerts.series import Series, Window
    from egress_alerts.verdicts import Verdict


@dataclass
class StoredAlert:
    """An incident, the alert built from it, and what people have been notified of.

    `version` counts the writes, and 0 is an alert that was never written. `claimed_until` is the second of the epoch
    until which another invocation may be about to notify.
    """

    incident: Incident
    alert: Alert
    model_reason: str = ""
    version: int = 0
    notified_severity: str = ""
    claimed_until: int = 0


class ScoredRows(Protocol):
    """Keeps scored rows."""

    def replace(self, window: Window, rows: pa.Table) -> None:
        """Put rows in the place of all rows of the window."""

    def between(self, start: int, end: int) -> pa.Table:
        """Return the rows of the hours [start, end); an empty table without columns when there are none."""


class AlertStore(Protocol):
    """Keeps alerts and verdicts."""

    def since(self, places: Iterable[tuple[str, str]], hour: int) -> list[StoredAlert]:
        """Return the alerts of these (account, region) that ended at `hour` or later, by detection and id."""

    def verdicts(self, places: Iterable[tuple[str, str]], hour: int) -> list[Verdict]:
        """Return the verdicts on alerts of these (account, region) that ended at `hour` or later."""

    def put(self, stored: StoredAlert) -> None:
        """Write an alert and count its version up; fails when another invocation wrote it meanwhile."""

    def claim(self, stored: StoredAlert) -> bool:
        """Reserve the notification of an alert for this invocation; False when another one has it."""

    def release(self, stored: StoredAlert) -> None:
        """Give a claim back: the notification failed."""

    def mark_notified(self, stored: StoredAlert) -> None:
        """Remember that people were notified, and of which severity."""


class Notifier(Protocol):
    """Sends a notification to people."""

    def publish(self, subject: str, message: str) -> None:
        """Send it, or raise."""


@dataclass(frozen=True)
class Outcome:
    """What a run did; `usd_per_day_at_stake` adds up the new and the grown alerts.

    `suppressed` says by alert id why nobody was notified.
    """

    rows_scored: int = 0
    new_alerts: list[str] = field(default_factory=list)
    updated_alerts: list[str] = field(default_factory=list)
    usd_per_day_at_stake: float = 0.0
    suppressed: dict[str, str] = field(default_factory=dict)


class Detector:
    """Turns features into alerts.

    Parameters
    ----------
    policy : Policy
    scorer : Scorer
    scored_rows : ScoredRows
    store : AlertStore
    notifier : Notifier
    """

    def __init__(
        self, policy: Policy, scorer: Scorer, scored_rows: ScoredRows, store: AlertStore, notifier: Notifier
    ) -> None:
        self._policy = policy
        self._scorer = scorer
        self._scored_rows = scored_rows
        self._store = store
        self._notifier = notifier

    def run(
        self,
        window: Window,
        features: pa.Table,
        descriptions: Mapping[str, str],
        calendar: Sequence[PlannedEvent] = (),
    ) -> Outcome:
        """Score the rows of a window and notify people of what is new.

        A second run changes nothing: scored rows are replaced, incidents are decided from what was there before the
        window, and no notification is sent twice.

        Parameters
        ----------
        window : Window
        features : pa.Table
            The window's rows, sorted by hour and series; at least one.
        descriptions : mapping
            What each feature means, by name.
        calendar : sequence of PlannedEvent
        """
        return self.decide(window, self.score(features), descriptions, calendar)

    def score(self, features: pa.Table) -> pa.Table:
        """Return rows, at least one, with their scores and the id of the model that gave them."""
        asked = features.select(feature_names(features))
        is_anomaly, anomaly_score = self._scorer.score(asked)
        manifest = self._scorer.manifest(asked.slice(0, 1))
        return add_scores(features, is_anomaly, anomaly_score, p_values(manifest, anomaly_score), model_id(manifest))

    def decide(
        self, window: Window, scored: pa.Table, descriptions: Mapping[str, str], calendar: Sequence[PlannedEvent] = ()
    ) -> Outcome:
        """Decide on the scored rows of a window and notify people of what is new; see `run`."""
        self._scored_rows.replace(window, scored)
        known = self._known(scored, window, calendar)
        changed = self._changed(window, scored, known)
        self._build_alerts(changed, scored, descriptions)
        self._suppress(changed, known, window, calendar)
        is_new = {stored.incident.alert_id: stored.version == 0 for stored in changed}
        for stored in changed:
            self._store.put(stored)
        self._notify([*changed, *(stored for stored in known if stored.incident.alert_id not in is_new)])
        notified = [stored for stored in changed if not stored.alert["suppressed_by"]]
        return Outcome(
            scored.num_rows,
            [stored.incident.alert_id for stored in notified if is_new[stored.incident.alert_id]],
            [alert_id for alert_id, new in is_new.items() if not new],
            sum(stored.alert["excess_cost_usd_per_day"] for stored in notified),
            {s.incident.alert_id: s.alert["suppressed_by"] for s in changed if s.alert["suppressed_by"]},
        )

    def _known(self, scored: pa.Table, window: Window, calendar: Sequence[PlannedEvent]) -> list[StoredAlert]:
        places = set(zip(scored["account_id"].to_pylist(), scored["region"].to_pylist(), strict=True))
        since = window.start - self._policy.incident_gap_hours
        # What earlier incidents have used of a plan that still runs counts as well.
        running = [event.start for event in calendar if event.start < window.end and event.end > since]
        return self._store.since(places, min([since, *running]))

    def _changed(self, window: Window, scored: pa.Table, known: list[StoredAlert]) -> list[StoredAlert]:
        """Return the alerts that are new or differ from what is stored; their records are not built yet."""
        # An incident that was found inside the window is found again, from its hours before it.
        before = [s.incident.before(window.start) for s in known if s.incident.detected < window.start]
        past = self._scored_rows.between(window.start - GATHERING_HOURS, window.start)
        found = find_incidents(
            self._policy,
            [incident for incident in before if incident.members],
            anomalous_hours(past, self._policy),
            anomalous_hours(scored, self._policy),
        )
        self._keep_ids(found, known, window)
        by_id = {stored.incident.alert_id: stored for stored in known}
        merged = [_merged(incident, by_id.get(incident.alert_id), window) for incident in found]
        return [stored for stored in merged if stored is not None]

    def _keep_ids(self, found: list[Incident], known: list[StoredAlert], window: Window) -> None:
        """Keep the id that people know when an incident now begins at another hour.

        An estimate and the bill, or a bill and its restatement, may differ on which hour is the first one.
        """
        ids = {incident.alert_id for incident in found}
        lost = [s.incident for s in known if s.incident.detected >= window.start and s.incident.alert_id not in ids]
        stored_ids = {stored.incident.alert_id for stored in known}
        gap = self._policy.incident_gap_hours
        for incident in found:
            if incident.alert_id in stored_ids:
                continue
            same = next((other for other in lost if _is_same(incident, other, gap)), None)
            if same is not None:
                lost.remove(same)
                incident.alert_id = same.alert_id

    def _build_alerts(self, changed: list[StoredAlert], scored: pa.Table, descriptions: Mapping[str, str]) -> None:
        """Ask the model why, once for all worst hours that have no reason yet, and build the records."""
        unexplained = [stored for stored in changed if not stored.model_reason]
        rows = self._features_of([worst_hour(stored.incident) for stored in unexplained], scored)
        explained = [stored for stored, row in zip(unexplained, rows, strict=True) if row]
        reasons = model_reasons(self._scorer, [row for row in rows if row], descriptions)
        for stored, reason in zip(explained, reasons, strict=True):
            stored.model_reason = reason
        identity = scored["model_id"][0].as_py()
        for stored in changed:
            stored.alert = build_alert(stored.incident, self._policy, stored.model_reason, identity)

    def _features_of(self, hours: list[Hour], scored: pa.Table) -> list[dict[str, float]]:
        """Return the features of hours, from the rows just scored or those of the day before."""
        if not hours:
            return []
        first = min(hour.hour for hour in hours)
        wanted = {(hour.hour, hour.series) for hour in hours}
        found: dict[tuple[int, Series], dict[str, float]] = {}
        for table in (self._scored_rows.between(first, first + 1), scored):
            found |= {key: row for key, row in anomalous_features(table, self._policy) if key in wanted}
        return [found.get((hour.hour, hour.series), {}) for hour in hours]

    def _suppress(
        self,
        changed: list[StoredAlert],
        known: list[StoredAlert],
        window: Window,
        calendar: Sequence[PlannedEvent],
    ) -> None:
        """Mark the alerts that a verdict or the calendar suppresses; state in the others what exceeds a plan."""
        places = {(stored.alert["account_id"], stored.alert["region"]) for stored in changed}
        verdicts = self._store.verdicts(places, window.start - 2 * LONGEST_REMEMBERED_HOURS)
        by_id = {stored.incident.alert_id: stored.incident for stored in [*known, *changed]}
        incidents = sorted(by_id.values(), key=lambda incident: (incident.detected, incident.alert_id))
        for stored in changed:
            earlier = incidents[: incidents.index(stored.incident)]
            planned, overrun = match_planned_event(stored.incident, earlier, calendar, self._policy)
            stored.alert["suppressed_by"] = suppressed_by(stored.alert, verdicts) or planned
            stored.alert["reasons"] += [overrun] if overrun else []

    def _notify(self, candidates: list[StoredAlert]) -> None:
        """Publish the alerts whose severity people do not know yet, worst first, and remember that.

        What another invocation has claimed is left to it, and to a later run should that one die. After a crash between
        publishing and remembering, the next run notifies once more: a page too many, never one too few.
        """
        due = [
            stored
            for stored in candidates
            if not stored.alert["suppressed_by"]
            and _rank(stored.alert["severity"]) > _rank(stored.notified_severity)
            and self._store.claim(stored)
        ]
        if not due:
            return
        due.sort(key=lambda s: (-_rank(s.alert["severity"]), -s.alert["excess_cost_usd_per_day"], -s.alert["usage_gb"]))
        alerts = [stored.alert for stored in due]
        raised = {stored.alert["alert_id"]: stored.notified_severity for stored in due if stored.notified_severity}
        try:
            self._notifier.publish(render_subject(alerts), render_message(alerts, raised))
        except Exception:
            for stored in due:
                self._store.release(stored)
            raise
        for stored in due:
            self._store.mark_notified(stored)


def _merged(incident: Incident, stored: StoredAlert | None, window: Window) -> StoredAlert | None:
    unbuilt: Any = {}
    if stored is None:
        return StoredAlert(incident, unbuilt)
    incident.add(stored.incident.since(window.end))
    # Scored out of order, the same hours may have opened it later than they do in order.
    if (incident.detected, incident.hours) == (stored.incident.detected, stored.incident.hours):
        return None
    is_same_worst = worst_hour(incident) == worst_hour(stored.incident)
    reason = stored.model_reason if is_same_worst else ""
    return StoredAlert(incident, unbuilt, reason, stored.version, stored.notified_severity, stored.claimed_until)


def _is_same(one: Incident, other: Incident, gap: int) -> bool:
    is_near = one.start - other.end <= gap and other.start - one.end <= gap
    return is_near and not one.members.keys().isdisjoint(other.members.keys())


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity else -1
