"""One invocation: features of a window, scores, incidents, alerts, one message."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from anomaly_detector.alert_store import Stored
from anomaly_detector.alerts import alert_of, worst_hour
from anomaly_detector.attribution import model_reasons
from anomaly_detector.feature_rows import FeatureError, feature_descriptions, feature_names, read_features
from anomaly_detector.feedback import LONGEST_REMEMBERED_HOURS, quieted_by
from anomaly_detector.hours import hour_number
from anomaly_detector.incidents import GATHERING_HOURS, Hour, Incident, Series, find_incidents
from anomaly_detector.manifest import model_id_of, p_values
from anomaly_detector.message import message_of, subject_of
from anomaly_detector.planned import PlannedEvent, answer_of, read_calendar
from anomaly_detector.scored_rows import anomalous, with_scores
from anomaly_detector.settings import SEVERITIES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from anomaly_detector.alert_store import AlertStore
    from anomaly_detector.endpoint import Endpoint
    from anomaly_detector.scored_rows import ScoredRows
    from anomaly_detector.settings import Policy, Settings
    from anomaly_detector.window import Window


@dataclass(frozen=True)
class Outcome:
    """What an invocation did; `usd_per_day_at_stake` adds up the new and the grown alerts.

    `quiet` says by alert id why it was not told.
    """

    rows_scored: int
    new_alerts: list[str]
    updated_alerts: list[str]
    usd_per_day_at_stake: float
    quiet: dict[str, str]


class Detector:
    """Everything an invocation needs, made once for a function instance."""

    def __init__(
        self, settings: Settings, s3: Any, endpoint: Endpoint, scored_rows: ScoredRows, store: AlertStore, sns: Any
    ) -> None:
        self._settings = settings
        self._s3 = s3
        self._endpoint = endpoint
        self._scored_rows = scored_rows
        self._store = store
        self._sns = sns

    def run(self, window: Window) -> Outcome:
        """Score a window of hours and tell people what is new.

        Doing it again changes nothing: scored rows are replaced, incidents are decided from what stood before the
        window, and what has been told is not told again.

        Raises
        ------
        FeatureError
            No features for hours that somebody asked for.
        EndpointError, ClientError
            Something did not work; nothing is lost, and a retry takes it from there.
        """
        settings = self._settings
        features = read_features(self._s3, settings.bucket, settings.features_prefix, window)
        if features.num_rows == 0:
            if window.may_be_empty:
                return Outcome(0, [], [], 0.0, {})
            where = f"s3://{settings.bucket}/{settings.features_prefix}"
            raise FeatureError(f"there are no features from {window} under {where}day=YYYY-MM-DD/")
        asked = features.select(feature_names(features))
        is_anomaly, anomaly_score = self._endpoint.score(asked)
        manifest = self._endpoint.manifest(asked.slice(0, 1))
        p_value = p_values(manifest, anomaly_score)
        scored = with_scores(features, is_anomaly, anomaly_score, p_value, model_id_of(manifest))
        self._scored_rows.replace(window, scored)
        calendar = read_calendar(self._s3, settings.bucket, settings.planned_events_key)
        known = self._known_incidents(features, window, calendar)
        changed = self._decide(window, scored, known)
        self._write_reasons(changed, scored, manifest)
        self._quiet(changed, window)
        self._answer_planned(changed, known, calendar)
        is_new = {stored.incident.alert_id: stored.version == 0 for stored in changed}
        for stored in changed:
            self._store.put(stored)
        self._tell([*changed, *(s for s in known if s.incident.alert_id not in is_new)])
        return Outcome(
            features.num_rows,
            [s.incident.alert_id for s in changed if is_new[s.incident.alert_id] and not s.alert["quieted_by"]],
            [alert_id for alert_id, new in is_new.items() if not new],
            sum(s.alert["excess_cost_usd_per_day"] for s in changed if not s.alert["quieted_by"]),
            {s.incident.alert_id: s.alert["quieted_by"] for s in changed if s.alert["quieted_by"]},
        )

    def _known_incidents(self, features: pa.Table, window: Window, calendar: Sequence[PlannedEvent]) -> list[Stored]:
        pairs = set(zip(features["account_id"].to_pylist(), features["region"].to_pylist(), strict=True))
        since = window.start - self._settings.policy.incident_gap_hours
        # What earlier incidents have used of a plan that still runs counts as well.
        running = [event.start for event in calendar if event.start < window.end and event.end > since]
        return self._store.since(pairs, min([since, *running]))

    def _decide(self, window: Window, scored: pa.Table, known: list[Stored]) -> list[Stored]:
        """Return the alerts that are new or differ from what is stored."""
        # An incident that was found inside the window is found again, from its hours before it.
        before = [s.incident.before(window.start) for s in known if s.incident.detected < window.start]
        past = self._scored_rows.between(window.start - GATHERING_HOURS, window.start)
        found = find_incidents(
            self._settings.policy,
            [incident for incident in before if incident.members],
            _hours(past, self._settings.policy),
            _hours(scored, self._settings.policy),
        )
        by_id = {stored.incident.alert_id: stored for stored in known}
        self._keep_ids(found, known, window)
        merged = [self._merged(incident, by_id.get(incident.alert_id), window) for incident in found]
        return [stored for stored in merged if stored is not None]

    def _keep_ids(self, found: list[Incident], known: list[Stored], window: Window) -> None:
        """Let an incident that begins at another hour since the window was scored last keep the id that people know.

        An estimate and the bill, or a bill and its restatement, may differ on which hour is the first one.
        """
        ids = {incident.alert_id for incident in found}
        lost = [s.incident for s in known if s.incident.detected >= window.start and s.incident.alert_id not in ids]
        stored_ids = {stored.incident.alert_id for stored in known}
        gap = self._settings.policy.incident_gap_hours
        for incident in found:
            if incident.alert_id in stored_ids:
                continue
            same = next((other for other in lost if _is_same(incident, other, gap)), None)
            if same is not None:
                lost.remove(same)
                incident.alert_id = same.alert_id

    def _merged(self, incident: Incident, stored: Stored | None, window: Window) -> Stored | None:
        if stored is None:
            return Stored(incident, {}, "")
        incident.add(stored.incident.since(window.end))
        if incident.hours == stored.incident.hours:
            return None
        is_same_worst = worst_hour(incident) == worst_hour(stored.incident)
        reason = stored.model_reason if is_same_worst else ""
        return Stored(incident, {}, reason, stored.version, stored.notified_severity, stored.telling_until)

    def _write_reasons(self, changed: list[Stored], scored: pa.Table, manifest: dict[str, Any]) -> None:
        """Ask the endpoint why, once for all worst hours that have not been explained, and make the alerts."""
        unexplained = [stored for stored in changed if not stored.model_reason]
        worst = [worst_hour(stored.incident) for stored in unexplained]
        rows = self._features_of(worst, scored)
        explained = [stored for stored, row in zip(unexplained, rows, strict=True) if row]
        reasons = model_reasons(self._endpoint, [row for row in rows if row], feature_descriptions(scored))
        for stored, reason in zip(explained, reasons, strict=True):
            stored.model_reason = reason
        model_id = model_id_of(manifest)
        for stored in changed:
            alert = alert_of(stored.incident, self._settings.policy, stored.model_reason)
            stored.alert = alert | {"model_id": model_id}

    def _quiet(self, changed: list[Stored], window: Window) -> None:
        """Mark the alerts that an earlier judgement answers."""
        pairs = {(stored.alert["account_id"], stored.alert["region"]) for stored in changed}
        judgements = self._store.judgements(pairs, window.start - 2 * LONGEST_REMEMBERED_HOURS)
        for stored in changed:
            stored.alert["quieted_by"] = quieted_by(stored.alert, judgements)

    def _answer_planned(self, changed: list[Stored], known: list[Stored], calendar: Sequence[PlannedEvent]) -> None:
        """Mark the alerts that were planned, and say in the others what goes beyond a plan."""
        by_id = {stored.incident.alert_id: stored.incident for stored in [*known, *changed]}
        incidents = sorted(by_id.values(), key=lambda incident: (incident.detected, incident.alert_id))
        for stored in changed:
            earlier = incidents[: incidents.index(stored.incident)]
            quiet, beyond = answer_of(stored.incident, earlier, calendar, self._settings.policy)
            stored.alert["quieted_by"] = stored.alert["quieted_by"] or quiet
            stored.alert["reasons"] += [beyond] if beyond else []

    def _features_of(self, hours: list[Hour], scored: pa.Table) -> list[dict[str, float]]:
        """Find the features of hours among those just scored, else among those of the day before."""
        if not hours:
            return []
        first = min(hour.hour for hour in hours)
        tables = [self._scored_rows.between(first, first + 1), scored]
        wanted = {(hour.hour, hour.series) for hour in hours}
        found: dict[tuple[int, Series], dict[str, float]] = {}
        for table in tables:
            unusual = anomalous(table, self._settings.policy.max_p_value)
            found |= {key: row for key, row in _feature_rows(unusual) if key in wanted}
        return [found.get((hour.hour, hour.series), {}) for hour in hours]

    def _tell(self, candidates: list[Stored]) -> None:
        """Publish what has not been told at its present severity, worst first, and remember that.

        What another invocation is telling is left to it, and told by a later run should that one die. A crash between
        publishing and remembering tells it once more: a page too many, never one too few.
        """
        told = [stored for stored in candidates if not stored.alert.get("quieted_by")]
        due = [stored for stored in told if _rank(stored.alert["severity"]) > _rank(stored.notified_severity)]
        due = [stored for stored in due if self._store.claim(stored)]
        if not due:
            return
        due.sort(key=lambda s: (-_rank(s.alert["severity"]), -s.alert["excess_cost_usd_per_day"], -s.alert["usage_gb"]))
        alerts = [stored.alert for stored in due]
        raised = {s.alert["alert_id"]: s.notified_severity for s in due if s.notified_severity}
        try:
            self._sns.publish(
                TopicArn=self._settings.topic_arn, Subject=subject_of(alerts), Message=message_of(alerts, raised)
            )
        except Exception:
            for stored in due:
                self._store.give_up(stored)
            raise
        for stored in due:
            self._store.mark_notified(stored)


def _is_same(one: Incident, other: Incident, gap: int) -> bool:
    is_near = one.start - other.end <= gap and other.start - one.end <= gap
    return is_near and not one.members.keys().isdisjoint(other.members.keys())


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity) if severity else -1


def _hours(scored: pa.Table, policy: Policy) -> list[Hour]:
    rows = anomalous(scored, policy.max_p_value).to_pylist()
    # Rows that an earlier version scored may lack a measure: they are the day before, and count for nothing.
    return [_hour(row) for row in rows if row.get("three_day_excess_gb") is not None]


def _hour(row: dict[str, Any]) -> Hour:
    return Hour(
        hour=hour_number(row["hour_utc"]),
        series=_series(row),
        usage_gb=round(row["usage_gb"], 6),
        expected_usage_gb=round(row["expected_usage_gb"], 6),
        egress_gb=round(row["egress_gb"], 6),
        expected_egress_gb=round(row["expected_egress_gb"], 6),
        cost_usd=round(row["cost_usd"], 6),
        expected_cost_usd=round(row["expected_cost_usd"], 6),
        anomaly_score=row["anomaly_score"],
        usage_type=row["usage_type"],
        operation=row["operation"],
        is_provisional=row["is_provisional"],
        is_estimated=bool(row["is_estimated"]),
        three_day_excess_gb=round(row["three_day_excess_gb"], 6),
        usual_three_day_excess_gb=round(row["usual_three_day_excess_gb"], 6),
        steady_excess_gb=round(row["steady_excess_gb"], 6),
        usual_steady_excess_gb=round(row["usual_steady_excess_gb"], 6),
        p_value=row.get("p_value"),
    )


def _series(row: dict[str, Any]) -> Series:
    return Series(row["account_id"], row["region"], row["service"], row["egress_class"], row["resource_id"])


def _feature_rows(table: pa.Table) -> list[tuple[tuple[int, Series], dict[str, float]]]:
    names = feature_names(table)
    return [
        ((hour_number(row["hour_utc"]), _series(row)), {name: row[name] for name in names}) for row in table.to_pylist()
    ]
