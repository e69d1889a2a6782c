"""The batch scorer, the drift monitor and the registrar stopped at each of their calls, then retried as Lambda does."""

import itertools
from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from batch_scorer.events import Change, Drop
from batch_scorer.jobs import Jobs
from batch_scorer.scorer import BatchScorer
from batch_scorer.settings import Settings as BatchSettings
from drift_monitor.events import windows_of
from drift_monitor.monitor import Monitor
from drift_monitor.settings import Settings as DriftSettings
from model_registrar.registrar import Registrar
from model_registrar.settings import Settings as RegistrarSettings
from tests.simulation.aws import S3, Sns, Table
from tests.simulation.sagemaker import SageMaker
from tests.simulation.stepping import FAULTS, Stepping
from tests.support.drift import FEATURES, FIRST, TRAINED_DAYS, body, changed, day_table, drift_model

BUCKET = "data"
_NEEDED = {
    "BUCKET": BUCKET,
    "ENDPOINT_NAME": "sentinel",
    "JOBS_TABLE": "jobs",
    "ALERTS_TABLE": "alerts",
    "TOPIC_ARN": "arn:topic",
    "MODEL_PACKAGE_GROUP": "sentinel",
    "IMAGE": "image",
}
_ARTIFACT = f"s3://{BUCKET}/models/model.tar.gz"
_DRIFTED = FIRST + timedelta(days=TRAINED_DAYS + 7)


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return drift_model(tmp_path_factory.mktemp("model")).read_bytes()


class World:
    """A bucket with a model, a table, a topic, SageMaker, and the three functions."""

    def __init__(self, artifact: bytes) -> None:
        self.network = Stepping()
        self.s3 = S3(self.network)
        self.s3.store(BUCKET, "models/model.tar.gz", artifact)
        self.sns = Sns(self.network)
        self.sagemaker = SageMaker(self.network, _ARTIFACT)
        self.jobs, self.alerts = Table(self.network, "job_id"), Table(self.network, "alert_id")
        batch, drift = BatchSettings.from_environment(_NEEDED), DriftSettings.from_environment(_NEEDED)
        self.scorer = BatchScorer(batch, self.s3, self.sagemaker, Jobs(self.jobs), self.sns, None)
        self.monitor = Monitor(drift, self.s3, self.sagemaker, self.sns)
        registrar = RegistrarSettings.from_environment(_NEEDED)
        self.registrar = Registrar(registrar, self.s3, self.sagemaker, None, self.alerts)

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for _, key in self.s3.objects if key.startswith(prefix))

    def read(self, key: str) -> bytes:
        return self.s3.objects[BUCKET, key].body

    def drop(self, text: str) -> Drop:
        """Put a file into the batch scorer's input folder."""
        etag = self.s3.store(BUCKET, "batch/input/rows.csv", text.encode()).strip('"')
        return Drop("batch/input/rows.csv", etag, "2026-11-30T12:00:00Z", "0123456789abcdef", len(text))

    def answer(self) -> Change:
        """Let the one transform job answer, and return its event."""
        (name,) = self.sagemaker.jobs
        (part,) = self.keys("batch/jobs/0123456789abcdef/input/")
        lines = self.read(part).decode().splitlines()
        answers = ["is_anomaly,anomaly_score", *("0,0.1" for _ in lines)]
        key = part.replace("/input/", "/output/") + ".out"
        self.s3.store(BUCKET, key, "".join(f"{line}\n" for line in answers).encode())
        return Change(name, "Completed", "")


def _at_each_call(
    artifact: bytes, fault: str, prepare: Callable[[World], Callable[[], Any]], check: Callable[[World, str], None]
) -> int:
    """Inject a fault at each call in turn, retry, and check. Return the number of calls."""
    for number in itertools.count():
        world = World(artifact)
        work = prepare(world)
        ended_well = world.network.attempt(work, number, fault)
        names = world.network.names
        if len(names) <= number:
            assert ended_well
            check(world, "no fault")
            return number
        if not ended_well:
            work()
        # And the event arrives once more.
        work()
        check(world, names[number])
    raise AssertionError


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_is_scored_by_one_job(artifact: bytes, fault: str) -> None:
    rows = "".join(f"{','.join(line)}\n" for line in (FEATURES, ("0.5", "1", "0"), ("0", "2", "1")))

    def start(world: World) -> Callable[[], Any]:
        drop = world.drop(rows)
        return lambda: world.scorer.start(drop)

    def is_running(world: World, name: str) -> None:
        assert len(world.sagemaker.jobs) == 1, name
        assert world.jobs.items["0123456789abcdef"]["status"] == "running", name
        assert world.sns.messages == [], name

    def finish(world: World) -> Callable[[], Any]:
        world.scorer.start(world.drop(rows))
        change = world.answer()
        return lambda: world.scorer.finish(change)

    def is_done(world: World, name: str) -> None:
        (key,) = world.keys("batch/output/")
        assert world.read(key).decode().splitlines()[1] == "0.5,1,0,0,0.1", name
        assert world.jobs.items["0123456789abcdef"]["status"] == "done", name
        assert world.sns.messages == [], name

    assert _at_each_call(artifact, fault, start, is_running) >= 8
    assert _at_each_call(artifact, fault, finish, is_done) >= 5


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_scored_is_moved_aside_and_people_know(artifact: bytes, fault: str) -> None:
    def start(world: World) -> Callable[[], Any]:
        drop = world.drop("ratio,excess\n1,2\n")
        return lambda: world.scorer.start(drop)

    def is_failed(world: World, name: str) -> None:
        assert world.jobs.items["0123456789abcdef"]["status"] == "failed", name
        assert world.keys("batch/input/") == [], name
        assert world.keys("batch/failed/") == ["batch/failed/rows.csv"], name
        assert 1 <= len(world.sns.messages) <= (2 if name in {"sns.publish", "dynamodb.update_item"} else 1), name

    assert _at_each_call(artifact, fault, start, is_failed) >= 8


def test_a_slow_duplicate_does_not_open_a_finished_job_again(artifact: bytes) -> None:
    for calls in range(20):
        world = World(artifact)
        drop = world.drop("ratio,excess,novelty\n1,2,3\n")
        slow = world.network.start(lambda world=world, drop=drop: world.scorer.start(drop))
        world.network.step(slow, calls)
        world.scorer.start(drop)
        world.scorer.finish(world.answer())
        world.network.step(slow)
        assert world.jobs.items["0123456789abcdef"]["status"] == "done", calls


def _scored(day: date, times: float) -> tuple[str, str, bytes]:
    """Return a day of scored rows, as another model than the serving one has scored them."""
    table = day_table(day)
    table = changed(table, "ratio", table["ratio"].to_numpy() * np.float32(times))
    scores = pa.array(np.full(len(table), 0.3))
    table = table.append_column("anomaly_score", scores).append_column("model_id", pa.array(["other"] * len(table)))
    return BUCKET, f"scored/day={day}/scores.parquet", body(table)


@pytest.mark.parametrize("fault", FAULTS)
def test_drift_that_begins_is_published(artifact: bytes, fault: str) -> None:
    def judge(world: World) -> Callable[[], Any]:
        for days_before, times in ((2, 1), (1, 4), (0, 4)):
            world.s3.store(*_scored(_DRIFTED - timedelta(days=days_before), times))
        windows = windows_of({"day": str(_DRIFTED)}, hourly=False)
        return lambda: world.monitor.run(windows)

    def is_published(world: World, name: str) -> None:
        files = world.keys(f"drift/day={_DRIFTED}/")
        assert len(files) == 5, name
        for file in files[:3] + files[4:]:
            assert world.read(file.replace(f"day={_DRIFTED}", "latest")) == world.read(file), name
        assert all("Drift on" in message for message in world.sns.messages)
        doubled = {"sns.publish", "s3.put_object"}  # only the last put records the publication
        assert 1 <= len(world.sns.messages) <= (2 if name in doubled else 1), name

    assert _at_each_call(artifact, fault, judge, is_published) >= 17


@pytest.mark.parametrize("fault", FAULTS)
def test_an_artifact_becomes_one_package(artifact: bytes, fault: str) -> None:
    def register(world: World) -> Callable[[], Any]:
        return lambda: world.registrar.register(_ARTIFACT)

    def is_registered(world: World, name: str) -> None:
        assert len(world.sagemaker.packages) == 1, name
        assert len(world.keys("models/registry/")) == 4, name

    assert _at_each_call(artifact, fault, register, is_registered) >= 6


@pytest.mark.parametrize("fault", FAULTS)
def test_retraining_is_prepared_alike_each_time(artifact: bytes, fault: str) -> None:
    def prepare(world: World) -> Callable[[], Any]:
        world.s3.store(BUCKET, "config/planned_events.json", b"[]")
        # The detector's ledger is in the table too.
        world.alerts.put_item(Item={"alert_id": "ledger", "version": 1})
        return lambda: world.registrar.prepare("execution")

    def is_prepared(world: World, name: str) -> None:
        assert len(world.keys("training/exclude/")) == 1, name
        assert world.read(world.keys("training/exclude/")[0]).strip() == b"", name

    assert _at_each_call(artifact, fault, prepare, is_prepared) >= 6
