"""A world: a bill that is delivered bit by bit, the detector that reads it, the faults, and the invariants."""

import io
import json
import random
import re
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pyarrow.parquet as pq

from anomaly_detector.alert_store import AlertStore, _stored
from anomaly_detector.endpoint import Endpoint
from anomaly_detector.feature_rows import FeatureError
from egress_alerts.alert import MAX_CONTRIBUTORS
from egress_alerts.detector import Detector, StoredAlert
from egress_alerts.hours import Incident
from egress_alerts.series import Window, iso_hour
from egress_sentinel.pipeline.memory import AlertsInMemory, Outbox, RowsInMemory
from tests.simulation.aws import S3, Direct, Sns, Table
from tests.simulation.bill import FIRST, KNOWS_WITHDRAWN, Bill
from tests.simulation.endpoint import Runtime
from tests.simulation.expressions import Item
from tests.simulation.scheduler import RETRY_SECONDS, Faults, Invocation, Scheduler
from tests.simulation.system import BUCKET, System, settings_of

_HOUR = 3600.0
_ID = re.compile(r"\b[0-9a-f]{16}\b")
_ADDRESS = re.compile(rf"s3://{BUCKET}/(\S+\.json)")
_KINDS_OF_FAULTS = {
    "pauses": Faults(pause=0.15),
    "kills": Faults(kill_before=0.006, kill_after=0.006, pause=0.01),
    "network": Faults(lost=0.02, reset=0.005, refused=0.005, pause=0.01),
    "storm": Faults(kill_before=0.01, kill_after=0.01, lost=0.02, reset=0.01, refused=0.01, pause=0.02),
}


class ViolationError(AssertionError):
    """An invariant does not hold."""


@dataclass
class Result:
    """What happened in a world."""

    seed: int
    counts: Counter[str] = field(default_factory=Counter)
    violation: str = ""
    log: list[str] = field(default_factory=list)


class World:
    """Everything of one seed."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.choice = random.Random(f"world {seed}")
        self.scheduler = Scheduler(seed, FIRST * _HOUR)
        self.bill = Bill(seed)
        self.counts = Counter[str]()
        self.policy = {
            "LASTING_HOURS": self.choice.choice(("1", "12")),
            "INCIDENT_GAP_HOURS": self.choice.choice(("24", "168")),
            "SIBLING_HOURS": self.choice.choice(("0", "12")),
        }
        self.settings = settings_of(self.policy)
        self.s3 = S3(self.scheduler, self._on_object)
        self.table = Table(self.scheduler, "alert_id", ("account_region", "end_hour_utc"), self._on_write)
        self.sns = Sns(self.scheduler, self._on_publish)
        self.system = System(self.scheduler, self.settings, self.s3, self.table, self.sns)
        self.dead_letters: list[dict[str, Any]] = []
        self.broken_keys: set[str] = set()
        self.clock_jumped = False
        # By alert id, invocations that published it and have not marked it yet.
        self._unmarked: dict[str, list[Invocation | None]] = {}
        self._published: set[str] = set()
        self._written: dict[str, float] = {}
        self._new: set[str] = set()
        self._numbers = 0
        self._puts_events = True

    def run(self) -> None:
        """Let everything happen, and check it.

        Raises
        ------
        ViolationError
        """
        # The endpoint and the runner vary their pauses.
        random.seed(self.seed)
        self.scheduler.faults = _KINDS_OF_FAULTS[self.choice.choice(sorted(_KINDS_OF_FAULTS))]
        end = self._plan()
        self.scheduler.run()
        self.scheduler.faults = Faults()
        # Long after: whoever was killed cannot be alive.
        self.scheduler.now = max(self.scheduler.now, end) + _HOUR
        self._schedule_now()
        self.counts["dead letters"] += len(self.dead_letters)
        # A person sends them again.
        for event in tuple(self.dead_letters):
            self._deliver(event)
        self.scheduler.run()
        self._check_state()
        self._check_rest()

    # What happens.

    def _plan(self) -> float:
        """Put deliveries, schedules and damage on the agenda, and return when the last one is over."""
        last = FIRST + 24 * self.bill.days
        every = self.choice.choice((5, 8, 12))
        # A bill that begins late brings several days at once.
        hour = self.choice.choice((FIRST + 3, FIRST + 3, last - 20, last)) + self.choice.randrange(every)
        while hour < last + 4:
            until, partial = int(hour) - self.choice.choice((1, 2, 6)), self.choice.choice((0, 2))
            if self.choice.random() < 0.85:
                self._plan_delivery(hour, until, partial)
            if self.choice.random() < 0.3:
                # Another one follows while the first is being scored.
                self._plan_delivery(hour + self.choice.choice((1, 3, 60)) / _HOUR, until + 1, 0)
            hour += every
        final = last + self.choice.choice((6, 12, 30))
        if self.choice.random() < 0.5:
            self._plan_delivery(final - self.choice.choice((0.5, 2, 60)) / _HOUR, last, 6)
        self.scheduler.at(final * _HOUR, lambda: self._deliver_bill(float("inf"), last, 0))
        interval = self.choice.choice((12, 24))
        for at in range(FIRST + interval, final, interval):
            self.scheduler.at(at * _HOUR + self.choice.choice((0, 1, 30)), self._schedule_now)
        if self.choice.random() < 0.25:
            day, at = self.choice.randrange(self.bill.days), self.choice.randrange(FIRST, last)
            self.scheduler.at(at * _HOUR, lambda: self._break(day))
        return final * _HOUR

    def _plan_delivery(self, hour: float, until: int, partial: int) -> None:
        self.scheduler.at(hour * _HOUR, lambda: self._deliver_bill(hour, until, partial))

    def _deliver_bill(self, hour: float, until: int, partial: int) -> None:
        """Let Athena write the days that this delivery changes, in any order and nearly at once."""
        days = list(range(self.bill.days))
        self.choice.shuffle(days)
        for day in days:
            key = f"features/day={iso_hour(FIRST + 24 * day)[:10]}/features.parquet"
            body = self.bill.known(day, hour, until, until - partial)
            moment = self.scheduler.now + self.choice.choice((0.0, 0.1, 0.3, 20.0))
            # Runs of Athena follow one another: none replaces what a later one wrote.
            moment = self._written[key] = max(moment, self._written.get(key, 0.0) + 0.01)
            if body:
                self.scheduler.at(moment, lambda key=key, body=body: self._write(key, body))

    def _write(self, key: str, body: bytes) -> None:
        old = self.s3.objects.get((BUCKET, key))
        if old is None or old.body != body:
            self.scheduler.note(f"Athena writes {key}, {len(body)} bytes")
            self.s3.store(BUCKET, key, body)

    def _break(self, day: int) -> None:
        """Put a file that cannot be read beside a day's features."""
        key = f"features/day={iso_hour(FIRST + 24 * day)[:10]}/{self.choice.choice('az')}.parquet"
        self.broken_keys.add(key)
        self.counts["broken files"] += 1
        self.s3.store(BUCKET, key, self.choice.choice((b"", b"PAR1", b"not parquet at all")))

    def _on_object(self, key: str) -> None:
        """Send S3's event, by and by and sometimes twice."""
        self.counts["lists kept"] += key.startswith("alerts/")
        if not key.startswith("features/"):
            return
        event = {"detail-type": "Object Created", "detail": {"object": {"key": key}}}
        times = 2 if self.choice.random() < 0.15 else 1
        for _ in range(times):
            delay = self.choice.choice((0.5, 0.5, 0.6, 0.8, 30.0, 600.0))
            self.scheduler.at(self.scheduler.now + delay, lambda: self._deliver(event))
        self.counts["duplicate events"] += times - 1

    def _schedule_now(self) -> None:
        self._deliver({"detail-type": "Scheduled Event", "time": iso_hour(int(self.scheduler.now // _HOUR))})
        if not self._has_faults():
            self.scheduler.run()

    def _has_faults(self) -> bool:
        return any(vars(self.scheduler.faults).values())

    def _deliver(self, event: dict[str, Any]) -> None:
        """Hand an event to Lambda, which tries it up to three times."""
        self._numbers += 1
        self.counts["events"] += 1
        self._attempt(event, f"request-{self._numbers}", 0)

    def _attempt(self, event: dict[str, Any], request_id: str, attempt: int) -> None:
        skew = self.choice.uniform(-20, 20)
        if self._has_faults() and self.choice.random() < 0.01:
            skew = self.choice.choice((-86400.0, 86400.0))
            self.clock_jumped = True
            self.counts["clock jumps"] += 1
        name = f"{request_id}.{attempt}"
        self.scheduler.note(f"{name} starts: {event}")
        invocation = Invocation(name, lambda _: self.system.invoke(event, request_id), skew)
        self.counts["invocations"] += 1

        def over(done: Invocation) -> None:
            if done.error is None:
                return
            self._check_error(done)
            if attempt < len(RETRY_SECONDS):
                moment = self.scheduler.now + RETRY_SECONDS[attempt]
                self.scheduler.at(moment, lambda: self._attempt(event, request_id, attempt + 1))
            else:
                self.dead_letters.append(event)

        self.scheduler.start(invocation, over)

    # What must hold.

    def _check_error(self, done: Invocation) -> None:
        """Nothing but a fault or a broken file makes an invocation fail, and a broken file is named."""
        if isinstance(done.error, ViolationError):
            raise done.error
        if isinstance(done.error, FeatureError) and any(key in str(done.error) for key in self.broken_keys):
            self.counts["named broken files"] += 1
        elif done.name not in self.scheduler.faulted:
            raise ViolationError(f"{done.name} failed although nothing went wrong with it: {done.error!r}")

    def _on_publish(self, text: str) -> None:
        """An invocation does not notify of an alert while another running invocation has notified of it."""
        current = self.scheduler.current
        self.counts["messages"] += 1
        self._check_kept(_ADDRESS.findall(text))
        for alert_id in set(_ID.findall(text)) & self.table.items.keys():
            self._published.add(alert_id)
            others = [one for one in self._unmarked.get(alert_id, []) if one is not current]
            if any(one is not None and not one.is_over for one in others) and not self.clock_jumped:
                raise ViolationError(f"{alert_id} is notified twice at once")
            self.counts["doubled after a crash"] += bool(others)
            self._unmarked.setdefault(alert_id, []).append(current)

    def _on_write(self, old: Item | None, new: Item | None, kind: str) -> None:
        """What people were notified of is changed by a mark alone, and a new alert has no other alert's hours."""
        if kind == "committed":
            self._check_new()
        if new is None or "account_region" not in new:
            return
        self._check_kept([new["details_key"]] if new["details_key"] else [])
        if old is None:
            self._new.add(new["alert_id"])
        if "notified" in kind:
            self._unmarked[new["alert_id"]] = []
        elif old is not None and _notified(old) != _notified(new):
            raise ViolationError(
                f"{new['alert_id']} was notified as {_notified(old)}, and a write made it {_notified(new)}"
            )

    def _check_kept(self, keys: list[str]) -> None:
        """An item or a notification names only keys that are already in S3."""
        for key in keys:
            if (BUCKET, key) not in self.s3.objects:
                raise ViolationError(f"{key} is named before it is written")

    def _check_list(self, stored: StoredAlert) -> None:
        """An alert with more contributors than it lists has all of them in S3."""
        alert = stored.alert
        if alert["contributor_count"] <= MAX_CONTRIBUTORS:
            return
        rows = json.loads(self.s3.objects[BUCKET, alert["details_key"]].body)
        if len(rows) != len(stored.incident.members) or rows[:MAX_CONTRIBUTORS] != alert["contributors"]:
            raise ViolationError(f"{alert['details_key']} is not the list of {_text(stored.incident)}")

    def _check_new(self) -> None:
        alerts = [_stored(item) for item in self.table.items.values() if "account_region" in item]
        hours = Counter(
            (hour.hour, hour.series)
            for stored in alerts
            if stored.alert.get("state") != "withdrawn"
            for hour in stored.incident.hours
        )
        for stored in alerts:
            is_new = stored.incident.alert_id in self._new
            if is_new and any(hours[hour.hour, hour.series] > 1 for hour in stored.incident.hours):
                raise ViolationError(f"opened beside an alert with the same hours: {_text(stored.incident)}")
        self._new.clear()

    def _check_state(self) -> None:
        """The stored alerts equal those of one process that scores the days in order, and all were notified."""
        expected = {_content(incident): incident for incident in self._in_order()}
        live = [stored for stored in self.stored() if stored.alert.get("state") != "withdrawn"]
        found = Counter(_content(stored.incident) for stored in live)
        for content, incident in expected.items():
            if found[content] != 1:
                raise ViolationError(f"stored {found[content]} times: {_text(incident)}; stored is {self._texts(live)}")
        for stored in live:
            self._check_list(stored)
            if _content(stored.incident) in expected:
                if stored.alert["alert_id"] not in self._published:
                    raise ViolationError(f"there was no notification of {_text(stored.incident)}")
            elif KNOWS_WITHDRAWN:
                raise ViolationError(f"stored, but not in the bill: {_text(stored.incident)}")
        counted = Counter(
            (hour.hour, hour.series)
            for stored in live
            if KNOWS_WITHDRAWN or _content(stored.incident) in expected
            for hour in stored.incident.hours
        )
        if any(times > 1 for times in counted.values()):
            raise ViolationError(f"an hour is counted twice: {self._texts(live)}")
        gone = self._published - {stored.alert["alert_id"] for stored in self.stored()}
        if gone:
            raise ViolationError(f"people were notified of {sorted(gone)}, which no longer exist")
        self.counts["incidents"] += len(expected)
        self.counts["incidents of levels"] += sum(
            any(series.is_level for series in incident.members) for incident in expected.values()
        )

    def _check_rest(self) -> None:
        """Without faults, a repetition of all events changes nothing and sends no notification."""
        before, messages = dict(self.table.items), len(self.sns.messages)
        window = {"start": iso_hour(FIRST), "end": iso_hour(self.bill.hours.stop)}
        self._deliver(window)
        self.scheduler.run()
        changed = [k for k, item in self.table.items.items() if before.get(k) != item and "account_region" in item]
        if changed or len(self.sns.messages) != messages:
            raise ViolationError(f"doing it again changed {changed} and sent {self.sns.messages[messages:]}")

    def stored(self) -> list[StoredAlert]:
        """Read all alerts."""
        store = AlertStore(self.table)
        store.reread()
        return store.since(self.bill.places, 0)

    def _in_order(self) -> list[Incident]:
        rows, alerts = RowsInMemory(), AlertsInMemory()
        endpoint = Endpoint(Runtime(Direct()), "sentinel", self.settings.max_body_bytes)
        detector = Detector(self.settings.policy, endpoint, rows, alerts, Outbox())
        for day in range(self.bill.days):
            start = FIRST + 24 * day
            detector.run(Window(start, start + 24), pq.read_table(io.BytesIO(self.bill.settled(day))), {})
        return [stored.incident for stored in alerts.all() if stored.alert.get("state") != "withdrawn"]

    def _texts(self, stored: list[StoredAlert]) -> str:
        return "; ".join(_text(one.incident) for one in stored)


def run_world(seed: int) -> Result:
    """Run the world of a seed."""
    world = World(seed)
    result = Result(seed)
    try:
        world.run()
    except ViolationError as violation:
        result.violation = str(violation)
        result.log = [*world.scheduler.log, f"VIOLATION {violation}"]
    result.counts = world.counts
    result.counts["AWS calls"] = world.scheduler.calls
    result.counts.update({f"faults: {kind}": number for kind, number in world.scheduler.fault_counts.items()})
    return result


def _notified(item: Item) -> Any:
    return {name: value for name, value in item.items() if name.startswith("notified")}


def _content(incident: Incident) -> Any:
    return incident.detected, tuple(incident.hours)


def _text(incident: Incident) -> str:
    series = sorted(each.resource_id for each in incident.members)
    return f"{incident.alert_id} {iso_hour(incident.start)} to {iso_hour(incident.end)} of {', '.join(series)}"
