"""Egress Sentinel, through its public doors: exports to features to a trained model to the Lambda's own decision.

Features and models are kept by a hash of the exports and of the code that made them, so that a change of one room
makes anew only what depends on it. The decision runs `anomaly_detector.detector.Detector` itself against
moto in this process; `whole_way=True` takes `egress_sentinel.scoring.score` instead (a local endpoint and a Lambda in
processes of their own), and a test holds that both give the same alerts.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import tempfile
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import ClientError
from moto import mock_aws

import anomaly_detection
import anomaly_detector
import egress_features
from anomaly_detection import inference_script
from anomaly_detector.alert_store import AlertStore
from anomaly_detector.detector import Detector
from anomaly_detector.endpoint import Endpoint
from anomaly_detector.scored_rows import ScoredRows
from anomaly_detector.settings import Settings
from anomaly_detector.window import window_of
from benchmarks.incidents.alert import Alert
from egress_features import build_features
from egress_sentinel import scoring
from egress_sentinel.local_aws import create_detector_resources
from egress_sentinel.training import train

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from benchmarks.incidents.truth import Case

POLICY: dict[str, str] = {}
HYPERPARAMETERS: dict[str, str] = {}


def features_of(case: Case, cache: Path) -> Path:
    """Return the case's processed_features.parquet."""
    key = _hash(case.exports, [_source(egress_features)])
    path = cache / f"features-{key}.parquet"
    if not path.exists():
        build_features(case.exports, path)
    return path


def model_of(case: Case, features: Path, cache: Path) -> Path:
    """Return the model.tar.gz trained on the case's training weeks."""
    key = _hash([features], [_source(anomaly_detection), json.dumps(HYPERPARAMETERS), str(case.train_hours)])
    path = cache / f"model-{key}.tar.gz"
    if not path.exists():
        train(features, path, until=_moment(case, case.train_hours), hyperparameters=HYPERPARAMETERS)
    return path


def alert_records(case: Case, cache: Path, *, whole_way: bool = False, forest: bool = True) -> list[dict[str, Any]]:
    """Return the detector's alert records, each with its incident's hours as `hours`: (hour, excess_usd, excess_gb).

    Parameters
    ----------
    whole_way : bool
        Through `egress_sentinel.scoring.score`; the records then have no `hours`.
    forest : bool
        Without it every hour counts as anomalous, so that what remains is the expectation and the decision's floors.
    """
    features = features_of(case, cache)
    model = model_of(case, features, cache)
    if whole_way:
        return _whole_way(case, features, model)
    key = _hash(
        [features, model], [_source(anomaly_detector), json.dumps(POLICY), Path(__file__).read_text(), str(forest)]
    )
    path = cache / f"alerts-{key}.json"
    if not path.exists():
        beside = path.with_suffix(f".{os.getpid()}.part")
        beside.write_text(json.dumps(_in_process(case, features, model, forest=forest)), encoding="utf-8")
        beside.replace(path)
    records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    return records


def alerts(case: Case, cache: Path, *, forest: bool = True) -> list[Alert]:
    """Return Egress Sentinel's alerts; the rank is the excess so far in dollars."""
    return [_alert(case, record) for record in alert_records(case, cache, forest=forest)]


def _alert(case: Case, record: Mapping[str, Any]) -> Alert:
    first = int(case.start.timestamp()) // 3600
    detected = _hour(record["detected_hour_utc"]) - first
    excess: dict[int, float] = {}
    for hour, usd, gb in record["hours"]:
        at = max(hour - first, detected)
        excess[at] = excess.get(at, 0.0) + usd + 1e-3 * gb
    course, so_far, best = [], 0.0, float("-inf")
    for hour in sorted({*excess, detected}):
        so_far += excess.get(hour, 0.0)
        best = max(best, so_far)
        course.append((hour, best))
    named = record["contributors"]
    return Alert(
        account=record["account_id"],
        regions=tuple(row["region"] for row in named),
        resources=tuple(row["resource_id"] for row in named),
        usage_types=tuple(row["usage_type"] for row in named),
        start=_hour(record["start_hour_utc"]) - first,
        end=_hour(record["end_hour_utc"]) - first,
        course=tuple(course),
        kind=str(record.get("incident_class", "")),
    )


def _hour(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp()) // 3600


def _moment(case: Case, hour: int) -> datetime:
    return case.start + timedelta(hours=hour)


class _Aws:
    """What `create_detector_resources` asks for clients, answered by moto in this process."""

    def client(self, service: str) -> Any:
        return boto3.client(service)


class _Runtime:
    """A sagemaker-runtime client that calls the inference script."""

    def __init__(self, model_dir: Path) -> None:
        self._model = inference_script.model_fn(str(model_dir))

    def invoke_endpoint(self, *, Body: bytes, ContentType: str, Accept: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        rows = inference_script.input_fn(Body, ContentType)
        answer = inference_script.output_fn(inference_script.predict_fn(rows, self._model), Accept)
        return {"Body": _Body(answer)}


class _AllAnomalous:
    """A sagemaker-runtime client that calls every row anomalous."""

    def invoke_endpoint(self, *, Body: bytes, Accept: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        if "attributions" in Accept:
            refusal: Any = {
                "Error": {"Code": "ModelError"},
                "OriginalStatusCode": 406,
                "OriginalMessage": "scores alone",
            }
            raise ClientError(refusal, "InvokeEndpoint")
        return {"Body": _Body("is_anomaly,anomaly_score\n" + "1,-0.5\n" * (Body.count(b"\n") - 1))}


class _Body:
    def __init__(self, answer: Any) -> None:
        content = answer[0] if isinstance(answer, tuple) else getattr(answer, "response", answer)
        self._content = content if isinstance(content, bytes) else str(content).encode()

    def read(self) -> bytes:
        return self._content


@contextmanager
def _mock_environment() -> Iterator[None]:
    """Point boto3 at nothing but moto."""
    mine = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": "us-east-1"}
    before = {name: os.environ.get(name) for name in mine}
    os.environ.update(mine)
    try:
        with mock_aws():
            yield
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


def _in_process(case: Case, features: Path, model: Path, *, forest: bool) -> list[dict[str, Any]]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        with tarfile.open(model) as archive:
            archive.extractall(folder, filter="data")
        stack.enter_context(_mock_environment())
        aws: Any = _Aws()
        resources = create_detector_resources(aws)
        settings = Settings.from_environment(resources.environment("sentinel") | POLICY)
        table = scoring._read_range(features, _moment(case, case.train_hours), None)
        scoring._put_features(aws, resources, table)
        s3 = boto3.client("s3")
        store = AlertStore(boto3.resource("dynamodb").Table(settings.alerts_table))
        detector = Detector(
            settings,
            s3,
            Endpoint(_Runtime(folder) if forest else _AllAnomalous(), settings.endpoint_name, settings.max_body_bytes),
            ScoredRows(s3, settings.bucket, settings.scored_prefix),
            store,
            boto3.client("sns"),
        )
        # By the hour, by the day or at once: a test of the Lambda holds that the incidents are the same.
        event = {"start": _moment(case, case.train_hours).isoformat(), "end": _moment(case, case.hours).isoformat()}
        detector.run(window_of(event, settings.features_prefix))
        pairs = {(a, r) for a, r in zip(table["account_id"].to_pylist(), table["region"].to_pylist(), strict=True)}
        return [
            stored.alert | {"hours": [(h.hour, h.excess_usd, h.excess_gb) for h in stored.incident.hours]}
            for stored in store.since(pairs, 0)
        ]


def _whole_way(case: Case, features: Path, model: Path) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        result = scoring.score(
            features, Path(folder), model_tar=model, start=_moment(case, case.train_hours), policy=POLICY
        )
        return result.alerts


def _source(package: Any) -> str:
    """Return a hash of a package's files."""
    folder = Path(package.__file__).parent
    files = sorted(file for file in folder.rglob("*") if file.suffix in {".py", ".sql", ".json"})
    return _hash(files, [])


def _hash(files: Any, texts: list[str]) -> str:
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.name.encode() + hashlib.sha256(file.read_bytes()).digest())
    for text in texts:
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()[:16]
