"""One run of the detector: features of a window, scores, incidents, alerts, one notification.

Where rows and alerts are kept and how people are notified is the caller's: DynamoDB, S3 and SNS in AWS, memory and a
folder on one machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pyarrow as pa

from egress_alerts.alert import (
    MAX_CONTRIBUTORS,
    build_alert,
    close_alert,
    contributors_of,
    lead_of,
    leading_series,
    worst_hour,
)
from egress_alerts.hours import Incident
from egress_alerts.incidents import GATHERING_HOURS, REST_HOURS, find_incidents
from egress_alerts.lifecycle import NEW, Notified, change_to_notify, excess_usd, state_of
from egress_alerts.message import is_digest
from egress_alerts.model import model_id, model_reasons, p_values
from egress_alerts.notification import Notification, build_notification
from egress_alerts.planned import match_planned_event
from egress_alerts.policy import SEVERITIES
from egress_alerts.routing import find_owner
from egress_alerts.rows import (
    BACKGROUND_HOURS,
    add_scores,
    anomalous_features,
    anomalous_hours,
    background_of,
    expected_usd_per_day,
    feature_names,
    in_hours,
    labels_of,
    material,
    spread_of,
    with_quiet_hours,
)
from egress_alerts.series import hour_number
from egress_alerts.verdicts import LONGEST_REMEMBERED_HOURS, suppressed_by

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence, Set

    from egress_alerts.alert import Alert
    from egress_alerts.changes import FindChanges
    from egress_alerts.hours import Hour
    from egress_alerts.model import Scorer
    from egress_alerts.planned import PlannedEvent
    from egress_alerts.policy import Policy
    from egress_alerts.routing import Owner, OwnerRule
    from egress_alerts.series import Labels, Series, Window
    from egress_alerts.verdicts import Verdict

# A notification lists all of its alerts. With more alerts there are several notifications.
_MAX_NOTIFIED_AT_ONCE = 200


@dataclass
class StoredAlert:
    """An incident, the alert built from it, and its state at the last notification (None: not notified yet).

    `version` counts the writes, and 0 is an alert that was never written. `claimed_until` is the second of the epoch
    until which another invocation may be about to notify. A withdrawn alert keeps the hours that it had.
    """

    incident: Incident
    alert: Alert
    model_reason: str = ""
    version: int = 0
    notified: Notified | None = None
    claimed_until: int = 0


class ScoredRows(Protocol):
    """Keeps scored rows."""

    def replace(self, window: Window, rows: pa.Table) -> None:
        """Put rows in the place of all rows of the window."""

    def between(self, start: int, end: int) -> pa.Table:
        """Return the rows of the hours [start, end). Without rows the table has no columns."""


class AlertStore(Protocol):
    """Keeps alerts and verdicts, and in a bucket, if there is one, lists that are too long for alerts."""

    bucket: str

    def since(self, places: Iterable[tuple[str, str]], hour: int) -> list[StoredAlert]:
        """Return the alerts of these (account, region) that ended at `hour` or later, by detection and id."""

    def verdicts(self, places: Iterable[tuple[str, str]], hour: int) -> list[Verdict]:
        """Return the verdicts on alerts of these (account, region) that ended at `hour` or later."""

    def put(self, stored: StoredAlert) -> None:
        """Write an alert and increment its version. It fails if another invocation wrote the alert meanwhile."""

    def keep_list(self, folder: str, records: Sequence[Mapping[str, Any]]) -> str:
        """Write a list and return its key, or "" without a bucket. Equal lists have the same key."""

    def claim(self, stored: StoredAlert) -> bool:
        """Reserve the notification of an alert for this invocation. Return False if another one has it."""

    def release(self, stored: StoredAlert) -> None:
        """Give a claim back: the notification failed."""

    def mark_notified(self, stored: StoredAlert) -> None:
        """Write the state of which people have been notified, and end the claim."""


class Notifier(Protocol):
    """Sends a notification to people."""

    def publish(self, notification: Notification) -> None:
        """Send it, or raise."""


@dataclass(frozen=True)
class Outcome:
    """The result of a run. `usd_per_day_at_stake` is the current cost per day of new and changed alerts.

    `suppressed` has the reason for each suppressed alert, by its id.
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
    owners : sequence of OwnerRule
        Who owns an alert, besides tags.
    find_changes : callable, optional
        Returns `changes` and `changes_note` of an alert. It is called once for each alert that people are notified of.
    """

    def __init__(
        self,
        policy: Policy,
        scorer: Scorer,
        scored_rows: ScoredRows,
        store: AlertStore,
        notifier: Notifier,
        owners: Sequence[OwnerRule] = (),
        find_changes: FindChanges | None = None,
    ) -> None:
        self._policy = policy
        self._scorer = scorer
        self._scored_rows = scored_rows
        self._store = store
        self._notifier = notifier
        self._owners = owners
        self._find_changes = find_changes

    def run(
        self,
        window: Window,
        features: pa.Table,
        descriptions: Mapping[str, str],
        calendar: Sequence[PlannedEvent] = (),
    ) -> Outcome:
        """Score the rows of a window and notify people of new and changed alerts.

        A second run changes nothing. It replaces scored rows, decides incidents from the rows and alerts before the
        window, and sends no notification twice.

        Parameters
        ----------
        window : Window
        features : pa.Table
            The window's rows, sorted by hour and series; at least one.
        descriptions : mapping
            The description of each feature, by name.
        calendar : sequence of PlannedEvent
        """
        return self.decide(window, self.score(features), descriptions, calendar)

    def score(self, features: pa.Table) -> pa.Table:
        """Return rows, at least one, with their scores and the id of the model that gave them."""
        asked = features.select(feature_names(features))
        # Most rows are 0 throughout and score alike: the first of them is asked for all.
        is_asked = material(asked)
        first = int(np.argmin(is_asked))
        is_asked[first] = True
        place = np.cumsum(is_asked) - 1
        place[~is_asked] = place[first]
        flags, answered = self._scorer.score(asked.filter(pa.array(is_asked)))
        is_anomaly, anomaly_score = flags[place], answered[place]
        manifest = self._scorer.manifest(asked.slice(0, 1))
        return add_scores(features, is_anomaly, anomaly_score, p_values(manifest, anomaly_score), model_id(manifest))

    def decide(
        self, window: Window, scored: pa.Table, descriptions: Mapping[str, str], calendar: Sequence[PlannedEvent] = ()
    ) -> Outcome:
        """Decide on the scored rows of a window and notify people of changes, as in `run`."""
        self._scored_rows.replace(window, scored)
        stored = self._known(scored, window, calendar)
        active = [each for each in stored if each.alert["state"] != "withdrawn"]
        clock = _Clock(scored, stored, self._policy)
        found = self._found(window, scored, active)
        changed = _merged(found, stored, window)
        less = _restated_to_less(found, active, window, _model_of(scored))
        changed += [each for each in less if each.incident.members]
        self._build_alerts(changed, scored, descriptions, clock)
        self._suppress(changed, active, window, calendar)
        self._add_changes(changed)
        closed = self._closed(active, changed, less, clock)
        is_new = {each.incident.alert_id: each.version == 0 for each in [*changed, *closed]}
        failures = self._put([*changed, *closed])
        kept = [each for each in active if each.incident.alert_id not in is_new]
        self._notify([each for each in [*changed, *closed, *kept] if each.incident.alert_id not in failures], clock)
        _raise_first(failures)
        shown = [each for each in changed if not each.alert["suppressed_by"]]
        return Outcome(
            scored.num_rows,
            [each.incident.alert_id for each in shown if is_new[each.incident.alert_id]],
            [alert_id for alert_id, new in is_new.items() if not new],
            sum(each.alert["current_usd_per_day"] for each in shown),
            {s.incident.alert_id: s.alert["suppressed_by"] for s in changed if s.alert["suppressed_by"]},
        )

    def _known(self, scored: pa.Table, window: Window, calendar: Sequence[PlannedEvent]) -> list[StoredAlert]:
        places = set(zip(scored["account_id"].to_pylist(), scored["region"].to_pylist(), strict=True))
        # Levels are compared with incidents that ended too long ago to be reopened.
        since = window.start - max(self._policy.incident_gap_hours, REST_HOURS)
        # What earlier incidents have used of a plan that still runs counts as well.
        running = [event.start for event in calendar if event.start < window.end and event.end > since]
        return self._store.since(places, min([since, *running]))

    def _found(self, window: Window, scored: pa.Table, active: list[StoredAlert]) -> list[Incident]:
        """Return the current state of the incidents with hours in the window, under the ids of their stored alerts."""
        # An incident that was found inside the window is found again, from its hours before it.
        before = [s.incident.before(window.start) for s in active if s.incident.detected < window.start]
        before = [incident for incident in before if incident.members]
        past = self._scored_rows.between(window.start - GATHERING_HOURS, window.start)
        hours = [*anomalous_hours(past, self._policy), *anomalous_hours(scored, self._policy)]
        hours = with_quiet_hours(hours, self._scored_rows.between)
        found = find_incidents(
            self._policy,
            before,
            [hour for hour in hours if hour.hour < window.start],
            [hour for hour in hours if hour.hour >= window.start],
        )
        self._keep_ids(found, before, active)
        return found

    def _keep_ids(self, found: list[Incident], before: list[Incident], known: list[StoredAlert]) -> None:
        """Keep the id that people know when an incident now begins at another hour, and give no two the same one.

        An estimate and the bill, or a bill and its restatement, may differ on which hour is the first one.
        """
        went_on = {(incident.alert_id, incident.detected) for incident in before}
        ids, gap = {each.incident.alert_id for each in known}, self._policy.incident_gap_hours
        lost = {each.incident.alert_id: each.incident for each in known}
        for alert_id, _ in went_on:
            del lost[alert_id]
        begun = [incident for incident in found if (incident.alert_id, incident.detected) not in went_on]
        others = []
        for incident in begun:
            own = lost.get(incident.alert_id)
            if own is not None and _is_same(incident, own, gap):
                del lost[own.alert_id]
            else:
                others.append(incident)
        for incident in others:
            same = next((other for other in lost.values() if _is_same(incident, other, gap)), None)
            if same is not None:
                incident.alert_id = lost.pop(same.alert_id).alert_id
                continue
            # Another incident, which once began at this hour, has kept the id.
            while incident.alert_id in ids:
                incident.alert_id = hashlib.sha256(incident.alert_id.encode()).hexdigest()[:16]

    def _build_alerts(
        self, changed: list[StoredAlert], scored: pa.Table, descriptions: Mapping[str, str], clock: _Clock
    ) -> None:
        """Ask the model why, once for all worst hours that have no reason yet, and build the records."""
        self._add_backgrounds([stored.incident for stored in changed if stored.incident.background is None])
        unexplained = [stored for stored in changed if not stored.model_reason]
        rows = self._features_of([worst_hour(stored.incident) for stored in unexplained], scored)
        explained = [stored for stored, row in zip(unexplained, rows, strict=True) if row]
        reasons = model_reasons(self._scorer, [row for row in rows if row], descriptions)
        for stored, reason in zip(explained, reasons, strict=True):
            stored.model_reason = self._with_spread(reason, worst_hour(stored.incident), scored)
        identity = _model_of(scored)
        # The day before has all its hours, whatever window the incident is decided in.
        days = {stored.incident.detected // 24 * 24 for stored in changed}
        expected = {day: expected_usd_per_day(self._scored_rows.between(day - 24, day)) for day in sorted(days)}
        by_day: dict[int, pa.Table] = {}
        for stored in changed:
            incident = stored.incident
            state = state_of(incident, self._policy, clock.data_until(incident))
            usual = expected[incident.detected // 24 * 24]
            labels = self._labels(incident, by_day)
            alert = build_alert(incident, self._policy, stored.model_reason, identity, state, usual, labels)
            # Unbuilt, an alert has no more than its changes, which are looked up once.
            alert.update(stored.alert)
            stored.alert = alert
            if alert["contributor_count"] > MAX_CONTRIBUTORS:
                alert["details_key"] = self._store.keep_list(incident.alert_id, contributors_of(incident))
            alert["owner"], _, alert["owner_source"] = find_owner(alert, self._owners)

    def _labels(self, incident: Incident, by_day: dict[int, pa.Table]) -> Labels:
        """Return the account name and the tags of the leading series, from all rows of its largest hour."""
        lead = leading_series(incident)
        largest = max(incident.members[lead].values(), key=lambda hour: (hour.excess_gb, -hour.hour)).hour
        day = largest - largest % 24
        if day not in by_day:
            by_day[day] = self._scored_rows.between(day, day + 24)
        return labels_of(by_day[day], largest, lead)

    def _add_backgrounds(self, incidents: list[Incident]) -> None:
        """Add the facts from the rows before them to incidents. They depend on no hour after the detection."""
        by_day: dict[int, pa.Table] = {}
        for incident in incidents:
            then = incident.before(incident.detected + 1)
            lead = leading_series(then if then.members else incident)
            start = min(incident.members[lead])
            # Incidents of a storm begin on the same days, whose rows are read once.
            day = start - start % 24
            if day not in by_day:
                by_day[day] = self._scored_rows.between(day - BACKGROUND_HOURS, day + 24)
            incident.background = background_of(in_hours(by_day[day], start - BACKGROUND_HOURS, start), lead, start)

    def _with_spread(self, reason: str, worst: Hour, scored: pa.Table) -> str:
        """Put before the reason how a level's worst hour is spread over resources."""
        if not worst.series.is_level:
            return reason
        tables = (scored, self._scored_rows.between(worst.hour, worst.hour + 1))
        spread = next((text for table in tables if (text := spread_of(table, worst.hour, worst.series))), "")
        return "\n".join(part for part in (spread, reason) if part)

    def _features_of(self, hours: list[Hour], scored: pa.Table) -> list[dict[str, float]]:
        """Return the features of hours, from the rows just scored or those of the day before."""
        wanted = {(hour.hour, hour.series) for hour in hours}
        found = _features_in(scored, wanted, self._policy)
        if missing := {hour for hour, _ in wanted - found.keys()}:
            earlier = self._scored_rows.between(min(missing), max(missing) + 1)
            found |= _features_in(earlier, wanted - found.keys(), self._policy)
        return [found.get((hour.hour, hour.series), {}) for hour in hours]

    def _suppress(
        self,
        changed: list[StoredAlert],
        known: list[StoredAlert],
        window: Window,
        calendar: Sequence[PlannedEvent],
    ) -> None:
        """Mark the alerts that a verdict or the calendar suppresses, and add to the others the excess over a plan."""
        places = {(stored.alert["account_id"], stored.alert["region"]) for stored in changed}
        verdicts = self._store.verdicts(places, window.start - 2 * LONGEST_REMEMBERED_HOURS)
        by_id = {stored.incident.alert_id: stored.incident for stored in [*known, *changed]}
        incidents = sorted(by_id.values(), key=lambda incident: (incident.detected, incident.alert_id))
        for stored in changed:
            earlier = incidents[: incidents.index(stored.incident)]
            planned, overrun = match_planned_event(stored.incident, earlier, calendar, self._policy)
            stored.alert["suppressed_by"] = suppressed_by(stored.alert, verdicts) or planned
            stored.alert["reasons"] += [overrun] if overrun else []

    def _add_changes(self, changed: list[StoredAlert]) -> None:
        """Look up the changes before each incident once, the most urgent incidents first. The alert keeps them."""
        for alert in sorted((stored.alert for stored in changed), key=_urgency):
            is_known = bool(alert["changes"] or alert["changes_note"])
            if self._find_changes and not is_known and not alert["suppressed_by"]:
                alert["changes"], alert["changes_note"] = self._find_changes(alert)

    def _closed(
        self, active: list[StoredAlert], changed: list[StoredAlert], less: list[StoredAlert], clock: _Clock
    ) -> list[StoredAlert]:
        """Return the alerts of incidents that are gone from the bill, or ended without a change of their hours."""
        rebuilt = {each.incident.alert_id for each in changed}
        gone = {each.incident.alert_id for each in less} - rebuilt
        closed = []
        for each in active:
            if each.incident.alert_id in gone:
                closed.append(replace(each, alert=close_alert(each.alert, "withdrawn")))
            elif each.incident.alert_id not in rebuilt:
                state = state_of(each.incident, self._policy, clock.data_until(each.incident))
                if state == "ended" != each.alert["state"]:
                    closed.append(replace(each, alert=close_alert(each.alert, "ended")))
        return closed

    def _put(self, alerts: list[StoredAlert]) -> dict[str, Exception]:
        """Write alerts and return the errors by alert id, so that one alert never stops the others."""
        failures: dict[str, Exception] = {}
        for stored in alerts:
            try:
                self._store.put(stored)
            except Exception as error:
                failures[stored.incident.alert_id] = error
        return failures

    def _notify(self, candidates: list[StoredAlert], clock: _Clock) -> None:
        """Notify people of new changes, with one notification per route, worst first, and store that.

        An alert that another invocation has claimed is left to it, or to a later run if that one dies. After a crash
        between publishing and storing, the next run notifies again: a notification may come twice, but is never lost.
        The error of a route that fails is raised after all other routes, whose notifications are not repeated.
        """
        due = [
            (change, each) for each in candidates if (change := self._change(each, clock)) and self._store.claim(each)
        ]
        due.sort(key=lambda pair: _urgency(pair[1].alert))
        failures = [error for route, part in self._routes(due) if (error := self._publish(route, part, clock))]
        if failures:
            raise failures[0]

    def _routes(self, due: list[tuple[str, StoredAlert]]) -> list[tuple[Owner, list[tuple[str, StoredAlert]]]]:
        """Divide the alerts that are due into notifications of one route each, worst alerts first."""
        by_route: dict[Owner, list[tuple[str, StoredAlert]]] = {}
        for change, each in due:
            owner = find_owner(each.alert, self._owners)
            by_route.setdefault(owner._replace(source=""), []).append((change, each))
        return [
            (route, part[first : first + _MAX_NOTIFIED_AT_ONCE])
            for route, part in by_route.items()
            for first in range(0, len(part), _MAX_NOTIFIED_AT_ONCE)
        ]

    def _publish(self, route: Owner, part: list[tuple[str, StoredAlert]], clock: _Clock) -> Exception | None:
        """Publish one notification and store that, or return the error, so that one route never stops the others."""
        changes = {each.incident.alert_id: change for change, each in part if change != NEW}
        alerts = [each.alert for _, each in part]
        try:
            list_key = self._store.keep_list("digests", alerts) if is_digest(alerts) else ""
            self._notifier.publish(build_notification(alerts, changes, route, self._store.bucket, list_key))
        except Exception as error:
            for _, each in part:
                self._store.release(each)
            return error
        for _, each in part:
            each.notified = _as_notified(each, clock.data_until(each.incident))
            self._store.mark_notified(each)
        return None

    def _change(self, stored: StoredAlert, clock: _Clock) -> str:
        if stored.alert["suppressed_by"]:
            return ""
        incident, alert = stored.incident, stored.alert
        until = clock.data_until(incident)
        return change_to_notify(incident, alert, lead_of(alert), stored.notified, self._policy, until)


class _Clock:
    """For which hours data have arrived: by account, and no less than a stored incident implies."""

    def __init__(self, scored: pa.Table, stored: list[StoredAlert], policy: Policy) -> None:
        latest = scored.group_by("account_id").aggregate([("hour_utc", "max")]).to_pylist()
        self._by_account = {row["account_id"]: hour_number(row["hour_utc_max"]) + 1 for row in latest}
        self._by_alert = {each.incident.alert_id: _implied(each, policy) for each in stored}

    def data_until(self, incident: Incident) -> int:
        """Return the first hour whose data have not arrived."""
        account_id = next(iter(incident.members)).account_id
        known = max(self._by_account.get(account_id, 0), self._by_alert.get(incident.alert_id, 0))
        return max(known, incident.end + 1)


def _implied(stored: StoredAlert, policy: Policy) -> int:
    ended = policy.ended_after_hours if stored.alert["state"] == "ended" else 0
    return max(stored.incident.end + 1 + ended, stored.notified.until if stored.notified else 0)


def _merged(found: list[Incident], stored: list[StoredAlert], window: Window) -> list[StoredAlert]:
    """Return the found incidents that are new or differ from the stored ones, before their records are built."""
    by_id = {each.incident.alert_id: each for each in stored}
    changed = []
    for incident in found:
        known = by_id.get(incident.alert_id)
        if known is not None:
            incident.add(known.incident.since(window.end))
        # Scored out of order, the same hours may have opened it later than they do in order.
        is_same = (
            known is not None
            and known.alert["state"] != "withdrawn"
            and (incident.detected, incident.hours) == (known.incident.detected, known.incident.hours)
        )
        if not is_same:
            changed.append(_with_incident(known, incident))
    return changed


def _restated_to_less(
    found: list[Incident], active: list[StoredAlert], window: Window, model_id: str
) -> list[StoredAlert]:
    """Return the alerts whose hours in the window no longer show an incident, without these hours.

    Where another model has scored the window, the bill may be as it was: such alerts stay.
    """
    ids = {incident.alert_id for incident in found}
    return [
        _with_incident(each, _without(each.incident, window))
        for each in active
        if each.incident.alert_id not in ids
        and each.alert["model_id"] == model_id
        and each.incident.detected < window.end
        and any(window.start <= hour < window.end for member in each.incident.members.values() for hour in member)
    ]


def _features_in(
    table: pa.Table, wanted: Set[tuple[int, Series]], policy: Policy
) -> dict[tuple[int, Series], dict[str, float]]:
    return {key: row for key, row in anomalous_features(table, policy) if key in wanted}


def _without(incident: Incident, window: Window) -> Incident:
    later = incident.since(window.end)
    # Without the hours that opened it, what came before did not become an incident.
    is_detected = incident.detected < window.start
    rest = incident.before(window.start) if is_detected else Incident(incident.alert_id, incident.detected)
    rest.add(later)
    if not is_detected and later:
        rest.detected = later[0].hour
    return rest


def _with_incident(known: StoredAlert | None, incident: Incident) -> StoredAlert:
    unbuilt: Any = {}
    if known is None:
        return StoredAlert(incident, unbuilt)
    unbuilt = {name: known.alert[name] for name in ("changes", "changes_note")}
    is_same_worst = bool(incident.members) and worst_hour(incident) == worst_hour(known.incident)
    return replace(known, incident=incident, alert=unbuilt, model_reason=known.model_reason if is_same_worst else "")


def _raise_first(failures: Mapping[str, Exception]) -> None:
    for error in failures.values():
        error.add_note(f"alerts that were not stored: {', '.join(failures)}; all others were stored and notified")
        raise error


def _as_notified(stored: StoredAlert, until: int) -> Notified:
    alert, earlier = stored.alert, stored.notified.causes if stored.notified else ()
    causes = dict.fromkeys([*earlier, alert["incident_class"]])
    return Notified(alert["severity"], alert["state"], until, excess_usd(stored.incident), tuple(causes))


def _urgency(alert: Alert) -> tuple[int, float, float]:
    return -SEVERITIES.index(alert["severity"]), -alert["excess_cost_usd_per_day"], -alert["usage_gb"]


def _model_of(scored: pa.Table) -> str:
    return str(scored["model_id"][0].as_py())


def _is_same(one: Incident, other: Incident, gap: int) -> bool:
    is_near = one.start - other.end <= gap and other.start - one.end <= gap
    return is_near and not one.members.keys().isdisjoint(other.members.keys())
